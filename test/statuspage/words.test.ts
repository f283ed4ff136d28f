import assert from "node:assert/strict";
import { test } from "node:test";
import { formatTime, plannedHours } from "../../src/statuspage/words.ts";

const at = Date.parse("2026-11-27T02:00:00Z");
const hour = 3_600_000;

test("a zone has the name that people there give it, and an offset where English has none", () => {
  const said = (zone: string) => formatTime(at, zone, "moment");
  assert.equal(said("Europe/London"), "27 Nov 2026, 02:00 GMT");
  assert.equal(said("Europe/Berlin"), "27 Nov 2026, 03:00 CET");
  assert.equal(said("America/New_York"), "26 Nov 2026, 21:00 EST");
  assert.equal(said("America/St_Johns"), "26 Nov 2026, 22:30 NST");
  assert.equal(said("Australia/Sydney"), "27 Nov 2026, 13:00 AEDT");
  assert.equal(said("Asia/Kolkata"), "27 Nov 2026, 07:30 IST");
  assert.equal(said("Asia/Tokyo"), "27 Nov 2026, 11:00 GMT+9");
  assert.equal(formatTime(Date.parse("2026-07-01T12:00:00Z"), "America/New_York", "clock"), "08:00 EDT");
});

test("hours of one day are said with their day of the week and one date, others with both", () => {
  const said = (from: number, until: number, zone: string) => {
    const hours = plannedHours(from, until, zone);
    return `${hours.from.text} to ${hours.until.text}`;
  };
  assert.equal(said(at, at + 2 * hour, "Europe/London"), "Fri 27 Nov 2026, 02:00 to 04:00 GMT");
  assert.equal(said(at, at + 4 * hour, "America/New_York"), "Thu 26 Nov 2026, 21:00 EST to Fri 27 Nov 2026, 01:00 EST");
  // On that day the clocks go back between the two.
  const autumn = Date.parse("2026-10-25T00:00:00Z");
  assert.equal(
    said(autumn, autumn + 3 * hour, "Europe/Berlin"),
    "Sun 25 Oct 2026, 02:00 CEST to Sun 25 Oct 2026, 04:00 CET",
  );
});
