import assert from "node:assert/strict";
import { test } from "node:test";
import { giveWay, nextTurn, takeTurn } from "../../src/turns.ts";

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

test("while pages are asked for without a break, work rests four times as long as it took; else not at all", async () => {
  const burn = (ms: number) => {
    for (const until = performance.now() + ms; performance.now() < until; );
  };
  const restsAfter = async (pieces: number, crowd: () => void) => {
    const rests: number[] = [];
    let ended = performance.now();
    for (let count = 0; count < pieces; count++) {
      takeTurn(() => {
        rests.push(performance.now() - ended);
        burn(2);
        ended = performance.now();
      });
    }
    let over = false;
    const ask = () => {
      crowd();
      if (!over) setImmediate(ask);
    };
    ask();
    await nextTurn();
    over = true;
    return rests.slice(1);
  };
  const crowded = await restsAfter(20, giveWay);
  // A machine that stops for a while makes a break, and one between two pieces makes a rest of those that are alone.
  assert.ok(crowded.filter((rest) => rest >= 8).length > 10, crowded.join(" "));
  await new Promise((resolve) => setTimeout(resolve, 5));
  const alone = await restsAfter(20, () => {});
  assert.ok(alone.filter((rest) => rest < 8).length > 10, alone.join(" "));
});

test("whoever is served asks for a turn that comes after everybody else who waits", async () => {
  const seen: string[] = [];
  await new Promise<void>((resolve) => {
    setTimeout(() => {
      takeTurn(() => {
        seen.push("turn");
        resolve();
      });
      setImmediate(() => seen.push("this round"));
      setTimeout(() => seen.push("served"));
      for (const until = performance.now() + 3; performance.now() < until; );
    });
  });
  assert.deepEqual(seen, ["this round", "served", "turn"]);
});
