/**
 * The queue and the ledger, for programs: what became of each letter, and what a person may still change about it.
 * Addresses are in it, so it needs publisher; a test letter goes to any address, so it needs page_config.
 */

import { queueTestLetter, senderOf } from "../announcements/letters.ts";
import { readBody } from "../api-body.ts";
import { needText } from "../api-fields.ts";
import { choiceOf, doing, wholeNumber } from "../api-routes.ts";
import { recordDeed } from "../audit/audit.ts";
import type { Deps } from "../deps.ts";
import type { Ctx, Route } from "../http.ts";
import { originOf } from "../pages/pages.ts";
import { type DeliveryState, deliveryStates } from "../schema.ts";
import { iso, isoOrNull } from "../statuspage/shapes.ts";
import { addressOf, bySeq } from "../subscribers/subscribers.ts";
import {
  countQueue,
  type DeliveryBrief,
  dropDelivery,
  listDeliveries,
  readKeptLetter,
  retryDelivery,
  showDelivery,
} from "./ledger.ts";
import { readLetter } from "./letter-text.ts";

const testWaitMs = 20_000;
const pollMs = 100;

export function mailApi(deps: Deps): Route[] {
  const { db, keys, mailer } = deps;
  const which = (c: Ctx) => ({ pageId: c.get("page").id, id: Number(c.req.param("id")), keys });
  const brief = (row: DeliveryBrief) => {
    const subscriber = row.subscriberSeq === null ? undefined : bySeq(db, row.subscriberSeq);
    const waits = row.state === "queued" || row.state === "deferred";
    return {
      id: row.id,
      page_id: row.pageId,
      kind: row.kind,
      state: row.state,
      announcement_id: row.announcementId,
      subscriber_id: subscriber?.id ?? null,
      email: (subscriber && addressOf(keys, subscriber)) ?? null,
      attempts: row.attempts,
      // A letter that overtakes the others is due since time began.
      next_attempt_at: waits ? iso(Math.max(row.nextAttemptAt, row.createdAt)) : null,
      sent_at: isoOrNull(row.sentAt),
      created_at: iso(row.createdAt),
    };
  };
  const detail = (at: ReturnType<typeof which>) => {
    const { reply, address, ...row } = showDelivery(db, at);
    const shape = brief(row);
    const letter = readKeptLetter(db, at);
    const read = letter === undefined ? undefined : readLetter(letter);
    return {
      ...shape,
      email: address ?? shape.email,
      reply: reply ?? null,
      subject: read?.headers.find(({ name }) => name === "Subject")?.value ?? null,
      text: read?.text ?? null,
      letter: letter ?? null,
    };
  };
  /** A test letter has no subscriber; its address is on the letter. */
  const listed = (pageId: string, row: DeliveryBrief) => {
    const shape = brief(row);
    return { ...shape, email: shape.email ?? showDelivery(db, { pageId, id: row.id, keys }).address ?? null };
  };

  const list = (c: Ctx) => {
    const state = choiceOf<DeliveryState>(c, "state", deliveryStates);
    const before = wholeNumber(c, "before", { least: 1, most: Number.MAX_SAFE_INTEGER });
    const limit = wholeNumber(c, "limit", { least: 1, most: 100 }) ?? 100;
    const pageId = c.get("page").id;
    return c.json(listDeliveries(db, { pageId, state, before, limit }).map((row) => listed(pageId, row)));
  };
  const queue = (c: Ctx) => {
    const { paused, retryAt } = mailer.state();
    return c.json({
      ...countQueue(db, c.get("page").id),
      paused: paused ?? null,
      retry_at: isoOrNull(retryAt ?? null),
    });
  };
  const retry = (c: Ctx) => {
    retryDelivery(db, { ...doing(deps, c), ...which(c) });
    note(c, "mail.retry");
    mailer.tryNow();
    return c.json(detail(which(c)));
  };
  const drop = (c: Ctx) => {
    dropDelivery(db, { ...which(c), by: c.env.operator ? "the operator" : "an API token" });
    note(c, "mail.drop");
    return c.json(detail(which(c)));
  };
  const note = (c: Ctx, action: string, subject = c.req.param("id") ?? "") =>
    recordDeed(db, c.get("actor"), deps.clock.now(), { pageId: c.get("page").id, action, subject });

  const test = async (c: Ctx) => {
    const address = needText(await readBody(c), "email");
    const pageId = c.get("page").id;
    const id = queueTestLetter(db, { pageId, address, keys, now: deps.clock.now() });
    note(c, "mail.test", String(id));
    const until = performance.now() + testWaitMs;
    const checking = mailer.check();
    mailer.wake();
    // A server that is reached ends a pause, so the letter is looked at afterwards.
    const check = await checking;
    const isOpen = () => ["queued", "leased"].includes(showDelivery(db, { pageId, id, keys }).state);
    while (isOpen() && mailer.state().paused === undefined && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
    const server =
      check.outcome === "reached"
        ? { outcome: check.outcome, encrypted: check.encrypted, verified: check.verified, signed_in: check.signedIn }
        : check;
    const sender = senderOf(deps.config, c.get("page"), originOf(db, pageId)).from.address;
    return c.json({ server, sender, paused: mailer.state().paused ?? null, letter: detail({ pageId, id, keys }) });
  };

  const enter = { who: "program", role: "publisher" } as const;
  const mail = "/v1/pages/:page/mail";
  const one = `${mail}/:id{[0-9]{1,15}}`;
  return [
    { method: "GET", path: mail, enter, run: list, givesWay: 1 },
    { method: "GET", path: `${mail}/queue`, enter, run: queue, givesWay: 1 },
    { method: "POST", path: `${mail}/test`, enter: { who: "program", role: "page_config" }, run: test, givesWay: 3 },
    { method: "GET", path: one, enter, run: (c) => c.json(detail(which(c))), givesWay: 1 },
    { method: "POST", path: `${one}/retry`, enter, run: retry, givesWay: 3 },
    { method: "DELETE", path: one, enter, run: drop, givesWay: 3 },
  ];
}
