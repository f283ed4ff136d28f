import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { simpleParser } from "mailparser";
import { readKeptLetter, showDelivery } from "../../src/mail/ledger.ts";
import { deliveries } from "../../src/schema.ts";
import { openMailHouse, start } from "./mail-house.ts";
import { refusal, startMailServer } from "./mail-server.ts";

const many = (count: number) => Array.from({ length: count }, (_, index) => `person-${index}@example.com`);
const warnings = (lines: string[]) => lines.filter((line) => line.includes('"warn"'));

describe("The mailer", () => {
  it("sends each queued letter once to its own recipient, over no more connections than set", async (t) => {
    const server = await startMailServer(t);
    const house = openMailHouse(t);
    house.set("mail.smtp_url", `smtp://127.0.0.1:${server.port}`);
    house.set("mail.connections", "3");
    const people = many(120);
    const ids = house.queue(...people);
    await house.open().idle();
    assert.deepEqual(server.received.flatMap((letter) => letter.to).toSorted(), people.toSorted());
    assert.ok(server.connections() <= 3);
    for (const id of ids) {
      const { state, attempts, sentAt, leasedUntil } = house.delivery(id);
      assert.deepEqual(
        { state, attempts, sentAt, leasedUntil },
        { state: "sent", attempts: 1, sentAt: start, leasedUntil: null },
      );
    }
    assert.match(showDelivery(house.db, { keys: house.keys, pageId: "page", id: ids[0] ?? 0 }).reply ?? "", /^250 /);
    const mail = await simpleParser(server.received[0]?.raw ?? "");
    assert.match(mail.text ?? "", /https:\/\/status\.example\.com\/m\/\d+\nhttps:\/\/status\.example\.com\/l\/\d+/);
  });

  it("defers what the server defers, and sends it when its time comes", async (t) => {
    let busy = true;
    const server = await startMailServer(t, {
      onRecipient: () => (busy ? refusal(450, "4.2.1 Greylisted") : undefined),
    });
    const house = openMailHouse(t);
    house.set("mail.smtp_url", `smtp://127.0.0.1:${server.port}`);
    const ids = house.queue("a@example.com", "b@example.com");
    const mailer = house.open();
    await mailer.idle();
    assert.deepEqual(house.stateOf(ids), ["deferred", "deferred"]);
    assert.equal(house.delivery(ids[0] ?? 0).nextAttemptAt, start + 60_000);
    await mailer.idle();
    assert.equal(house.delivery(ids[0] ?? 0).attempts, 1);
    busy = false;
    house.clock.pass(60_000);
    await mailer.idle();
    assert.deepEqual(house.stateOf(ids), ["sent", "sent"]);
    assert.equal(house.delivery(ids[0] ?? 0).attempts, 2);
  });

  it("tells of recipients that are gone, and not of letters that are disliked", async (t) => {
    const answers: Record<string, Error> = {
      "gone@example.com": refusal(550, "5.1.1 No such user"),
      "bare@example.com": refusal(550, "no such user here"),
      "policy@example.com": refusal(550, "5.7.1 Not from you"),
      "full@example.com": refusal(552, "5.2.2 Full"),
    };
    const server = await startMailServer(t, { onRecipient: (to) => answers[to] });
    const house = openMailHouse(t);
    house.set("mail.smtp_url", `smtp://127.0.0.1:${server.port}`);
    const ids = house.queue(...Object.keys(answers), "fine@example.com");
    await house.open().idle();
    assert.deepEqual(house.stateOf(ids), ["bounced", "bounced", "bounced", "bounced", "sent"]);
    const told = house.bounces.map(({ deliveryId, subscriberSeq, code }) => [
      deliveryId,
      house.addressOf(subscriberSeq),
      code,
    ]);
    assert.deepEqual(told.toSorted(), [
      [ids[0], "gone@example.com", "5.1.1"],
      [ids[1], "bare@example.com", "550"],
    ]);
    assert.ok(!house.lines.join("").includes("@"));
  });

  it("waits while the mail server is away, counts nothing, loses nothing, and warns once", async (t) => {
    const first = await startMailServer(t);
    await first.stop();
    const house = openMailHouse(t);
    house.set("mail.smtp_url", `smtp://127.0.0.1:${first.port}`);
    const people = many(250);
    const ids = house.queue(...people);
    const mailer = house.open();
    for (const seconds of [5, 10, 30, 60, 300, 300]) {
      await mailer.idle();
      const { queued, paused, retryAt } = mailer.state();
      assert.equal(queued, 250);
      assert.match(paused ?? "", /ECONNREFUSED/);
      assert.equal(retryAt, house.clock.now() + seconds * 1000);
      assert.ok(ids.every((id) => house.delivery(id).state === "queued" && house.delivery(id).attempts === 0));
      house.clock.pass(seconds * 1000);
    }
    assert.equal(warnings(house.lines).length, 1);
    const second = await startMailServer(t, { port: first.port });
    await mailer.idle();
    assert.deepEqual(second.received.flatMap((letter) => letter.to).toSorted(), people.toSorted());
    assert.deepEqual(mailer.state(), { queued: 0, paused: undefined, retryAt: undefined });
  });

  it("goes on at once when the server is seen to be back, or a person says to try", async (t) => {
    const first = await startMailServer(t);
    await first.stop();
    const house = openMailHouse(t);
    house.set("mail.smtp_url", `smtp://127.0.0.1:${first.port}`);
    house.queue("a@example.com");
    const mailer = house.open();
    await mailer.idle();
    mailer.tryNow();
    await mailer.idle();
    assert.match(mailer.state().paused ?? "", /ECONNREFUSED/);
    assert.equal((await mailer.check()).outcome, "unreachable");
    assert.match(mailer.state().paused ?? "", /ECONNREFUSED/, "a look that fails ends no pause");

    const second = await startMailServer(t, { port: first.port });
    assert.equal((await mailer.check()).outcome, "reached");
    await mailer.idle();
    assert.equal(second.received.length, 1);
    await second.stop();
    house.queue("b@example.com");
    await mailer.idle();
    const third = await startMailServer(t, { port: first.port });
    mailer.tryNow();
    await mailer.idle();
    assert.equal(third.received.length, 1);
    assert.equal(mailer.state().paused, undefined);
  });

  it("takes up a changed setting at once, also from a pause", async (t) => {
    const server = await startMailServer(t);
    const house = openMailHouse(t);
    house.set("mail.smtp_url", "smtp://127.0.0.1:1");
    const ids = house.queue("a@example.com");
    const mailer = house.open();
    await mailer.idle();
    assert.deepEqual(house.stateOf(ids), ["queued"]);
    house.set("mail.smtp_url", `smtp://127.0.0.1:${server.port}`);
    await mailer.idle();
    assert.deepEqual(house.stateOf(ids), ["sent"]);
    assert.deepEqual(await mailer.check(), {
      outcome: "reached",
      encrypted: false,
      verified: false,
      signedIn: false,
    });
  });

  it("goes to another mail server at once, although the one before it answers nothing", async (t) => {
    let answer = () => {};
    const answered = new Promise<undefined>((resolve) => {
      answer = () => resolve(undefined);
    });
    let asked = 0;
    const mute = await startMailServer(t, {
      onRecipient: () => {
        asked += 1;
        return answered;
      },
    });
    const other = await startMailServer(t);
    const house = openMailHouse(t);
    house.set("mail.smtp_url", `smtp://127.0.0.1:${mute.port}`);
    house.set("mail.connections", "2");
    house.queue(...many(12));
    const mailer = house.open();
    const idle = mailer.idle();
    const until = async (done: () => boolean) => {
      for (let tries = 0; tries < 200 && !done(); tries++) await new Promise((resolve) => setTimeout(resolve, 10));
    };
    await until(() => asked === 2);
    house.set("mail.smtp_url", `smtp://127.0.0.1:${other.port}`);
    mailer.wake();
    await until(() => other.received.length === 10);
    assert.equal(other.received.length, 10);
    answer();
    await idle;
    assert.equal(mute.received.length, 2);
  });

  it("goes on with fewer connections where the server takes no more", async (t) => {
    let open = 0;
    const server = await startMailServer(t, {
      options: {
        onConnect: (_session, done) => (++open > 2 ? done(refusal(421, "Too many connections")) : done()),
      },
    });
    const house = openMailHouse(t);
    house.set("mail.smtp_url", `smtp://127.0.0.1:${server.port}`);
    house.set("mail.connections", "5");
    const ids = house.queue(...many(60));
    await house.open().idle();
    assert.equal(server.received.length, 60);
    assert.ok(ids.every((id) => house.delivery(id).state === "sent" && house.delivery(id).attempts === 1));
  });

  it("hands over one letter at a time to each reader, so that a server that keeps one waiting holds up nobody else", async (t) => {
    let answer = () => {};
    const answered = new Promise<undefined>((resolve) => {
      answer = () => resolve(undefined);
    });
    const server = await startMailServer(t, {
      onRecipient: (to) => (to.startsWith("slow") ? answered : undefined),
    });
    const house = openMailHouse(t);
    house.set("mail.smtp_url", `smtp://127.0.0.1:${server.port}`);
    house.set("mail.connections", "3");
    const [slow = 0] = house.queue("slow@example.com");
    const { subscriberSeq } = house.delivery(slow);
    const more = { pageId: "page", kind: "update", subscriberSeq, state: "queued" } as const;
    // More than one claim takes.
    for (let count = 0; count < 70; count++)
      house.db
        .insert(deliveries)
        .values({ ...more, nextAttemptAt: start, createdAt: start })
        .run();
    const people = many(40);
    house.queue(...people);
    const mailer = house.open();
    const idle = mailer.idle();
    for (let tries = 0; tries < 200 && server.received.length < people.length; tries++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    assert.deepEqual(server.received.flatMap((letter) => letter.to).toSorted(), people.toSorted());
    answer();
    await idle;
    assert.equal(server.received.length, people.length + 71);
  });

  it("asks again right before a letter leaves, so that who left gets none", async (t) => {
    const server = await startMailServer(t);
    const house = openMailHouse(t);
    house.set("mail.smtp_url", `smtp://127.0.0.1:${server.port}`);
    const ids = house.queue("left@example.com", "old@example.com", "stays@example.com", "broken@example.com");
    const mailer = house.open((delivery) => {
      const to = house.addressOf(delivery.subscriberSeq);
      if (to.startsWith("left")) return { outcome: "suppressed", reason: "The subscriber left." };
      if (to.startsWith("old")) return { outcome: "superseded", reason: "A newer update." };
      if (to.startsWith("broken")) throw new Error("template");
      return house.letters(delivery);
    });
    await mailer.idle();
    assert.deepEqual(house.stateOf(ids), ["suppressed", "superseded", "sent", "deferred"]);
    assert.deepEqual(
      server.received.map((letter) => letter.to),
      [["stays@example.com"]],
    );
    const shown = showDelivery(house.db, { keys: house.keys, pageId: "page", id: ids[0] ?? 0 });
    assert.equal(shown.reply, "The subscriber left.");
    assert.equal(house.lines.filter((line) => line.includes("mail.letter_failed")).length, 1);
  });

  it("keeps letters while no mail server is set", async (t) => {
    const house = openMailHouse(t);
    const ids = house.queue(...many(130));
    const mailer = house.open();
    await mailer.idle();
    assert.ok(ids.every((id) => house.delivery(id).state === "kept"));
    const letter = readKeptLetter(house.db, { keys: house.keys, pageId: "page", id: ids[0] ?? 0 });
    const mail = await simpleParser(letter ?? "");
    assert.equal(mail.subject, "Something is broken");
    assert.deepEqual(await mailer.check(), { outcome: "not_configured" });
  });

  it("loses none when it is stopped in the middle: what left is recorded, the rest waits", async (t) => {
    const server = await startMailServer(t, {
      onLetter: () => new Promise((go) => setTimeout(() => go(undefined), 30)),
    });
    const house = openMailHouse(t);
    house.set("mail.smtp_url", `smtp://127.0.0.1:${server.port}`);
    const ids = house.queue(...many(150));
    const mailer = house.open();
    mailer.wake();
    while (server.received.length < 20) await new Promise((resolve) => setTimeout(resolve, 5));
    await mailer.stop();
    const sent = ids.filter((id) => house.delivery(id).state === "sent").length;
    assert.equal(sent, server.received.length);
    assert.ok(ids.every((id) => ["sent", "queued"].includes(house.delivery(id).state)));
    assert.ok(sent < 150);
    await house.open().idle();
    assert.deepEqual(server.received.flatMap((letter) => letter.to).toSorted(), many(150).toSorted());
  });

  it("stops sending while outcomes can't be written, and writes them when they can, sending none twice", async (t) => {
    const server = await startMailServer(t);
    const house = openMailHouse(t);
    house.set("mail.smtp_url", `smtp://127.0.0.1:${server.port}`);
    house.set("mail.connections", "3");
    const ids = house.queue(...many(200));
    house.db.$client.exec(
      "CREATE TEMP TRIGGER full BEFORE UPDATE ON deliveries WHEN new.state = 'sent' BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    );
    const mailer = house.open();
    const idle = mailer.idle();
    while (!house.lines.some((line) => line.includes("mail.queue_failed")))
      await new Promise((go) => setTimeout(go, 5));
    await new Promise((go) => setTimeout(go, 100));
    assert.ok(server.received.length < 100, `${server.received.length} letters left though none could be recorded`);
    house.db.$client.exec("DROP TRIGGER full");
    await idle;
    assert.ok(ids.every((id) => house.delivery(id).state === "sent"));
    assert.deepEqual(server.received.flatMap((letter) => letter.to).toSorted(), many(200).toSorted());
  });

  it("sends again what a dead process had leased", async (t) => {
    const server = await startMailServer(t);
    const house = openMailHouse(t);
    house.set("mail.smtp_url", `smtp://127.0.0.1:${server.port}`);
    const ids = house.queue("a@example.com");
    house.db.$client.prepare("UPDATE deliveries SET state = 'leased'").run();
    await house.open().idle();
    assert.deepEqual(house.stateOf(ids), ["sent"]);
  });

  it("keeps to the letters per second", async (t) => {
    const server = await startMailServer(t);
    const house = openMailHouse(t);
    house.set("mail.smtp_url", `smtp://127.0.0.1:${server.port}`);
    house.set("mail.letters_per_second", "50");
    house.queue(...many(26));
    const began = performance.now();
    await house.open().idle();
    const took = performance.now() - began;
    assert.equal(server.received.length, 26);
    // 25 letters after the first can't take less than half a second; how much more is the machine's affair.
    assert.ok(took >= 440, `${took} ms`);
  });
});
