import { monitorEventLoopDelay } from "node:perf_hooks";

/** How long the event loop was held, at the worst, in this minute and the one before. Milliseconds. */
export function watchPauses(): { worstMs(): number; forget(): void; stop(): void } {
  const resolution = 10;
  const delay = monitorEventLoopDelay({ resolution });
  delay.enable();
  let before = 0;
  const timer = setInterval(() => {
    before = delay.max;
    delay.reset();
  }, 60_000);
  timer.unref();
  return {
    // The monitor counts its own interval in.
    worstMs: () => Math.max(0, Math.round((Math.max(before, delay.max) / 1e6 - resolution) * 10) / 10),
    /** Loading the program holds the loop too; once it runs, that is no longer news. */
    forget: () => delay.reset(),
    stop: () => {
      clearInterval(timer);
      delay.disable();
    },
  };
}
