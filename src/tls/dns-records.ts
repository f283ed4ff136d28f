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
  /** Never throws: what the program couldn't take out is told in the log, and tried once more after the next start. */
  cleanUp(record: DnsRecord): Promise<void>;
  /** For the start: takes out what was left by a process that was killed. */
  cleanUpLeft(): Promise<void>;
};

export function createDnsRecords(input: { db: Db; clock: Clock; log: Log; wishes: () => Wishes }): DnsRecords {
  const { db, clock, log, wishes } = input;

  const forget = ({ name, value }: DnsRecord) =>
    void db
      .delete(dnsRecords)
      .where(and(eq(dnsRecords.name, name), eq(dnsRecords.value, value)))
      .run();

  const cleanUp = async (record: DnsRecord): Promise<void> => {
    const { dnsHook } = wishes();
    const { name, value } = record;
    try {
      if (!dnsHook) throw new Error("acme.dns_hook isn't set any more.");
      await dnsHook("cleanup", name, value);
      forget(record);
    } catch (error) {
      log.warn("certificate.hook_failed", { name, detail: error instanceof Error ? error.message : String(error) });
    }
  };

  return {
    present: async ({ name, value }) => {
      const { dnsHook } = wishes();
      if (!dnsHook) return;
      db.insert(dnsRecords).values({ name, value, createdAt: clock.now() }).onConflictDoNothing().run();
      await dnsHook("present", name, value).catch((error: Error) => {
        throw new AuthorityProblem({ type: "hook", detail: error.message }, 0);
      });
    },
    cleanUp,
    cleanUpLeft: async () => {
      const shown = new Set(listOpenOrders(db).map(({ keyAuthorization }) => keyAuthorization));
      const left = db
        .select()
        .from(dnsRecords)
        .all()
        .filter(({ value }) => !shown.has(value));
      for (const record of left) {
        await cleanUp(record);
        forget(record);
      }
    },
  };
}
