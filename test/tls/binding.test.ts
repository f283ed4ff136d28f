/** Strict-Transport-Security as visitors get it, while the server runs and nobody tells it to look. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { foundHouse, prepareKeys } from "../../src/founding.ts";
import { openHouse, startServer } from "../../src/server.ts";
import { importCertificate } from "../../src/tls/certificates.ts";
import { createAuthority } from "../support/authority.ts";
import { freePort } from "../support/ports.ts";

const host = "status.example.com";
/** The page's days begin at midnight in UTC: here it is noon. */
const noon = Date.parse("2027-03-01T12:00:00Z");
const hour = 3_600_000;

async function serve(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "candor-binding-"));
  const place = { data: join(folder, "data"), keyFile: join(folder, "candor.key") };
  prepareKeys({ ...place, now: noon });
  const port = await freePort();
  const founded = openHouse({ ...place, environment: {}, mayBeNew: true, write: () => {} });
  const names = { pageName: "Acme", host: `https://${host}`, owner: "o@example.com" };
  const by = { kind: "operator" } as const;
  foundHouse(founded, { ...names, smtpUrl: "", acmeContact: "", timeZone: "UTC", now: noon, by });
  const authority = await createAuthority(noon);
  const { certificate, key } = await authority.issue([host]);
  const chain = certificate + authority.intermediate;
  importCertificate(founded.db, { chain, key, authority: authority.root, keys: founded.keys, now: noon });
  await founded.close();
  let now = noon;
  let newDays = 0;
  const server = await startServer({
    ...place,
    environment: {},
    clock: { now: () => now },
    overrides: { listen: "127.0.0.1:0", "https.listen": `127.0.0.1:${port}` },
    write: (line) => {
      if (line.includes('"page.new_day"')) newDays += 1;
    },
  });
  t.after(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });
  return {
    /** Until the timetable has looked. */
    becomes: async (at: number) => {
      const before = newDays;
      now = at;
      for (let tries = 0; newDays === before; tries++) {
        assert.ok(tries < 200, "no new day was pressed");
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    /** What a browser is told. Its own clock may be anywhere: the certificate isn't looked at. */
    said: (path: string) =>
      new Promise<string | undefined>((resolve, reject) => {
        const headers = { host: `${host}:${port}` };
        const where = { port, host: "127.0.0.1", servername: host, path, headers };
        const call = request({ ...where, agent: false, rejectUnauthorized: false }, (response) => {
          response.resume();
          assert.equal(response.statusCode, 200, path);
          resolve(response.headers["strict-transport-security"]);
        });
        call.on("error", reject);
        call.end();
      }),
  };
}

test("browsers are bound to https once a day of it is over, by the first new day after that", async (t) => {
  const { becomes, said } = await serve(t);
  const paths = ["/", "/history", "/subscribe", "/api/v2/summary.json"];
  const all = () => Promise.all(paths.map(said));
  const nothing = paths.map(() => undefined);
  assert.deepEqual(await all(), nothing);
  await becomes(noon + 12 * hour);
  assert.deepEqual(await all(), nothing, "after half a day");
  await becomes(noon + 36 * hour);
  assert.deepEqual(
    await all(),
    paths.map(() => "max-age=31536000"),
  );
});
