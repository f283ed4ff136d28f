/** Strict-Transport-Security as visitors get it, while the server runs and nobody tells it to look. */
import assert from "node:assert/strict";
import { request } from "node:https";
import { type TestContext, test } from "node:test";
import { createAuthority } from "../support/authority.ts";
import { freePort } from "../support/ports.ts";
import { importIssued, startFounded } from "../support/started.ts";

const host = "status.example.com";
/** The page's days begin at midnight in UTC: here it is noon. */
const noon = Date.parse("2027-03-01T12:00:00Z");
const hour = 3_600_000;

async function serve(t: TestContext) {
  const authority = await createAuthority(noon);
  const issued = await authority.issue([host]);
  const port = await freePort();
  let now = noon;
  const server = await startFounded({
    host: `https://${host}`,
    clock: { now: () => now },
    overrides: { "https.listen": `127.0.0.1:${port}` },
    first: (founded) => importIssued(founded, authority, issued),
  });
  t.after(server.stop);
  const newDays = () => server.lines.filter((line) => line.includes('"page.new_day"')).length;
  return {
    /** Until the timetable has looked. */
    becomes: async (at: number) => {
      const before = newDays();
      now = at;
      for (let tries = 0; newDays() === before; tries++) {
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

test("browsers are bound to https once a day of it is over, on every page", async (t) => {
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
