/**
 * The letters: what each delivery says, and to whom. A letter about an update is composed once and shared by all its
 * readers; whether its reader still wants it is asked right before it leaves.
 */
import { and, eq, gt, inArray, sql } from "drizzle-orm";
import type { Clock } from "../clock.ts";
import { listComponents } from "../components/components.ts";
import type { Config } from "../config.ts";
import { linkMac, seal, unseal } from "../crypto/fields.ts";
import type { Keys } from "../crypto/keyring.ts";
import type { Db } from "../db.ts";
import { type Story, tellStory } from "../incidents/stories.ts";
import { requireAddress } from "../mail/address.ts";
import { composeLetter, confirmToken, type LetterForm, manageToken as manageMark } from "../mail/compose.ts";
import type { ClaimedDelivery, LetterSource, PreparedLetter } from "../mail/mailer.ts";
import { findPage, hostName, originOf, type Page } from "../pages/pages.ts";
import type { Render } from "../render.ts";
import { announcements, deliveries, incidents, incidentUpdates, subscribers } from "../schema.ts";
import { confirmationLifeMs, confirmationToken, manageToken } from "../subscribers/links.ts";
import { bySeq } from "../subscribers/subscribers.ts";
import { updateWords, type WrittenLetter } from "./words.ts";

type Room = { db: Db; keys: Keys; config: Config; render: Render; clock: Clock };
type Ready = { form: LetterForm; incidentId: string; from: string; origin: string };
/** `wording` changes whenever the incident's title or the update's words do. */
type Kept = Ready & { wording: string };

const incidentGone: PreparedLetter = { outcome: "suppressed", reason: "Its incident was deleted." };

/** Composed letters kept ready: as many as are likely to be under way at once. */
const mostReady = 20;

export function createLetters(room: Room): LetterSource {
  const { db, keys } = room;
  const ready = new Map<number, Kept>();
  const findReader = db
    .select({ id: subscribers.id, address: subscribers.address, state: subscribers.state })
    .from(subscribers)
    .where(eq(subscribers.seq, sql.placeholder("seq")))
    .prepare();
  const findWording = db
    .select({ at: incidentUpdates.updatedAt, title: incidents.name })
    .from(announcements)
    .innerJoin(incidentUpdates, eq(incidentUpdates.id, announcements.updateId))
    .innerJoin(incidents, eq(incidents.id, incidentUpdates.incidentId))
    .where(eq(announcements.id, sql.placeholder("id")))
    .prepare();

  /** Letters may wait for hours; a typo that was put right on the page meanwhile mustn't leave with them. */
  const composed = (announcementId: number): Ready | undefined => {
    const wording = JSON.stringify(findWording.get({ id: announcementId }));
    const known = ready.get(announcementId);
    if (known?.wording === wording) return known;
    const fresh = composeUpdate(room, announcementId);
    if (!fresh) return undefined;
    const made = { ...fresh, wording };
    ready.set(announcementId, made);
    for (const oldest of ready.keys()) {
      if (ready.size <= mostReady) break;
      ready.delete(oldest);
    }
    return made;
  };

  const prepareUpdate = (announcementId: number, delivery: ClaimedDelivery): PreparedLetter => {
    const seq = delivery.subscriberSeq as number;
    const reader = findReader.get({ seq });
    if (reader?.state !== "active" || !reader.address)
      return { outcome: "suppressed", reason: "No longer subscribed." };
    const letter = composed(announcementId);
    if (!letter) return incidentGone;
    const { form, incidentId, from, origin } = letter;
    if (delivery.attempts > 0 && getsNewer(db, { incidentId, announcementId, seq })) {
      return { outcome: "superseded", reason: "A newer update of the same incident is on its way." };
    }
    const to = unseal(keys, { column: "subscribers.address", row: reader.id }, reader.address);
    const token = manageToken(keys, reader.id);
    return {
      outcome: "send",
      envelope: { from, to },
      message: () =>
        form.splice({
          address: to,
          messageId: messageId(keys, `${announcementId}|${reader.id}`, from),
          links: { manage: `${origin}/subscription/${token}` },
          listUnsubscribe: `${origin}/unsubscribe/${token}`,
        }),
    };
  };

  return (delivery) => {
    if (delivery.kind === "update") {
      const { announcementId } = delivery;
      if (announcementId === undefined) return incidentGone;
      return prepareUpdate(announcementId, delivery);
    }
    return delivery.kind === "confirmation" ? prepareConfirmation(room, delivery) : prepareTest(room, delivery);
  };
}

/** @returns undefined when the incident was deleted after its letters had been taken up */
function composeUpdate(room: Room, announcementId: number): Ready | undefined {
  const { db, render, clock } = room;
  const row = db
    .select({ pageId: announcements.pageId, incidentId: incidentUpdates.incidentId, updateId: incidentUpdates.id })
    .from(announcements)
    .innerJoin(incidentUpdates, eq(incidentUpdates.id, announcements.updateId))
    .where(eq(announcements.id, announcementId))
    .get();
  if (!row) return undefined;
  const page = findPage(db, row.pageId);
  const origin = originOf(db, page.id);
  const story = tellStory(db, { pageId: page.id, id: row.incidentId });
  const update = story.updates.find((one) => one.id === row.updateId) as Story["updates"][number];
  const letter = updateWords(render, {
    page,
    origin,
    components: listComponents(db, page.id, "with"),
    incident: story,
    update,
    manageLink: manageMark,
  });
  const sender = senderOf(room.config, page, origin);
  const form = composeLetter({
    ...sender,
    ...letter,
    listId: listIdOf(origin),
    thread: threadOf(row.incidentId, sender.from.address),
    date: clock.now(),
    links: ["manage"],
  });
  return { form, incidentId: row.incidentId, from: sender.from.address, origin };
}

