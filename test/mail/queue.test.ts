import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eq } from "drizzle-orm";
import { seal } from "../../src/crypto/fields.ts";
import {
  countQueue,
  dropDelivery,
  listDeliveries,
  pruneLedger,
  readKeptLetter,
  retryDelivery,
  showDelivery,
} from "../../src/mail/ledger.ts";
import {
  claimDeliveries,
  type DeliveryOutcome,
  deliveryAddress,
  nextDueAt,
  recordOutcomes,
  releaseLeases,
  returnUnsent,
} from "../../src/mail/queue.ts";
import { deliveries, subscribers } from "../../src/schema.ts";
import { type MailHouse, openMailHouse, start } from "./mail-house.ts";

const minute = 60_000;
const hour = 60 * minute;

function record(house: MailHouse, ...outcomes: DeliveryOutcome[]): void {
  recordOutcomes(house.db, { keys: house.keys, now: house.clock.now(), giveUpHours: 24, outcomes });
}
function queueTest(house: MailHouse): number {
  const row = { pageId: "page", kind: "test", state: "queued", nextAttemptAt: 0, createdAt: start } as const;
  const { id } = house.db.insert(deliveries).values(row).returning().get();
  const address = seal(house.keys, { column: "deliveries.address", row: id }, "me@example.com");
  house.db.update(deliveries).set({ address }).where(eq(deliveries.id, id)).run();
  return id;
}
function claim(house: MailHouse, limit = 100): number[] {
  return claimDeliveries(house.db, { now: house.clock.now(), limit }).map((one) => one.id);
}

describe("The queue", () => {
  it("leases what is due, once, oldest first", (t) => {
    const house = openMailHouse(t);
    const ids = house.queue("a@example.com", "b@example.com", "c@example.com");
    assert.deepEqual(claim(house, 2), ids.slice(0, 2));
    assert.deepEqual(house.stateOf(ids), ["leased", "leased", "queued"]);
    assert.deepEqual(claim(house), ids.slice(2));
    assert.deepEqual(claim(house), []);
  });

  it("lets a letter that a person waits for overtake an announcement", (t) => {
    const house = openMailHouse(t);
    const ids = house.queue("a@example.com", "b@example.com");
    house.clock.pass(minute);
    const test = queueTest(house);
    assert.deepEqual(claim(house), [test, ...ids]);
  });

  it("opens the sealed address of a test letter", (t) => {
    const house = openMailHouse(t);
    queueTest(house);
    const [claimed] = claimDeliveries(house.db, { now: start, limit: 1 });
    assert.ok(claimed);
    assert.equal(claimed.kind, "test");
    assert.equal(claimed.subscriberSeq, undefined);
    assert.equal(deliveryAddress(house.keys, claimed), "me@example.com");
  });

  it("backs off 1, 5, 15 minutes, 1, 2, 4, 4 hours and gives up after a day, with the last words", (t) => {
    const house = openMailHouse(t);
    const [id = 0] = house.queue("a@example.com");
    const pauses: number[] = [];
    while (house.delivery(id).state !== "bounced") {
      assert.deepEqual(claim(house), [id]);
      record(house, { id, outcome: "deferred", reply: "451 try later" });
      const row = house.delivery(id);
      if (row.state === "bounced") break;
      assert.equal(row.state, "deferred");
      const pause = row.nextAttemptAt - house.clock.now();
      assert.equal(nextDueAt(house.db), row.nextAttemptAt);
      pauses.push(pause / minute);
      house.clock.pass(pause - 1);
      assert.deepEqual(claim(house), []);
      house.clock.pass(1);
    }
    assert.deepEqual(pauses, [1, 5, 15, 60, 120, 240, 240, 240, 240, 240, 240]);
    const shown = showDelivery(house.db, { keys: house.keys, pageId: "page", id });
    assert.equal(shown.reply, "Given up after 24 hours. The last answer: 451 try later");
    assert.equal(shown.attempts, 12);
  });

  it("seals the server's words", (t) => {
    const house = openMailHouse(t);
    const [id = 0] = house.queue("a@example.com");
    claim(house);
    record(house, { id, outcome: "bounced", reply: "550 no a@example.com here" });
    assert.ok(!house.delivery(id).reply?.includes("example"));
    assert.equal(showDelivery(house.db, { keys: house.keys, pageId: "page", id }).reply, "550 no a@example.com here");
  });

  it("returns unsent letters without counting, and frees the leases of a dead process", (t) => {
    const house = openMailHouse(t);
    const ids = house.queue("a@example.com", "b@example.com");
    claim(house);
    returnUnsent(house.db, ids.slice(0, 1));
    assert.deepEqual(house.stateOf(ids), ["queued", "leased"]);
    assert.equal(releaseLeases(house.db), 1);
    assert.deepEqual(house.stateOf(ids), ["queued", "queued"]);
    assert.ok(ids.every((id) => house.delivery(id).attempts === 0));
  });

  it("passes over an outcome whose subscriber was erased meanwhile", (t) => {
    const house = openMailHouse(t);
    const [id = 0, other = 0] = house.queue("a@example.com", "b@example.com");
    claim(house);
    const seq = house.delivery(id).subscriberSeq ?? 0;
    house.db.delete(subscribers).where(eq(subscribers.seq, seq)).run();
    record(house, { id, outcome: "kept", letter: "x" }, { id: other, outcome: "sent", reply: "250 ok" });
    assert.deepEqual(house.stateOf([id, other]), ["gone", "sent"]);
  });
});

