/** What a browser asks before a script of another site's page may speak to the public API (Fetch standard, CORS). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openTestHouse } from "../support/house.ts";

test("another site's script may ask with an entity tag and a wish for JSON, and may read the tag", async (t) => {
  const house = await openTestHouse();
  t.after(() => house.close());
  const preflight = await house.visit("/api/v2/summary.json", {
    method: "OPTIONS",
    headers: {
      origin: "https://www.example.net",
      "access-control-request-method": "GET",
      "access-control-request-headers": "accept,if-none-match",
    },
  });
  assert.equal(preflight.status, 204);
  const allowed = String(preflight.headers["access-control-allow-headers"]).split(", ");
  // Pages that trace their requests add headers of their own to each: traceparent, sentry-trace, x-requested-with.
  for (const name of ["accept", "content-type", "if-none-match", "*"]) assert.ok(allowed.includes(name), name);
  const answer = await house.visit("/api/v2/nothing.json", { headers: { origin: "https://www.example.net" } });
  assert.equal(answer.headers["access-control-expose-headers"], "etag");
  assert.equal(answer.headers["access-control-allow-origin"], "*");
});
