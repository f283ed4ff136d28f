/** An authority that doesn't come in, and leaves the challenge pending with what it met, to be told again (RFC 8555, 8.2; step-ca, Caddy). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { serveByAcme } from "../support/acme-house.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { needs } from "../support/need.ts";
import { startPebble } from "../support/pebble.ts";

const skip = needs("pebble", "pebble-challtestsrv");

test("an authority that didn't come in and leaves the challenge pending is asked anew, another way", {
  skip,
}, async (t) => {
  const pebble = await startPebble(t);
  const proxy = await startFaultProxy(t, pebble);
  const error = { type: "urn:ietf:params:acme:error:connection", detail: "The server could not connect", status: 400 };
  let told = 0;
  proxy.instead = ({ path }) => {
    if (!path.startsWith("/chalZ")) return undefined;
    told += 1;
    const body = JSON.stringify({ type: "http-01", status: "pending", token: "t", url: "u", error });
    return told > 1 ? undefined : { status: 200, headers: { "content-type": "application/json" }, body };
  };
  proxy.change = (given, { path }) => {
    if (!path.startsWith("/authZ") || told !== 1) return;
    const authorization = JSON.parse(given.body.toString());
    for (const challenge of authorization.challenges) if (challenge.type === "http-01") challenge.error = error;
    given.body = Buffer.from(JSON.stringify(authorization));
  };
  const house = await serveByAcme(t, { ...pebble, directory: proxy.directory, caFile: proxy.caFile });
  await house.until(() => told === 1);
  let passed = 0;
  await house.until(() => {
    house.skipAhead(30_000);
    passed += 30_000;
    return house.certificates().length === 1 || passed > 4 * 3_600_000;
  });
  assert.equal(house.certificates().length, 1, `in four hours: told ${told} times, ${JSON.stringify(house.orders())}`);
});
