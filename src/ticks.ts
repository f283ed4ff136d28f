import { createHook } from "node:async_hooks";

let kept: object | undefined;

/**
 * Node makes an object for every `process.nextTick`, several of them a request. V8 knows their shape only while one is
 * alive: a garbage collection that finds none between the first calls and the optimised ones forgets it, and each later
 * call takes the slow way for good (7 times as long, a sixth of all requests a second). So one is kept.
 */
export function keepTicksFast(): void {
  if (kept) return;
  const hook = createHook({
    init: (_id, type, _trigger, resource) => {
      if (type === "TickObject") kept = resource;
    },
  });
  hook.enable();
  process.nextTick(() => {});
  hook.disable();
}
