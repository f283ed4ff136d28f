/** What the API's doors share: paging as Statuspage counts it, who does what to which page, and routes with two methods. */
import { type BodyRecord, MalformedRequest } from "./api-body.ts";
import type { Actor } from "./audit/audit.ts";
import type { Deps } from "./deps.ts";
import type { Ctx, Route } from "./http.ts";
import { derivedId } from "./ids.ts";

/** Statuspage's clients change things by PATCH and by PUT, and mean the same. */
export function patchOrPut(
  path: string,
  enter: Route["enter"],
  run: Route["run"],
  givesWay?: Route["givesWay"],
): Route[] {
  const step = givesWay === undefined ? {} : { givesWay };
  return (["PATCH", "PUT"] as const).map((method) => ({ method, path, enter, run, ...step }));
}

export function doing(deps: Deps, c: Ctx): { pageId: string; now: number; by: Actor } {
  return { pageId: c.get("page").id, now: deps.clock.now(), by: c.get("actor") };
}

/**
 * The id of what a request with an `Idempotency-Key` makes (draft-ietf-httpapi-idempotency-key-header): whoever sends it again,
 * because no answer came, finds it there, for as long as it exists and over restarts. Another body under the same key makes
 * something else: a program that has one key for an alert and its end must not lose the end.
 */
export function onceId(c: Ctx, path: string, body: BodyRecord): string | undefined {
  const key = c.req.header("idempotency-key")?.trim();
  if (!key) return undefined;
  if (key.length > 255) throw new MalformedRequest("Give an Idempotency-Key of at most 255 characters.");
  return derivedId(JSON.stringify([c.get("actor"), c.get("page").id, path, key, body]));
}

const mostRows = 100;

/**
 * Pages count from 1, those of subscribers from 0. There is no header that says how many there are: a page with fewer
 * rows than its size is the last. That is why a size above 100 is refused and not cut.
 */
export function paging(c: Ctx, how: { size: "per_page" | "limit"; first?: 0 | 1 }): { limit: number; offset: number } {
  const first = how.first ?? 1;
  const limit = wholeNumber(c, how.size, { least: 1, most: mostRows }) ?? mostRows;
  const page = wholeNumber(c, "page", { least: first, most: 1_000_000 }) ?? first;
  return { limit, offset: (page - first) * limit };
}

/** A whole number in the query. @throws MalformedRequest */
export function wholeNumber(c: Ctx, name: string, bounds: { least: number; most: number }): number | undefined {
  const text = c.req.query(name);
  if (text === undefined || text === "") return undefined;
  const number = Number(text);
  if (/^\d{1,15}$/.test(text) && number >= bounds.least && number <= bounds.most) return number;
  throw new MalformedRequest(`Give ${name} as a whole number from ${bounds.least} to ${bounds.most}.`, name);
}

/** One of the words in the query. @throws MalformedRequest */
export function choiceOf<Word extends string>(c: Ctx, name: string, words: readonly Word[]): Word | undefined {
  const text = c.req.query(name);
  if (text === undefined || text === "") return undefined;
  const word = words.find((known) => known === text);
  if (word === undefined) throw new MalformedRequest(`Give ${name} as one of: ${words.join(", ")}.`, name);
  return word;
}

export function isYes(c: Ctx, name: string): boolean {
  return ["true", "1"].includes(choiceOf(c, name, ["true", "false", "1", "0"]) ?? "");
}
