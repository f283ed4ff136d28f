import assert from "node:assert/strict";
import { test } from "node:test";
import type { Component } from "../../src/components/components.ts";
import { drawDays, lastDays, startOfDay } from "../../src/statuspage/days.ts";

const zone = "Europe/Berlin";
const component = (fields: Partial<Component> = {}) =>
  ({ status: "operational", startDate: null, createdAt: 0, ...fields }) as Component;
const change = (at: string, oldStatus: any, newStatus: any) => ({
  componentId: "c",
  oldStatus,
  newStatus,
  at: Date.parse(at),
});

function draw(now: string, changes: ReturnType<typeof change>[], fields: Partial<Component> = {}) {
  const at = Date.parse(now);
  const span = lastDays(at, zone);
  return { span, days: drawDays({ component: component(fields), changes, span, now: at, timeZone: zone }) };
}

test("a day belongs to the page's zone, and may have 23 or 25 hours", () => {
  const { starts, dates } = lastDays(Date.parse("2026-10-30T12:00:00Z"), zone);
  const long = dates.indexOf("2026-10-25");
  assert.equal((starts[long + 1] as number) - (starts[long] as number), 25 * 3_600_000);
  const spring = lastDays(Date.parse("2026-04-01T12:00:00Z"), zone);
  const short = spring.dates.indexOf("2026-03-29");
  assert.equal((spring.starts[short + 1] as number) - (spring.starts[short] as number), 23 * 3_600_000);
  assert.equal(startOfDay("2026-07-01", zone), Date.parse("2026-06-30T22:00:00Z"));
});

test("a day shows the worst it saw and for how long, across midnight too", () => {
  const { days } = draw("2026-11-23T12:00:00Z", [
    change("2026-11-20T22:00:00Z", "operational", "major_outage"), // 23:00 in Berlin
    change("2026-11-20T23:30:00Z", "major_outage", "degraded_performance"), // 00:30 on the 21st
    change("2026-11-21T01:00:00Z", "degraded_performance", "operational"),
  ]);
  const [the20th, the21st, the22nd] = days.slice(-4, -1);
  assert.deepEqual([the20th?.worst, the20th?.minutes], ["major_outage", 60]);
  assert.deepEqual([the21st?.worst, the21st?.minutes], ["major_outage", 120]);
  assert.deepEqual([the22nd?.worst, the22nd?.minutes], ["operational", 0]);
});

test("trouble that goes on is counted to now and not beyond", () => {
  const { days } = draw("2026-11-23T12:00:00Z", [change("2026-11-22T23:00:00Z", "operational", "partial_outage")], {
    status: "partial_outage",
  });
  assert.deepEqual([days.at(-1)?.worst, days.at(-1)?.minutes], ["partial_outage", 780]);
});

test("what began before the first day is known from the first change or from the present", () => {
  const steady = draw("2026-11-23T12:00:00Z", [], { status: "under_maintenance" });
  assert.ok(steady.days.every((day) => day.worst === "under_maintenance"));
  const ended = draw("2026-11-23T12:00:00Z", [change("2026-11-22T11:00:00Z", "degraded_performance", "operational")]);
  assert.equal(ended.days[0]?.worst, "degraded_performance");
  assert.equal(ended.days.at(-1)?.worst, "operational");
});

test("days before a component existed are unknown", () => {
  const { days } = draw("2026-11-23T12:00:00Z", [], { createdAt: Date.parse("2026-11-20T12:00:00Z") });
  assert.deepEqual(
    days.slice(-5).map((day) => day.worst),
    [undefined, "operational", "operational", "operational", "operational"],
  );
  assert.equal(draw("2026-11-23T12:00:00Z", [], { startDate: "2026-11-22" }).days.at(-3)?.worst, undefined);
});
