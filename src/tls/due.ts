/** What is due for a name, and of which authority it is asked. */
import type { Db } from "../db.ts";
import type { Certificate, Chooser } from "./certificates.ts";
import { mayAskAt } from "./limits.ts";
import { failuresInARow, findOpenOrder, goesOnAt, type Order } from "./orders.ts";
import { believable, latestRenewal, longestPauseMs } from "./renewal.ts";
import { patience } from "./verdicts.ts";
import type { Wishes } from "./wishes.ts";

type Source = { directory: string; replaces?: string };
type Question = { name: string; best: Chooser; wish: Wishes; now: number };

/** The questions that cost little come first: this is asked of every name in every pass. */
export function isDue(db: Db, { name, best, wish, now }: Question): boolean {
  const certificate = best(name, now);
  if (certificate && now < renewalOf(certificate)) return false;
  if (findOpenOrder(db, { name, purpose: "serve" })) return false;
  const [last] = failuresInARow(db, { name, purpose: "serve" });
  if (last && now < goesOnAt(last, now)) return false;
  return now >= mayAskAt(db, { name, ...sourceFor(db, { name, best, wish, now }), now });
}

/** When the next order begins, as far as can be told, and whether it would have begun but for a limit of the authority. */
export function nextOrder(db: Db, { name, best, wish, now }: Question): { at: number; isHeld: boolean } {
  const certificate = best(name, now);
  const [last] = failuresInARow(db, { name, purpose: "serve" });
  const due = Math.max(certificate ? renewalOf(certificate) : now, last ? goesOnAt(last, now) : 0);
  const free = mayAskAt(db, { name, ...sourceFor(db, { name, best, wish, now }), now });
  return { at: Math.max(due, free), isHeld: due <= now && free > now };
}

/** A certificate that came after the order was begun, a person's own perhaps, makes it needless. Not told by a clock, which may be wrong. */
export function isOvertaken(order: Order, best: Chooser, now: number): boolean {
  const certificate = best(order.name, now);
  if (order.purpose === "test" || !certificate || now >= renewalOf(certificate)) return false;
  return certificate.row > (order.begunAfter ?? 0);
}

export function sourceFor(db: Db, { name, best, wish, now }: Question): Source {
  const certificate = best(name, now);
  const sources = wish.authorities.map(({ directory }) =>
    certificate?.directory === directory && certificate.renewalId
      ? { directory, replaces: certificate.renewalId }
      : { directory },
  );
  return chooseSource(db, { name, sources, now });
}

/**
 * The first authority, until it failed several times in a row; from then on they take turns. For any reason, because what
 * keeps one from finding the host may not keep the other. One whose limit is reached is passed over.
 */
function chooseSource(db: Db, input: { name: string; sources: Source[]; now: number }): Source {
  const { name, sources, now } = input;
  let tries = 0;
  let turn = 0;
  for (const { problem, stumbles } of failuresInARow(db, { name, purpose: "serve" }).toReversed()) {
    if (tries >= patience) turn += 1;
    // One that wants to be left alone isn't asked three times, nor one that keeps an order for hours.
    else tries += problem === "rateLimited" || problem === "stuck" ? patience : stumbles + 1;
  }
  if (tries >= patience) turn += 1;
  const inTurn = sources.map((_, index) => sources[(turn + index) % sources.length] as Source);
  return inTurn.find((source) => mayAskAt(db, { name, ...source, now }) <= now) ?? (inTurn[0] as Source);
}

/**
 * The authority is asked for the window of what is served, and of nothing that was replaced or has expired (RFC 9773, 4.3);
 * an authority that isn't chosen any more is asked nothing.
 */
export function asksWindow(certificate: Certificate, input: { best: Chooser; wish: Wishes; now: number }): boolean {
  const { id, names, directory, notAfter, askWindowAt } = certificate;
  const { best, wish, now } = input;
  if (askWindowAt === null || believable(askWindowAt, now, longestPauseMs) > now || notAfter <= now) return false;
  return best(names[0] ?? "", now)?.id === id && wish.authorities.some((known) => known.directory === directory);
}

/** One that a person brought is theirs to renew; ours takes over when they are late. */
function renewalOf(certificate: Certificate): number {
  return certificate.renewAt ?? latestRenewal(certificate);
}
