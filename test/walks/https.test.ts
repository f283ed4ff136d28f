import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { test } from "node:test";
import { createAuthority } from "../support/authority.ts";
import { freePort } from "../support/ports.ts";
import { emptyPlace } from "../support/program.ts";

test("a certificate is imported while the program runs, served at once, and kept over a restart", async (t) => {
  const [port, secure] = [await freePort(), await freePort()];
  const place = emptyPlace(t);
  const origin = `https://status.example.com:${secure}`;
  const made = await place.run(["init", "--page-name", "Acme", "--host", origin, "--owner", "o@example.com", "--yes"]);
  assert.equal(made.code, 0, made.err);
  const https = { CANDOR_HTTPS_LISTEN: `127.0.0.1:${secure}` };
  const server = await place.serve(port, https);
  const authority = await createAuthority();
  const file = (name: string, text: string) => {
    const path = join(place.folder, name);
    writeFileSync(path, text);
    return path;
  };
  const root = file("root.pem", authority.root);
  const bring = async (name: string, days: [number, number]) => {
    const { certificate, key } = await authority.issue(["status.example.com"], { days });
    const chain = file(`${name}.pem`, certificate + authority.intermediate);
    return place.run(["cert", "import", "--chain", chain, "--key", file(`${name}.key`, key), "--authority", root]);
  };
  const visit = () =>
    new Promise<{ status: number; until: string }>((resolve, reject) => {
      const call = request(
        {
          host: "127.0.0.1",
          port: secure,
          servername: "status.example.com",
          ca: authority.root,
          headers: { host: `status.example.com:${secure}` },
          agent: false,
        },
        (response) => {
          const { valid_to: until } = (response.socket as import("node:tls").TLSSocket).getPeerCertificate();
          response.resume();
          response.on("end", () => resolve({ status: response.statusCode ?? 0, until }));
        },
      );
      call.on("error", reject);
      call.end();
    });

  await assert.rejects(visit(), /unrecognized name/);
  const first = await bring("first", [-1, 20]);
  assert.equal(first.code, 0, first.err);
  assert.match(first.out, /for status\.example\.com, valid until/);
  const { status, until } = await visit();
  assert.equal(status, 200);
  const expired = await bring("expired", [-90, -1]);
  assert.equal(expired.code, 1);
  assert.match(expired.err, /expired on/);
  assert.equal((await visit()).until, until, "the old certificate stays in service");
  assert.equal((await bring("second", [-1, 80])).code, 0);
  const renewed = (await visit()).until;
  assert.notEqual(renewed, until);

  const bad = await place.run(["cert", "import", "--chain", join(place.folder, "nowhere.pem"), "--key", root]);
  assert.equal(bad.code, 1);
  assert.match(bad.err, /nowhere\.pem can't be read \(ENOENT\)/);
  const list = JSON.parse((await place.run(["cert", "list", "--json"])).out) as { id: string; hosts: string[] }[];
  assert.deepEqual(
    list.map((one) => one.hosts),
    [["status.example.com"], ["status.example.com"]],
  );
  assert.equal((await place.run(["cert", "remove", list[1]?.id as string])).code, 0);
  const ended = await server.stop();
  assert.equal(ended.code, 0, ended.err);
  await place.serve(port, https);
  assert.equal((await visit()).until, renewed);
});
