/** How often an authority is asked for a certificate's renewal window, whatever it wishes (RFC 9773, 4.3). */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { serveByAcme } from "../support/acme-house.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { needs } from "../support/need.ts";
import { startPebble } from "../support/pebble.ts";

const skip = needs("pebble", "pebble-challtestsrv");
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** The first days of a certificate. @returns when it was asked */
async function live(t: TestContext, input: { retryAfter?: string; forMs: number; stepMs: number; status?: number }) {
  const pebble = await startPebble(t);
  const proxy = await startFaultProxy(t, pebble);
  const asked: number[] = [];
  const far = (days: number) => new Date(Date.now() + days * day).toISOString();
  const window = JSON.stringify({ suggestedWindow: { start: far(400), end: far(401) } });
  const { retryAfter, forMs, stepMs, status } = input;
  proxy.window = () => ({ body: window, ...(retryAfter ? { retryAfter } : {}) });
  proxy.instead = ({ path }) => {
    if (!path.startsWith("/renewal-info/")) return undefined;
    asked.push(house.deps.clock.now());
    return status ? { status, ...(retryAfter ? { headers: { "retry-after": retryAfter } } : {}) } : undefined;
  };
  const house = await serveByAcme(t, { ...pebble, directory: proxy.directory, caFile: proxy.caFile });
  await house.until(() => asked.length === 1);
  const { keeper } = house.deps;
  for (let passed = 0; passed < forMs; passed += stepMs) {
    await keeper.idle();
    house.skipAhead(stepMs);
    keeper.scanSoon();
    keeper.wake();
  }
  await keeper.idle();
  return asked.slice(1).map((at, index) => at - (asked[index] ?? 0));
}

for (const [words, input] of [
  ["that is content with once a month", { retryAfter: String(30 * 86_400) }],
  ["that is content with every twenty hours", { retryAfter: String(20 * 3_600) }],
  ["that names a date far away", { retryAfter: new Date(Date.now() + 30 * day).toUTCString() }],
  ["that refuses for a month", { retryAfter: String(30 * 86_400), status: 503 }],
] as const) {
  test(`an authority ${words} is asked for its window twice a day all the same`, { skip }, async (t) => {
    const pauses = await live(t, { ...input, forMs: 3 * day, stepMs: hour });
    assert.ok(pauses.length >= 5, `asked again ${pauses.length} times in three days`);
    // The timetable of this test looks once an hour.
    assert.ok(Math.max(...pauses) <= 13 * hour, `${Math.max(...pauses) / hour} hours`);
  });
}

for (const [words, input] of [
  ["that wants to be asked every second", { retryAfter: "1" }],
  ["that fails and wants to be asked every second", { retryAfter: "1", status: 503 }],
] as const) {
  test(`an authority ${words} is asked for its window once an hour and not more`, { skip }, async (t) => {
    const pauses = await live(t, { ...input, forMs: 6 * hour, stepMs: 5 * minute });
    assert.ok(pauses.length >= 5, `asked again ${pauses.length} times in six hours`);
    assert.ok(Math.min(...pauses) >= hour, `${Math.min(...pauses) / minute} minutes`);
  });
}

test("an authority that wishes nothing is asked for its window every six hours", { skip }, async (t) => {
  const pauses = await live(t, { forMs: day, stepMs: hour });
  assert.ok(pauses.length >= 3, `asked again ${pauses.length} times in a day`);
  assert.ok(Math.min(...pauses) >= 6 * hour && Math.max(...pauses) <= 7 * hour, pauses.join(" "));
});
