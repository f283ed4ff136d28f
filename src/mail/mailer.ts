/**
 * Takes letters from the queue to the mail server. It promises: at least once, in the order of the queue, to one reader
 * one at a time (else a server that lets one address wait would hold every connection, and letters about several
 * incidents would arrive in any order), no more at a time than mail.connections, no faster than mail.letters_per_second, and never more than a few milliseconds of the event
 * loop at once. While the mail server can't be had nothing is lost or counted: everything waits and is tried again.
 */
import type { Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import type { Keys } from "../crypto/keyring.ts";
import type { Db } from "../db.ts";
import type { Log } from "../log.ts";
import { takeTurn } from "../turns.ts";
import { countQueue } from "./ledger.ts";
import { createPace } from "./pace.ts";
import { createPool, type Envelope, type Pool } from "./pool.ts";
import { type ClaimedDelivery, claimDeliveries, nextDueAt, releaseLeases } from "./queue.ts";
import { type Bounce, createRecorder } from "./recorder.ts";
import { readRelay, relayKey } from "./relay.ts";
import { isRecipientGone, type SendOutcome, withoutAddresses } from "./replies.ts";
import { checkRelay, type RelayCheck } from "./smtp.ts";

export type { ClaimedDelivery } from "./queue.ts";
export type { Bounce } from "./recorder.ts";

export type PreparedLetter =
  | { outcome: "send"; envelope: Envelope; message: () => Buffer }
  | { outcome: "suppressed" | "superseded"; reason: string };

/** Asked right before a letter leaves, so that who left meanwhile gets none. The same delivery must give the same Message-ID. */
export type LetterSource = (delivery: ClaimedDelivery) => PreparedLetter;

/** `paused` is the server's words while it can't be had; `retryAt` when it is tried next, in UTC milliseconds. */
export type MailerState = { queued: number; paused: string | undefined; retryAt: number | undefined };

export type Mailer = {
  /** Call after a transaction that queued something, and when a mail setting changed. */
  wake(): void;
  /** The same for a person who knows more than we do: a mail server that couldn't be had is tried at once. */
  tryNow(): void;
  /** Resolves when nothing that is due can be sent now: all went, or the mail server can't be had. */
  idle(): Promise<void>;
  /** Lets letters under way finish (10 s at most), records them, and gives back the rest. */
  stop(): Promise<void>;
  state(): MailerState;
  /** Connects and signs in, sends nothing. Where that works, what waits for the server goes too. */
  check(): Promise<RelayCheck | { outcome: "not_configured" }>;
};

const claimSize = 50;
/** Leased letters that wait for their reader's turn; beyond these no more are leased. */
const mostReady = 1000;
const sliceMs = 2;
const pauseMs = [5_000, 10_000, 30_000, 60_000, 300_000];
const narrowMs = 60_000;
const stopMs = 10_000;
/** Letters that wait for their pace go out a few at a time. */
const shortestSleepMs = 5;
/** The longest sleep: a clock that was set, or a setting changed behind our back, is noticed after it. */
const longestSleepMs = 60_000;
const pausedSleepMs = 5_000;

export function createMailer(input: {
  db: Db;
  keys: Keys;
  config: Config;
  clock: Clock;
  log: Log;
  letters: LetterSource;
  onBounce: (bounce: Bounce) => void;
}): Mailer {
  const { db, keys, config, clock, log } = input;
  const pace = createPace(() => performance.now());
  /** Each with the connections that it goes over: a new mail server doesn't wait for the one before it. */
  const inFlight = new Map<number, Pool>();
  /** Whoever has a letter under way. */
  const served = new Set<number>();
  let ready: ClaimedDelivery[] = [];
  let road: { key: string; pool: Pool | undefined } | undefined;
  let failures = 0;
  let pause: { reason: string; retryAt: number; key: string } | undefined;
  /** Fewer connections than the setting, where the server takes no more. */
  let narrow: { most: number; until: number } | undefined;
  let dry = true;
  let stopping = false;
  let gone = false;
  let soon = false;
  let alarm: NodeJS.Timeout | undefined;
  let troubled = false;
  let waiters: (() => void)[] = [];

  const released = releaseLeases(db);
  if (released > 0) log.info("mail.leases_released", { letters: released });

  const again = () => {
    if (stopping || soon) return;
    soon = true;
    takeTurn(turn);
  };
  const sleep = (ms: number, keepsProcess = false) => {
    clearTimeout(alarm);
    if (stopping) return;
    alarm = setTimeout(() => {
      dry = false;
      again();
    }, ms);
    if (!keepsProcess) alarm.unref();
  };

  /** One slice of work; everything that happens asks for another. */
  const turn = () => {
    soon = false;
    if (stopping) return;
    try {
      if (!troubled && recorder.waiting() > 0) recordWhatCame();
      if (!troubled && !isPaused()) sendWhatMayGo();
      if (inFlight.size === 0 && ready.length === 0) recorder.write();
      // Also while a letter is under way: its server may keep it waiting when others are due.
      if (dry && !pause && !troubled && placeOfNext() < 0) sleepUntilDue();
    } catch (error) {
      trouble(error);
    }
    settle();
  };

  /**
   * What is under way and what came back without being on record are together no more than the connections, so that a
   * crash repeats no more than that. Half of them share a commit, because it costs more than a letter.
   */
  const mayGo = (pool: Pool | undefined): boolean => {
    if (!pool) return true;
    let going = recorder.waiting();
    for (const over of inFlight.values()) if (over === pool) going += 1;
    return going < mostAtOnce(pool);
  };

  const recordWhatCame = () => {
    const pool = road?.pool;
    if (!pool || recorder.waiting() >= mostAtOnce(pool) / 2) recorder.write();
    else recorder.writeSoon();
  };

  const isPaused = (): boolean => {
    if (!pause) return false;
    const left = pause.retryAt - clock.now();
    if (left > 0 && pause.key === relayKey(config)) {
      sleep(Math.min(left, pausedSleepMs));
      return true;
    }
    if (pause.key !== relayKey(config)) failures = 0;
    pause = undefined;
    dry = false;
    return false;
  };

  const sendWhatMayGo = () => {
    const pool = currentPool();
    const until = performance.now() + sliceMs;
    const rate = config.number("mail.letters_per_second");
    while (!pause && !troubled && mayGo(pool)) {
      const place = placeOfNext();
      if (place < 0) {
        if (dry || ready.length >= mostReady) return;
        const claimed = claimDeliveries(db, { now: clock.now(), limit: claimSize });
        ready.push(...claimed);
        dry = claimed.length < claimSize;
        // A claim is work enough for one turn.
        return claimed.length === 0 ? undefined : again();
      }
      const wait = pool ? pace.take(rate) : 0;
      if (wait > 0) return sleep(Math.max(wait, shortestSleepMs), true);
      const [delivery] = ready.splice(place, 1);
      if (delivery) begin(delivery, pool);
      if (performance.now() > until) return again();
    }
  };

  /** Of the first letter whose reader has none under way; negative when there is none. */
  const placeOfNext = (): number =>
    ready.findIndex(({ subscriberSeq }) => subscriberSeq === undefined || !served.has(subscriberSeq));

  /** Doubles with the connections that stand: one letter tries whether the mail server is there at all. */
  const mostAtOnce = (pool: Pool): number => {
    const most = config.number("mail.connections");
    if (narrow && performance.now() > narrow.until) narrow = undefined;
    return Math.min(most, narrow?.most ?? most, Math.max(1, 2 * pool.open()));
  };

  const currentPool = (): Pool | undefined => {
    const key = relayKey(config);
    if (road?.key !== key) {
      road?.pool?.close();
      const relay = readRelay(config);
      road = { key, pool: relay ? createPool(relay, again) : undefined };
      narrow = undefined;
    }
    return road.pool;
  };

  const begin = (delivery: ClaimedDelivery, pool: Pool | undefined) => {
    const { id } = delivery;
    let envelope: Envelope;
    let message: Buffer;
    try {
      const letter = input.letters(delivery);
      if (letter.outcome !== "send") {
        recorder.note({ id, outcome: letter.outcome, reason: letter.reason });
        return;
      }
      message = letter.message();
      envelope = letter.envelope;
    } catch (error) {
      log.error("mail.letter_failed", { deliveryId: id, error });
      recorder.note({ id, outcome: "deferred", reply: "Candor couldn't write this letter; its log says why." });
      return;
    }
    if (!pool) {
      recorder.note({ id, outcome: "kept", letter: message.toString("latin1") });
      return;
    }
    inFlight.set(id, pool);
    if (delivery.subscriberSeq !== undefined) served.add(delivery.subscriberSeq);
    pool.send(envelope, message).then(
      (result) => finish(delivery, pool, result),
      (error) => {
        log.error("mail.send_failed", { deliveryId: id, error });
        finish(delivery, pool, { outcome: "deferred", reply: "Candor couldn't send this letter; its log says why." });
      },
    );
  };

  const finish = (delivery: ClaimedDelivery, pool: Pool, result: SendOutcome) => {
    if (gone) return;
    const { id, subscriberSeq } = delivery;
    inFlight.delete(id);
    if (subscriberSeq !== undefined) served.delete(subscriberSeq);
    if (result.outcome === "unreachable") {
      cannotReach(delivery, pool, result.reply);
    } else {
      if (failures > 0) log.info("mail.reachable");
      failures = 0;
      note(delivery, result);
    }
    again();
  };

  const note = (delivery: ClaimedDelivery, result: Exclude<SendOutcome, { outcome: "unreachable" }>) => {
    const { id, subscriberSeq } = delivery;
    const { outcome, reply } = result;
    let bounce: Bounce | undefined;
    if (result.outcome === "bounced") {
      log.info("mail.bounced", { deliveryId: id, code: result.code });
      if (isRecipientGone(result)) bounce = { deliveryId: id, subscriberSeq, code: result.code ?? "", reply };
    }
    recorder.note({ id, outcome, reply }, bounce);
  };

  const cannotReach = (delivery: ClaimedDelivery, pool: Pool, reply: string) => {
    if (pool.open() > 0 && !stopping) {
      // Other connections stand: the server takes no more than these. Go on with fewer.
      narrow = { most: pool.open(), until: performance.now() + narrowMs };
      ready.unshift(delivery);
      return;
    }
    recorder.giveBack([delivery.id, ...ready.map((waiting) => waiting.id)]);
    ready = [];
    if (pause || road?.pool !== pool) return;
    const wait = pauseMs[Math.min(failures, pauseMs.length - 1)] ?? 5_000;
    const detail = { words: withoutAddresses(reply), retrySeconds: wait / 1000 };
    if (failures === 0) log.warn("mail.unreachable", detail);
    else log.debug("mail.still_unreachable", detail);
    failures += 1;
    pause = { reason: reply, retryAt: clock.now() + wait, key: road.key };
  };

  /** A full disk, say. What is known stays in memory and is written when the disk takes it; nothing new leaves before. */
  const trouble = (error: unknown) => {
    if (troubled) return;
    log.error("mail.queue_failed", { error });
    troubled = true;
    if (stopping) return;
    setTimeout(() => {
      troubled = false;
      dry = false;
      recorder.write();
      again();
    }, 1_000).unref();
  };

  const sleepUntilDue = () => {
    const next = nextDueAt(db);
    if (next === undefined) return;
    const left = next - clock.now();
    sleep(Math.max(1, Math.min(left, longestSleepMs)));
  };

  const isQuiet = () =>
    inFlight.size === 0 && recorder.waiting() + ready.length === 0 && !soon && (dry || pause !== undefined);

  const settle = () => {
    if (waiters.length === 0 || !(isQuiet() || stopping)) return;
    const told = waiters;
    waiters = [];
    for (const tell of told) tell();
  };

  const recorder = createRecorder({
    ...{ db, keys, config, clock, log },
    onBounce: input.onBounce,
    onTrouble: trouble,
    onWritten: () => again(),
  });
  const wake = () => {
    dry = false;
    again();
  };
  const mailer: Mailer = {
    wake,
    tryNow: () => {
      pause = undefined;
      mailer.wake();
    },
    idle: () => {
      if (stopping) return Promise.resolve();
      wake();
      return new Promise((resolve) => waiters.push(resolve));
    },
    stop: async () => {
      stopping = true;
      clearTimeout(alarm);
      recorder.giveBack(ready.map((waiting) => waiting.id));
      ready = [];
      const deadline = performance.now() + stopMs;
      road?.pool?.close();
      while (inFlight.size > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
      recorder.giveBack([...inFlight.keys()]);
      recorder.write();
      gone = true;
      recorder.stop();
      road?.pool?.abort();
      settle();
    },
    state: () => {
      const count = countQueue(db);
      return { queued: count.queued + count.leased + count.deferred, paused: pause?.reason, retryAt: pause?.retryAt };
    },
    check: async () => {
      const relay = readRelay(config);
      if (!relay) return { outcome: "not_configured" };
      const seen = await checkRelay(relay);
      if (seen.outcome === "reached") mailer.tryNow();
      return seen;
    },
  };
  return mailer;
}