/**
 * A confirmation link is made when the letter leaves, so that it stands nowhere before. Who asked although they are
 * subscribed, perhaps because they lost their link, is sent it.
 */
function prepareConfirmation(room: Room, delivery: ClaimedDelivery): PreparedLetter {
  const { db, keys, render, clock } = room;
  const subscriber = bySeq(db, delivery.subscriberSeq as number);
  const waits = subscriber && ["unconfirmed", "quarantined"].includes(subscriber.state);
  const isLate = clock.now() - (subscriber?.confirmationSentAt ?? 0) > confirmationLifeMs;
  const already = subscriber?.state === "active" && delivery.createdAt >= (subscriber.confirmedAt ?? 0);
  if (!subscriber?.address || !(already || (waits && !isLate))) {
    return { outcome: "suppressed", reason: "No longer waiting for confirmation." };
  }
  const page = findPage(db, delivery.pageId);
  const origin = originOf(db, page.id);
  const view = { pageName: page.name, origin, confirmLink: confirmToken, manageLink: manageMark };
  const name = already ? "already" : "confirmation";
  const letter: WrittenLetter = {
    subject: already ? `You are subscribed to ${page.name}` : `Confirm your subscription to ${page.name}`,
    text: render(`mail/${name}.txt`, view),
    html: render(`mail/${name}.html`, view),
  };
  const link = already
    ? { manage: `${origin}/subscription/${manageToken(keys, subscriber.id)}` }
    : { confirm: `${origin}/subscribe/confirm/${confirmationToken(keys, subscriber)}` };
  const sender = senderOf(room.config, page, origin);
  const form = composeLetter({ ...sender, ...letter, date: clock.now(), links: [already ? "manage" : "confirm"] });
  const to = unseal(keys, { column: "subscribers.address", row: subscriber.id }, subscriber.address);
  return {
    outcome: "send",
    envelope: { from: sender.from.address, to },
    message: () =>
      form.splice({
        address: to,
        messageId: messageId(keys, `confirm|${delivery.id}`, sender.from.address),
        links: link,
      }),
  };
}

function prepareTest(room: Room, delivery: ClaimedDelivery): PreparedLetter {
  const { db, keys, render, clock } = room;
  if (!delivery.address) return { outcome: "suppressed", reason: "The test letter has no address." };
  const page = findPage(db, delivery.pageId);
  const origin = originOf(db, page.id);
  const sender = senderOf(room.config, page, origin);
  const view = { pageName: page.name, origin };
  const form = composeLetter({
    ...sender,
    subject: `Test letter from ${page.name}`,
    text: render("mail/test.txt", view),
    html: render("mail/test.html", view),
    date: clock.now(),
    links: [],
  });
  const to = unseal(keys, { column: "deliveries.address", row: delivery.id }, delivery.address);
  const id = messageId(keys, `test|${delivery.id}`, sender.from.address);
  return {
    outcome: "send",
    envelope: { from: sender.from.address, to },
    message: () => form.splice({ address: to, messageId: id, links: {} }),
  };
}

/** @returns the delivery's number, to look up what became of it */
export function queueTestLetter(db: Db, input: { pageId: string; address: string; keys: Keys; now: number }): number {
  const address = requireAddress(input.address);
  return db.transaction((tx) => {
    const { id } = tx
      .insert(deliveries)
      .values({ pageId: input.pageId, kind: "test", state: "queued", nextAttemptAt: 0, createdAt: input.now })
      .returning({ id: deliveries.id })
      .get();
    const sealed = seal(input.keys, { column: "deliveries.address", row: id }, address);
    tx.update(deliveries).set({ address: sealed }).where(eq(deliveries.id, id)).run();
    return id;
  });
}

/** From the settings; else status@ the page's host. A page on a bare IP address has no name that mail can come from. */
export function senderOf(config: Config, page: Page, origin: string) {
  const host = hostName(new URL(origin));
  const named = /^[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z][a-z0-9-]*$/.test(host);
  const address = config.text("mail.from") || `status@${named ? host : "localhost.localdomain"}`;
  const replyTo = config.text("mail.reply_to");
  return { from: { name: page.name, address }, ...(replyTo ? { replyTo } : {}) };
}

function listIdOf(origin: string): string {
  return hostName(new URL(origin)).replace(/[[\]:]/g, "-");
}

/** The same for every attempt of the same letter, so that a repeat after a crash is recognised. */
function messageId(keys: Keys, subject: string, from: string): string {
  return `<${linkMac(keys, "message-id", subject)}@${domainOf(from)}>`;
}

/** What all letters about an incident answer to, so that mail programs show them as one thread; no letter's own id. */
function threadOf(incidentId: string, from: string): string {
  return `<incident-${incidentId}@${domainOf(from)}>`;
}

function domainOf(address: string): string {
  return address.slice(address.lastIndexOf("@") + 1);
}

/** One that is held, was dropped or doesn't concern the reader doesn't count: this letter is then the best they get. */
function getsNewer(db: Db, input: { incidentId: string; announcementId: number; seq: number }): boolean {
  const newer = db
    .select({ id: deliveries.id })
    .from(incidentUpdates)
    .innerJoin(announcements, eq(announcements.updateId, incidentUpdates.id))
    .innerJoin(
      deliveries,
      and(eq(deliveries.announcementId, announcements.id), eq(deliveries.subscriberSeq, input.seq)),
    )
    .where(
      and(
        eq(incidentUpdates.incidentId, input.incidentId),
        gt(announcements.id, input.announcementId),
        inArray(deliveries.state, ["queued", "leased", "deferred", "sent", "kept"]),
      ),
    )
    .limit(1)
    .get();
  return newer !== undefined;
}
