/** What `GET /healthz` answers: whether the database can be read, anything be written, and https be had. */
import { accessSync, constants, statfsSync } from "node:fs";
import type { RequestListener } from "node:http";
import type { Deps } from "./deps.ts";
import { version } from "./embedded.ts";

/**
 * Anybody may ask, as often as they like: queue and disk are looked at once a second, and an unreadable database is an
 * answer.
 */
export function createHealth(house: Deps & { data: string }, pauses: { worstMs(): number }): RequestListener {
  let known = { trouble: undefined as Trouble | undefined, mail: {}, certificates: {}, until: 0 };
  const look = () => {
    const until = performance.now() + 1_000;
    const before = known.trouble;
    try {
      const { queued, paused } = house.mailer.state();
      const trouble = diskTrouble(house.data) ?? (house.certificates.isWaiting() ? "https_port_taken" : undefined);
      const certificates = { late: house.certificates.lateHosts(house.clock.now()).length };
      known = { trouble, mail: { queued, paused: paused !== undefined }, certificates, until };
    } catch (error) {
      if (before !== "database") house.log.error("health.failed", { error });
      known = { trouble: "database", mail: {}, certificates: {}, until };
    }
    if (known.trouble !== before)
      house.log[known.trouble ? "error" : "info"]("health.changed", { trouble: known.trouble ?? "none" });
  };
  return (_request, response) => {
    if (performance.now() >= known.until) look();
    const { trouble, mail, certificates } = known;
    const answer = { ok: trouble === undefined, version, mail, certificates, worstPauseMs: pauses.worstMs(), trouble };
    response
      .writeHead(answer.ok ? 200 : 503, {
        "content-type": "application/json; charset=utf-8",
        "cache-control": "no-store",
      })
      .end(JSON.stringify(answer));
  };
}

type Trouble = "database" | "disk_full" | "read_only" | "https_port_taken";

/** Bytes. Opening an incident takes a fifth of this; SQLite needs room for whole transactions, and the log for its lines. */
const leastRoom = 256 * 1024;

/** Whether anything can be written, asked without writing. */
function diskTrouble(data: string): "disk_full" | "read_only" | undefined {
  try {
    accessSync(data, constants.W_OK);
  } catch {
    return "read_only";
  }
  const { bavail, bfree, bsize } = statfsSync(data);
  // What file systems keep back is for root.
  const room = (process.getuid?.() === 0 ? bfree : bavail) * bsize;
  return room < leastRoom ? "disk_full" : undefined;
}
