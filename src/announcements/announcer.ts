import type { Clock } from "../clock.ts";
import type { Db } from "../db.ts";
import type { Log } from "../log.ts";
import { nextTurn } from "../turns.ts";
import { createExpander } from "./announcements.ts";

export type Announcer = {
  /** Call after a transaction that announced something. */
  wake(): void;
  /** Resolves when everything announced so far has been expanded. */
  idle(): Promise<void>;
  stop(): Promise<void>;
};

/** Expands announcements slice by slice: the first at once, each other in its turn. */
export function createAnnouncer(input: { db: Db; clock: Clock; log: Log; onQueued: () => void }): Announcer {
  const expandSlice = createExpander(input.db);
  let running: Promise<void> | undefined;
  let stopped = false;

  const run = async () => {
    while (!stopped) {
      let queued: number | undefined;
      try {
        queued = expandSlice({ now: input.clock.now() });
      } catch (error) {
        // A full disk, say. The cursor stands where it stood; the next wake (the timetable's, at the latest) goes on.
        input.log.error("announcement.expand_failed", { error });
        return;
      }
      if (queued === undefined) return;
      if (queued > 0) input.onQueued();
      await nextTurn();
    }
  };
  const wake = () => {
    running ??= run().finally(() => {
      running = undefined;
    });
  };
  return {
    wake,
    idle: async () => {
      wake();
      while (running) await running;
    },
    stop: async () => {
      stopped = true;
      await running;
    },
  };
}
