/** TXT records that the operator's program shows for us. Each is noted before it is put up, so that a crash leaves none in the DNS. */
import { and, eq } from "drizzle-orm";
import type { Clock } from "../clock.ts";
import type { Db } from "../db.ts";
import type { Log } from "../log.ts";
import { dnsRecords } from "../schema.ts";
import { AuthorityProblem } from "./authority.ts";
import { listOpenOrders } from "./orders.ts";
import type { Wishes } from "./wishes.ts";

export type DnsRecord = { name: string; value: string };

export type DnsRecords = {
  /** @throws AuthorityProblem when the program can't change the DNS */
  present(record: DnsRecord): Promise<void>;
  /**
   * Once it is up, and unless an open order shows it as well. Never throws: what the program couldn't take out is told in the
   * log, and tried once more after the next start.
   */
  cleanUp(record: DnsRecord): Promise<void>;
  /** For the start: takes out what was left by a process that was killed. */
  cleanUpLeft(): Promise<void>;
  /** Resolves when the program isn't running. */
  idle(): Promise<unknown>;
};

export function createDnsRecords(input: { db: Db; clock: Clock; log: Log; wishes: () => Wishes }): DnsRecords {
  const { db, clock, log, wishes } = input;
  /** The program's last run for each record: it isn't put up and taken out at the same time. */
  const running = new Map<string, Promise<void>>();

  const inTurn = ({ name, value }: DnsRecord, run: () => Promise<void>): Promise<void> => {
    const key = `${name} ${value}`;
    const before = running.get(key) ?? Promise.resolve();
    const turn = before.then(run, run);
    running.set(key, turn);
    const end = () => {
      if (running.get(key) === turn) running.delete(key);
    };
    turn.then(end, end);
    return turn;
  };

  const isShown = ({ value }: DnsRecord) => listOpenOrders(db).some((order) => order.keyAuthorization === value);

  const forget = ({ name, value }: DnsRecord) =>
    void db
      .delete(dnsRecords)
      .where(and(eq(dnsRecords.name, name), eq(dnsRecords.value, value)))
      .run();

  const takeOut = async (record: DnsRecord): Promise<void> => {
    const { dnsHook } = wishes();
    const { name, value } = record;
    try {
      if (!dnsHook) throw new Error("acme.dns_hook isn't set any more.");
      if (isShown(record)) return;
      await dnsHook("cleanup", name, value);
    } catch (error) {
      log.warn("certificate.hook_failed", { name, detail: error instanceof Error ? error.message : String(error) });
      return;
    }
    try {
      forget(record);
    } catch (error) {
      // Taken out once more after the next start, which harms nobody.
      log.info("certificate.record_not_forgotten", { name, error });
    }
  };

  const cleanUp = (record: DnsRecord) => inTurn(record, () => takeOut(record));

  return {
    present: (record) =>
      inTurn(record, async () => {
        const { dnsHook } = wishes();
        if (!dnsHook) return;
        const { name, value } = record;
        db.insert(dnsRecords).values({ name, value, createdAt: clock.now() }).onConflictDoNothing().run();
        await dnsHook("present", name, value).catch((error: Error) => {
          throw new AuthorityProblem({ type: "hook", detail: error.message }, 0);
        });
      }),
    cleanUp,
    cleanUpLeft: async () => {
      const left = db
        .select()
        .from(dnsRecords)
        .all()
        .filter((record) => !isShown(record));
      for (const record of left) {
        await cleanUp(record);
        if (!isShown(record)) forget(record);
      }
    },
    idle: () => Promise.allSettled(running.values()),
  };
}
