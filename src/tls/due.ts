/** What is due for a name, and of which authority it is asked. */
import type { Db } from "../db.ts";
import { type Certificate, type Chooser, neededAt } from "./certificates.ts";
import { mayAskAt } from "./limits.ts";
import { failuresInARow, findOpenOrder, goesOnAt, type Order } from "./orders.ts";
import { believable, longestPauseMs } from "./renewal.ts";
import { patience } from "./verdicts.ts";
import type { Wishes } from "./wishes.ts";

type Source = { directory: string; replaces?: string };
type Question = { name: string; best: Chooser; wish: Wishes; now: number };

/** Whether the name has nothing that can be served, or its renewal has come. Costs nothing: it is asked of every name in every pass. */
export function needsOne({ name, best, now }: Omit<Question, "wish">): boolean {
  return now >= neededAt(best, name, now);
}

/** Of which authority an order is begun now; undefined where none is. */
export function sourceIfDue(db: Db, question: Question): Source | undefined {
  const { name, now } = question;
  if (!needsOne(question) || findOpenOrder(db, { name, purpose: "serve" })) return undefined;
  const [last] = failuresInARow(db, { name, purpose: "serve" });
  if (last && now < goesOnAt(last, now)) return undefined;
  const { source, freeAt } = chooseSource(db, question);
  return freeAt <= now ? source : undefined;
}

/** When the next order begins, as far as can be told, and whether it would have begun but for a limit of the authority. */
export function nextOrder(db: Db, question: Question): { at: number; isHeld: boolean } {
  const { name, best, now } = question;
  const [last] = failuresInARow(db, { name, purpose: "serve" });
  const at = Math.max(neededAt(best, name, now), last ? goesOnAt(last, now) : now, now);
  // What is counted now may not count then.
  const { freeAt } = chooseSource(db, { ...question, now: at });
  return { at: freeAt, isHeld: at === now && freeAt > now };
}

/** A certificate that came after the order was begun, a person's own perhaps, makes it needless. Not told by a clock, which may be wrong. */
export function isOvertaken(order: Order, best: Chooser, now: number): boolean {
  const certificate = best(order.name, now);
  if (order.purpose === "test" || !certificate || now >= neededAt(best, order.name, now)) return false;
  return certificate.row > (order.begunAfter ?? 0);
}

/**
 * The first authority, until it failed several times in a row; from then on they take turns. For any reason, because what
 * keeps one from finding the host may not keep the other. One whose limit is reached is passed over; where all are, it is the
 * one that is free first.
 *
 * @returns freeAt: from when on its limits allow an order, `now` where they do
 */
export function chooseSource(db: Db, { name, best, wish, now }: Question): { source: Source; freeAt: number } {
  const certificate = best(name, now);
  const sources = wish.authorities.map(
    ({ directory }): Source =>
      certificate?.directory === directory && certificate.renewalId
        ? { directory, replaces: certificate.renewalId }
        : { directory },
  );
  let tries = 0;
  let turn = 0;
  for (const { problem, stumbles } of failuresInARow(db, { name, purpose: "serve" }).toReversed()) {
    if (tries >= patience) turn += 1;
    // One that wants to be left alone isn't asked three times, nor one that keeps an order for hours.
    else tries += problem === "rateLimited" || problem === "stuck" ? patience : stumbles + 1;
  }
  if (tries >= patience) turn += 1;
  const inTurn = sources.map((_, index) => sources[(turn + index) % sources.length] as Source);
  const ask = (source: Source) => ({ source, freeAt: mayAskAt(db, { name, purpose: "serve", ...source, best, now }) });
  const first = ask(inTurn[0] as Source);
  if (first.freeAt <= now) return first;
  const others = inTurn.slice(1).map(ask);
  return [first, ...others].reduce((soonest, other) => (other.freeAt < soonest.freeAt ? other : soonest));
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
