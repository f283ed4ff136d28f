import type { Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import type { Keys } from "../crypto/keyring.ts";
import type { Db } from "../db.ts";
import type { Log } from "../log.ts";
import { takeTurn } from "../turns.ts";
import { type DeliveryOutcome, recordOutcomes, returnUnsent } from "./queue.ts";

/** The mail server said that no letter will ever reach this recipient. `subscriberSeq` is undefined for a test letter. */
export type Bounce = { deliveryId: number; subscriberSeq: number | undefined; code: string; reply: string };

export type Recorder = {
  /** Outcomes are written before the next letter leaves, when there are 50, or after 8 ms. */
  note(outcome: DeliveryOutcome, bounce?: Bounce): void;
  giveBack(ids: number[]): void;
  /** Writes what is known in one transaction. */
  write(): void;
  /** The same within eight milliseconds. */
  writeSoon(): void;
  /** What isn't written yet. */
  waiting(): number;
  stop(): void;
};

const batch = 50;
const soonMs = 8;

/**
 * Gathers what became of letters and writes it in batches, because a commit costs more than a letter. `onTrouble` is
 * told when the disk refuses: everything stays here, for the next `write`.
 */
export function createRecorder(input: {
  db: Db;
  keys: Keys;
  config: Config;
  clock: Clock;
  log: Log;
  onBounce: (bounce: Bounce) => void;
  onWritten: () => void;
  onTrouble: (error: unknown) => void;
}): Recorder {
  const { db, keys, config, clock, log } = input;
  let outcomes: DeliveryOutcome[] = [];
  let unsent: number[] = [];
  let bounces: Bounce[] = [];
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const waiting = () => outcomes.length + unsent.length;
  const write = () => {
    clearTimeout(timer);
    timer = undefined;
    if (waiting() === 0) return;
    try {
      if (unsent.length > 0) returnUnsent(db, unsent);
      unsent = [];
      const giveUpHours = config.number("mail.give_up_hours");
      if (outcomes.length > 0) recordOutcomes(db, { keys, now: clock.now(), giveUpHours, outcomes });
      outcomes = [];
    } catch (error) {
      input.onTrouble(error);
      return;
    }
    const told = bounces;
    bounces = [];
    for (const bounce of told) {
      try {
        input.onBounce(bounce);
      } catch (error) {
        log.error("mail.bounce_failed", { deliveryId: bounce.deliveryId, error });
      }
    }
    input.onWritten();
  };
  const writeIfOpen = () => {
    if (!stopped) write();
  };
  const writeSoon = () => {
    if (outcomes.length >= batch) write();
    else timer ??= setTimeout(() => takeTurn(writeIfOpen), soonMs);
  };
  return {
    note: (outcome, bounce) => {
      outcomes.push(outcome);
      if (bounce) bounces.push(bounce);
      writeSoon();
    },
    giveBack: (ids) => {
      unsent.push(...ids);
      writeSoon();
    },
    write,
    writeSoon,
    waiting,
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
