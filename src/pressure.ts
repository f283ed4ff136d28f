/**
 * What gives way when the server can't keep up: lists of the team and of programs first, then new subscriptions, then
 * what programs write that tells nobody anything. Public pages and publishing never do.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";

/** 0: everything is served. Each step refuses what the one before refuses, and more. */
export type Strain = 0 | 1 | 2 | 3;

export type Pressure = {
  strain(): Strain;
  /** Measures from now on. */
  watch(): { stop(): void };
};

const everyMs = 500;
const resolutionMs = 10;
/** How late the event loop comes round on the average of half a second, for each step. */
const stepsMs = [40, 100, 250];
/** Seconds after which whoever was refused may try again. */
export const tryAgainAfterSeconds = 10;

export function createPressure(): Pressure {
  let strain: Strain = 0;
  return {
    strain: () => strain,
    watch: () => {
      const delay = monitorEventLoopDelay({ resolution: resolutionMs });
      delay.enable();
      const timer = setInterval(() => {
        strain = nextStrain(strain, delay.mean / 1e6 - resolutionMs);
        delay.reset();
      }, everyMs);
      timer.unref();
      return {
        stop: () => {
          clearInterval(timer);
          delay.disable();
          strain = 0;
        },
      };
    },
  };
}

/** Up at once, down a step at a time: what was refused comes back together. */
export function nextStrain(before: Strain, lateMs: number): Strain {
  const now = stepsMs.filter((step) => lateMs >= step).length as Strain;
  return now >= before ? now : ((before - 1) as Strain);
}