describe("The ledger", () => {
  it("lists a page's letters newest first, by state and in slices", (t) => {
    const house = openMailHouse(t);
    const ids = house.queue("a@example.com", "b@example.com", "c@example.com");
    claim(house, 1);
    const list = (more: object) => listDeliveries(house.db, { pageId: "page", limit: 2, ...more }).map((row) => row.id);
    assert.deepEqual(list({}), [ids[2], ids[1]]);
    assert.deepEqual(list({ before: ids[1] }), [ids[0]]);
    assert.deepEqual(list({ state: "leased" }), [ids[0]]);
    assert.deepEqual(listDeliveries(house.db, { pageId: "other", limit: 9 }), []);
    assert.deepEqual(countQueue(house.db), { queued: 2, leased: 1, deferred: 0, held: 0 });
    assert.deepEqual(countQueue(house.db, "other"), { queued: 0, leased: 0, deferred: 0, held: 0 });
  });

  it("tries a bounced letter again when asked, and never a sent one", (t) => {
    const house = openMailHouse(t);
    const [id = 0, sent = 0] = house.queue("a@example.com", "b@example.com");
    claim(house);
    record(house, { id, outcome: "bounced", reply: "550 no" }, { id: sent, outcome: "sent", reply: "250 ok" });
    house.clock.pass(hour);
    retryDelivery(house.db, { pageId: "page", id, now: house.clock.now() });
    assert.deepEqual(claim(house), [id]);
    const again = (of: number) => retryDelivery(house.db, { pageId: "page", id: of, now: start });
    assert.throws(() => again(sent), { fault: "conflict" });
    assert.throws(() => again(id), { fault: "conflict" });
    assert.throws(() => again(999), { fault: "not_found" });
    assert.throws(() => retryDelivery(house.db, { pageId: "other", id, now: start }), { fault: "not_found" });
  });

  it("lets a waiting letter be dropped, with the name of who did it", (t) => {
    const house = openMailHouse(t);
    const [id = 0, leased = 0] = house.queue("a@example.com", "b@example.com");
    const drop = (of: number) =>
      dropDelivery(house.db, { keys: house.keys, pageId: "page", id: of, by: "the operator" });
    drop(id);
    assert.deepEqual(claim(house), [leased]);
    const shown = showDelivery(house.db, { keys: house.keys, pageId: "page", id });
    assert.equal(shown.state, "suppressed");
    assert.equal(shown.reply, "dropped by the operator");
    assert.throws(() => drop(leased), { fault: "conflict" });
    assert.throws(() => drop(id), { fault: "conflict" });
  });

  it("keeps letters sealed and reads them back", (t) => {
    const house = openMailHouse(t);
    const [id = 0] = house.queue("a@example.com");
    claim(house);
    record(house, { id, outcome: "kept", letter: "Subject: x\r\n\r\nfor a@example.com" });
    assert.deepEqual(house.stateOf([id]), ["kept"]);
    const bytes = house.db.$client.prepare("SELECT letter FROM kept_letters").pluck().get() as Buffer;
    assert.ok(!bytes.includes("example"));
    const read = (pageId: string) => readKeptLetter(house.db, { keys: house.keys, pageId, id });
    assert.equal(read("page"), "Subject: x\r\n\r\nfor a@example.com");
    assert.throws(() => read("other"), { fault: "not_found" });
  });

  it("forgets old letters in bounded slices, kept ones with them, and leaves the young", (t) => {
    const house = openMailHouse(t);
    const old = house.queue("a@example.com", "b@example.com", "c@example.com");
    claim(house);
    record(house, ...old.map((id): DeliveryOutcome => ({ id, outcome: "kept", letter: "x" })));
    house.clock.pass(hour);
    const young = house.queue("d@example.com");
    const prune = () => pruneLedger(house.db, { before: start + 1, limit: 2 });
    assert.deepEqual([prune(), prune(), prune()], [2, 1, 0]);
    assert.deepEqual(house.stateOf([...old, ...young]), ["gone", "gone", "gone", "queued"]);
    assert.equal(house.keptCount(), 0);
    assert.equal(house.db.select().from(deliveries).all().length, 1);
  });
});
