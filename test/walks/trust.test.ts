import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { needsMount } from "../support/need.ts";
import { freePort } from "../support/ports.ts";
import { fetchFrom, readyPlace } from "../support/program.ts";

test("none of 40 markers stands in clear in the database, its log, the server's log or any other file", async (t) => {
  const port = await freePort();
  const place = await readyPlace(t, port);
  const secret = "smtp-password-MARK00";
  const set = await place.run(["config", "set", "mail.smtp_url", "-"], {
    input: `smtp://mark-user:${secret}@127.0.0.1:1\n`,
  });
  assert.equal(set.code, 0, set.err);
  const markers = [secret, place.owner];
  const server = await place.serve(port);
  const token = (await place.run(["token", "create", "--name", "MARK-token-name", "--role", "owner"])).out.trim();
  markers.push(token, "MARK-token-name");
  const link = JSON.parse((await place.run(["member", "link", place.owner, "--json"])).out).url as string;
  markers.push(link.split("/").at(-1) as string);
  for (let index = 0; markers.length < 36; index++) {
    const email = `mark${index}x@marked-example.com`;
    const added = await place.run(["subscriber", "add", email, "--confirmed"]);
    assert.equal(added.code, 0, added.err);
    markers.push(email);
  }
  const asked = await fetchFrom(server.origin, "/subscribe", {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: "email=mark-visitor%40marked-example.com&scope=all",
  });
  assert.equal(asked.status, 303);
  const entered = await fetchFrom(server.origin, new URL(link).pathname, { method: "POST" });
  const cookie = /candor=([^;]+)/.exec(String(entered.headers["set-cookie"]))?.[1] as string;
  assert.ok(cookie, "signed in");
  const account = await fetchFrom(server.origin, "/admin/account", { headers: { cookie: `candor=${cookie}` } });
  const csrf = /name="_csrf" value="([^"]+)"/.exec(account.text)?.[1] as string;
  const password = "correct horse MARK battery";
  const changed = await fetchFrom(server.origin, "/admin/account/password", {
    method: "POST",
    headers: { cookie: `candor=${cookie}`, "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ _csrf: csrf, password, repeat: password }).toString(),
  });
  assert.equal(changed.status, 303, changed.text);
  markers.push("mark-visitor@marked-example.com", cookie, password, "MARK-incident-title");
  assert.equal(markers.length, 40);
  await place.run(["incident", "open", "--title", "MARK-incident-title", "--body", "x", "--yes"]);
  await place.run(["snapshot"]);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await server.stop("SIGKILL");
  assert.ok(statSync(join(place.data, "candor.db-wal")).size > 0, "the log is there to be searched");

  const files = readdirSync(place.folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(place.folder, name))
    .filter((path) => statSync(path).isFile() && path !== place.program);
  const texts: [string, Buffer][] = [
    ...files.map((path): [string, Buffer] => [path, readFileSync(path)]),
    ["the log", Buffer.from(server.log())],
  ];
  for (const marker of markers) {
    const forms = [
      Buffer.from(marker),
      Buffer.from(marker, "utf16le"),
      Buffer.from(Buffer.from(marker).toString("hex")),
      Buffer.from(Buffer.from(marker).toString("base64").slice(0, -4)),
    ];
    for (const [name, bytes] of texts)
      for (const form of forms) assert.ok(!bytes.includes(form), `${marker} in ${name}`);
  }
});

test("on a full disk the page stays, writing says why, and everything goes on when there is room", {
  skip: needsMount(),
}, async (t) => {
  const port = await freePort();
  const place = await readyPlace(t, port);
  const disk = join(place.folder, "disk");
  mkdirSync(disk);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=6m,mode=700", "tmpfs", disk]);
  try {
    execFileSync("cp", ["-a", `${place.data}/.`, disk]);
    const moved = { ...place, data: disk };
    const run = (args: string[]) => place.run([...args, "--data", disk]);
    execFileSync("rm", ["-rf", place.data]);
    execFileSync("ln", ["-s", disk, place.data]);
    const server = await place.serve(port);
    writeFileSync(join(disk, "filler"), Buffer.alloc(1));
    try {
      for (let size = 1 << 22; size >= 4096; size >>= 1) fill(join(disk, "filler"), size);
    } catch {}
    let refused: Awaited<ReturnType<typeof place.run>> | undefined;
    for (let tries = 0; tries < 30 && !refused; tries++) {
      const ran = await run(["incident", "open", "--title", "Full", "--body", "x".repeat(20_000), "--yes"]);
      if (ran.code !== 0) refused = ran;
    }
    assert.ok(refused, "the disk filled up");
    assert.match(refused.err, /disk is full/i);
    assert.equal((await fetchFrom(server.origin, "/")).status, 200);
    execFileSync("rm", [join(disk, "filler")]);
    const after = await run(["incident", "open", "--title", "Room again", "--body", "x", "--yes"]);
    assert.equal(after.code, 0, after.err);
    assert.match((await fetchFrom(server.origin, "/")).text, /Room again/);
    assert.equal((await server.stop()).code, 0);
    assert.equal((await run(["incident", "list"])).code, 0);
    assert.ok(moved);
  } finally {
    execFileSync("umount", ["-l", disk]);
  }
});

function fill(path: string, bytes: number): void {
  for (;;) {
    try {
      writeFileSync(path, Buffer.alloc(bytes, 1), { flag: "a" });
    } catch {
      return;
    }
  }
}
