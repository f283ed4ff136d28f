/** The timetable of background work, and its loop. */
import type { Deps } from "./deps.ts";
import { advanceMaintenance } from "./incidents/maintenance.ts";
import { pruneLedger } from "./mail/ledger.ts";
import { forgetUnconfirmed } from "./subscribers/subscribers.ts";
import { forgetOldLinks } from "./team/members.ts";
import { endExpiredSessions } from "./team/sessions.ts";
import { forgetUnused } from "./tls/certificates.ts";
import { forgetOldOrders } from "./tls/orders.ts";
import { takeTurn } from "./turns.ts";

type Job = { name: string; everyMs: number; run: (deps: Deps) => unknown };

const second = 1000;
const minute = 60 * second;
const day = 24 * 60 * minute;
export const timetable: Job[] = [
  { name: "press the new day", everyMs: second, run: (deps) => void deps.press.pressNewDay() },
  { name: "say what holds of https", everyMs: minute, run: (deps) => deps.press.readHosts() },
  // While much is written, so often that there is never so much of it that a visitor notices: two milliseconds of work.
  { name: "move much of the log into the database", everyMs: 25, run: (deps) => deps.store.checkpoint(125) },
  { name: "move the log into the database", everyMs: 250, run: (deps) => deps.store.checkpoint() },
  { name: "begin and end maintenance", everyMs: second, run: tellOfMaintenance },
  { name: "look after certificates", everyMs: 250, run: (deps) => deps.keeper.wake() },
  { name: "forget old certificates", everyMs: 10 * minute, run: forgetOldCertificates },
  { name: "expand announcements", everyMs: 30 * second, run: (deps) => deps.announcer.wake() },
  { name: "deliver what is due", everyMs: 30 * second, run: (deps) => deps.mailer.wake() },
  {
    name: "forget who never confirmed",
    everyMs: 10 * minute,
    run: (deps) => void forgetUnconfirmed(deps.db, { now: deps.clock.now() }),
  },
  { name: "end old sessions and links", everyMs: 10 * minute, run: endOldSessions },
  { name: "prune the ledger", everyMs: minute, run: pruneOldLetters },
];

function tellOfMaintenance(deps: Deps): void {
  const { db, clock, config, press, announcer } = deps;
  const changed = advanceMaintenance(db, { now: clock.now(), burstFactor: config.number("mail.burst_factor") });
  for (const { pageId, incidentId } of changed) press.press(pageId, incidentId);
  if (changed.length > 0) announcer.wake();
}

function endOldSessions(deps: Deps): void {
  endExpiredSessions(deps.db, { now: deps.clock.now() });
  forgetOldLinks(deps.db, { now: deps.clock.now() });
}

function forgetOldCertificates(deps: Deps): void {
  const { db, clock, certificates } = deps;
  forgetOldOrders(db, { now: clock.now() });
  certificates.reload();
  forgetUnused(db, { now: clock.now(), isUnusable: certificates.isUnusable });
}

function pruneOldLetters(deps: Deps): void {
  pruneLedger(deps.db, { before: deps.clock.now() - deps.config.number("mail.ledger_days") * day, limit: 1000 });
}

/** A job that fails is logged and tried again at its next hour; it never takes the others with it. */
export function startJobs(deps: Deps): { stop(): void } {
  let stopped = false;
  const run = (job: Job) => {
    if (stopped) return;
    try {
      job.run(deps);
    } catch (error) {
      deps.log.error("job.failed", { job: job.name, error });
    }
  };
  const timers = timetable.map((job) => {
    const timer = setInterval(() => takeTurn(() => run(job)), job.everyMs);
    timer.unref();
    return timer;
  });
  return {
    stop: () => {
      stopped = true;
      for (const timer of timers) clearInterval(timer);
    },
  };
}
