import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { systemClock } from "../../src/clock.ts";
import { createKeyring, openKeyring } from "../../src/crypto/keyring.ts";
import { openStore } from "../../src/db.ts";
import { deliveries, pages } from "../../src/schema.ts";
import { startMailServer } from "./mail-server.ts";

const letters = 300;

it("A mailer that is killed again and again loses no letter, and repeats one only with its own Message-ID", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "candor-crash-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const kek = Buffer.alloc(32, 7);
  createKeyring(join(folder, "keyring.json"), kek, 0);
  const keys = openKeyring(join(folder, "keyring.json"), kek);
  const open = () => openStore({ where: join(folder, "data"), keys, clock: systemClock });
  const store = open();
  const now = Date.now();
  store.db.insert(pages).values({ id: "page", name: "Page", timeZone: "UTC", createdAt: now, updatedAt: now }).run();
  const row = { pageId: "page", kind: "test", state: "queued", nextAttemptAt: now, createdAt: now } as const;
  store.db
    .insert(deliveries)
    .values(Array.from({ length: letters }, () => row))
    .run();
  store.close();

  let child: ChildProcess;
  const killAt = [7, 61, 150, 222];
  const server = await startMailServer(t, {
    // The server has the letter and the process doesn't know it.
    onLetter: () => {
      if (server.received.length >= (killAt[0] ?? Number.POSITIVE_INFINITY)) {
        killAt.shift();
        child.kill("SIGKILL");
      }
      return undefined;
    },
  });
  const runs: (string | number)[] = [];
  while (runs.at(-1) !== 0 && runs.length < 10) {
    child = spawn(process.execPath, [join(import.meta.dirname, "crash-child.ts"), folder, String(server.port)]);
    let words = "";
    child.stderr?.on("data", (data) => {
      words += data;
    });
    const [code, signal] = await once(child, "exit");
    assert.ok(code === 0 || signal === "SIGKILL", words);
    runs.push(signal ?? code);
  }
  assert.deepEqual(runs, ["SIGKILL", "SIGKILL", "SIGKILL", "SIGKILL", 0]);

  const got = new Map<string, number>();
  for (const letter of server.received) {
    const [to = ""] = letter.to;
    const id = /^person-(\d+)@/.exec(to)?.[1];
    assert.ok(letter.raw.includes(`Message-ID: <${id}@example.com>\r\n`));
    got.set(to, (got.get(to) ?? 0) + 1);
  }
  assert.equal(got.size, letters);
  const after = open();
  const left = after.db.select().from(deliveries).all();
  after.close();
  assert.ok(left.every((one) => one.state === "sent"));
  // Only what was under way or unrecorded at a kill is repeated: connections and one batch, each time.
  assert.ok(server.received.length - letters <= 4 * 55, `${server.received.length - letters} repeats`);
});
