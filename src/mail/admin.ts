/**
 * The ledger for the team: which letters wait, which went, and what the mail server said. Lists show masked addresses,
 * because they are looked at over shoulders; one letter's own page shows the whole address, because that is the question.
 */
import { queueTestLetter } from "../announcements/letters.ts";
import { type Subject, subjectsOf } from "../announcements/subjects.ts";
import { recordDeed } from "../audit/audit.ts";
import type { Deps } from "../deps.ts";
import { UserError } from "../errors.ts";
import type { Ctx, Route } from "../http.ts";
import { mailSentence } from "../pages/overview.ts";
import { deliveryStates } from "../schema.ts";
import { moment } from "../statuspage/words.ts";
import { addressOf, bySeq } from "../subscribers/subscribers.ts";
import { createDesk, type Fault, faultOf, goOn } from "../team/desk.ts";
import { maskAddress } from "./address.ts";
import {
  type DeliveryDetail,
  dropDelivery,
  listDeliveries,
  readKeptLetter,
  retryDelivery,
  showDelivery,
} from "./ledger.ts";
import { readLetter } from "./letter-text.ts";
import { kindWords, stateWords } from "./words.ts";

const pageSize = 50;
/** How long a test letter's sender is kept waiting for its outcome. */
const testWaitMs = 2_000;

export function mailAdmin(deps: Deps): Route[] {
  const { db, keys, clock } = deps;
  const desk = createDesk(deps);

  const subjects = (rows: { announcementId: number | null }[]) =>
    subjectsOf(db, [...new Set(rows.flatMap((row) => row.announcementId ?? []))]);

  const view = (c: Ctx, row: DeliveryDetail, subject: Subject | undefined) => {
    const zone = c.get("page").timeZone;
    const subscriber = row.subscriberSeq === null ? undefined : bySeq(db, row.subscriberSeq);
    const address = row.address ?? (subscriber && addressOf(keys, subscriber));
    return {
      id: row.id,
      kindWord: kindWords[row.kind],
      about: subject?.about ?? kindWords[row.kind],
      incidentId: subject?.incidentId,
      state: row.state,
      ...stateWords[row.state],
      attempts: row.attempts,
      reply: row.reply,
      address: address ?? "erased",
      masked: address ? maskAddress(address) : "erased",
      subscriberId: subscriber?.id,
      created: moment(row.createdAt, zone),
      sent: row.sentAt === null || row.state !== "sent" ? undefined : moment(row.sentAt, zone),
      next: row.state === "deferred" && row.nextAttemptAt > clock.now() ? moment(row.nextAttemptAt, zone) : undefined,
    };
  };

  const list = (c: Ctx, more: object = {}, status: 200 | 422 = 200) => {
    const pageId = c.get("page").id;
    const number = (name: string) => Number.parseInt(c.req.query(name) ?? "", 10) || undefined;
    const state = deliveryStates.find((known) => known === c.req.query("state"));
    const announcementId = number("announcement");
    const rows = listDeliveries(db, { pageId, state, announcementId, before: number("before"), limit: pageSize + 1 });
    const about = subjects(rows);
    const shown = rows
      .slice(0, pageSize)
      .map((row) => view(c, showDelivery(db, { keys, pageId, id: row.id }), about.get(row.announcementId ?? 0)));
    const filter = `${state ? `&state=${state}` : ""}${announcementId ? `&announcement=${announcementId}` : ""}`;
    const page = {
      title: "Mail",
      sentence: mailSentence(deps, pageId),
      kept: deps.config.text("mail.smtp_url") === "",
      rows: shown,
      states: deliveryStates.map((value) => ({ value, words: stateWords[value].stateWord, chosen: value === state })),
      announcementId,
      about: announcementId === undefined ? undefined : subjectsOf(db, [announcementId]).get(announcementId),
      filtered: state !== undefined || announcementId !== undefined,
      later: number("before") !== undefined,
      older: rows.length > pageSize ? `/admin/mail?before=${shown.at(-1)?.id}${filter}` : undefined,
      email: c.get("member").address,
    };
    return desk.page(c, "mail", { ...page, ...more }, status);
  };

  const found = (c: Ctx) => showDelivery(db, { keys, pageId: c.get("page").id, id: Number(c.req.param("id")) });
  const show = (c: Ctx, fault?: Fault) => {
    const row = found(c);
    const pageId = c.get("page").id;
    const raw = readKeptLetter(db, { keys, pageId, id: row.id });
    const letter = raw === undefined ? undefined : { ...readLetter(raw), raw };
    const may = {
      retry: ["deferred", "bounced", "suppressed", "kept", "queued"].includes(row.state),
      drop: ["queued", "deferred"].includes(row.state),
    };
    const title = `${kindWords[row.kind]}, number ${row.id}`;
    const about = subjects([row]).get(row.announcementId ?? 0);
    return desk.page(c, "delivery", { ...view(c, row, about), title, can: may, letter, fault }, fault ? 422 : 200);
  };

  const change = (c: Ctx) => {
    const deed = c.get("form").one("deed");
    if (deed !== "retry" && deed !== "drop") throw new UserError("invalid", "Choose what to do with this letter.");
    const { id } = found(c);
    const pageId = c.get("page").id;
    try {
      db.transaction((tx) => {
        if (deed === "retry") retryDelivery(tx, { pageId, id, now: clock.now() });
        else dropDelivery(tx, { keys, pageId, id, by: c.get("member").address });
        recordDeed(tx, c.get("actor"), clock.now(), { pageId, action: `mail.${deed}`, subject: String(id) });
      });
    } catch (error) {
      return show(c, faultOf(error));
    }
    if (deed === "retry") deps.mailer.tryNow();
    return goOn(c, `/admin/mail/${id}`, deed === "retry" ? "retried" : "removed");
  };

  const test = async (c: Ctx) => {
    const email = c.get("form").one("email");
    const pageId = c.get("page").id;
    try {
      const id = queueTestLetter(db, { pageId, address: email, keys, now: clock.now() });
      recordDeed(db, c.get("actor"), clock.now(), { pageId, action: "mail.test", subject: String(id) });
      // A person asks whether it works now: no pause stands in the way of the answer.
      deps.mailer.tryNow();
      await Promise.race([deps.mailer.idle(), new Promise((resolve) => setTimeout(resolve, testWaitMs).unref())]);
      return goOn(c, `/admin/mail/${id}`, "tested");
    } catch (error) {
      return list(c, { email, fault: faultOf(error) }, 422);
    }
  };

  const enter = { who: "member", role: "publisher" } as const;
  return [
    { method: "GET", path: "/admin/mail", enter, run: (c) => list(c), givesWay: 1 },
    { method: "POST", path: "/admin/mail", enter, run: test, givesWay: 3 },
    { method: "GET", path: "/admin/mail/:id", enter, run: (c) => show(c), givesWay: 1 },
    { method: "POST", path: "/admin/mail/:id", enter, run: change, givesWay: 3 },
  ];
}
