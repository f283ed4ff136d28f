import assert from "node:assert/strict";
import { test } from "node:test";
import { nextTurn, takeTurn } from "../../src/turns.ts";

test("between two pieces of background work the event loop comes round", async () => {
  const seen: string[] = [];
  const round = () => {
    seen.push("round");
    if (seen.length < 20) setImmediate(round);
  };
  for (const name of ["first", "second", "third"]) takeTurn(() => seen.push(name));
  setImmediate(round);
  await nextTurn();
  const [first, second, third] = ["first", "second", "third"].map((name) => seen.indexOf(name)) as [
    number,
    number,
    number,
  ];
  assert.ok(first >= 0 && second > first && third > second);
  assert.ok(seen.slice(first, second).includes("round") && seen.slice(second, third).includes("round"), seen.join(" "));
});

test("work that fails doesn't keep the next piece from its turn", async () => {
  const caught: unknown[] = [];
  const listeners = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.once("uncaughtException", (error) => caught.push(error));
  takeTurn(() => {
    throw new Error("The work failed.");
  });
  await nextTurn();
  for (const listener of listeners) process.on("uncaughtException", listener);
  assert.equal(caught.length, 1);
});
