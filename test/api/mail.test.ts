import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { addSubscriber } from "../../src/subscribers/subscribers.ts";
import { startMailServer } from "../mail/mail-server.ts";
import { type House, monday, openTestHouse } from "../support/house.ts";

let house: House;
let base: string;
before(async () => {
  house = await openTestHouse();
  base = `/v1/pages/${house.page.id}`;
  const { db, keys } = house.deps;
  const common = {
    pageId: house.page.id,
    confirm: "vouched",
    source: "api",
    keys,
    now: monday,
    by: { kind: "system" },
  } as const;
  for (let count = 0; count < 60; count++) {
    addSubscriber(db, { ...common, address: `s${count}@example.com`, wish: { wholePage: true, componentIds: [] } });
  }
});
after(() => house.close());

const ask = (method: string, path: string, body?: unknown) => house.operate(method, base + path, body);
const open = (name: string) => ask("POST", "/incidents", { incident: { name, body: "x" } });

test("a test letter is queued, waited for, and shown with what became of it", async () => {
  const answer = await ask("POST", "/mail/test", { email: "me@example.com" });
  assert.equal(answer.status, 200, answer.text);
  const { server, paused, letter } = answer.json();
  assert.deepEqual([server, paused], [{ outcome: "not_configured" }, null]);
  assert.deepEqual([letter.state, letter.kind, letter.email], ["kept", "test", "me@example.com"]);
  assert.match(letter.letter, /Subject: Test letter from Acme/);
  assert.equal(letter.subject, "Test letter from Acme");
  assert.match(letter.text, /^This is a test letter from Acme \(https:.*\)\.$/m);
  const listed = (await ask("GET", "/mail?limit=1")).json();
  assert.equal(listed[0].email, "me@example.com");
  assert.equal((await ask("POST", "/mail/test", { email: "me" })).status, 422);
  assert.equal((await ask("POST", "/mail/test", {})).json().field, "email");
});

test("a mail server that can't be had is told in its words, without waiting", async () => {
  await house.operate("PUT", "/v1/settings/mail.smtp_url", { value: "smtp://127.0.0.1:9" });
  const { server, letter } = (await ask("POST", "/mail/test", { email: "me@example.com" })).json();
  assert.equal(server.outcome, "unreachable");
  assert.equal(letter.state, "queued");
  const queue = (await ask("GET", "/mail/queue")).json();
  assert.equal(Object.keys(queue).slice(0, 4).join(" "), "queued leased deferred held");
  assert.equal(queue.queued, 1);
  assert.match(queue.paused, /127\.0\.0\.1/);
  assert.match(queue.retry_at, /Z$/);

  const dropped = await ask("DELETE", `/mail/${letter.id}`);
  assert.deepEqual([dropped.json().state, dropped.json().reply], ["suppressed", "dropped by the operator"]);
  assert.equal((await ask("DELETE", `/mail/${letter.id}`)).status, 409);
  await house.operate("DELETE", "/v1/settings/mail.smtp_url");
  const again = await ask("POST", `/mail/${letter.id}/retry`);
  assert.equal(again.status, 200, again.text);
  await house.settle();
  assert.equal((await ask("GET", `/mail/${letter.id}`)).json().state, "kept");
  const deeds = (await house.operate("GET", "/v1/audit?limit=20")).json().map((deed: any) => deed.action);
  for (const action of ["mail.test", "mail.drop", "mail.retry"]) assert.ok(deeds.includes(action), action);
});

test("after an outage a test letter that is taken ends the pause, and so does a letter that is tried again", async (t) => {
  const away = await startMailServer(t);
  await away.stop();
  await house.operate("PUT", "/v1/settings/mail.smtp_url", { value: `smtp://127.0.0.1:${away.port}` });
  const { letter: waiting } = (await ask("POST", "/mail/test", { email: "me@example.com" })).json();
  assert.ok((await ask("GET", "/mail/queue")).json().paused);
  const back = await startMailServer(t, { port: away.port });
  const { server, paused, letter } = (await ask("POST", "/mail/test", { email: "you@example.com" })).json();
  assert.deepEqual([server.outcome, paused, letter.state], ["reached", null, "sent"]);
  await house.settle();
  assert.equal((await ask("GET", `/mail/${waiting.id}`)).json().state, "sent");

  await back.stop();
  const { letter: again } = (await ask("POST", "/mail/test", { email: "me@example.com" })).json();
  const third = await startMailServer(t, { port: away.port });
  assert.equal((await ask("POST", `/mail/${again.id}/retry`)).status, 200);
  await house.settle();
  assert.equal(third.received.length, 1);
  assert.equal((await ask("GET", "/mail/queue")).json().paused, null);
  await house.operate("DELETE", "/v1/settings/mail.smtp_url");
});

test("letters are listed newest first, chosen by state, in slices", async () => {
  await open("First");
  await house.settle();
  const list = (await ask("GET", "/mail?limit=3")).json();
  assert.equal(list.length, 3);
  assert.deepEqual(
    list.map((row: any) => [row.kind, row.state, row.email]),
    [59, 58, 57].map((count) => ["update", "kept", `s${count}@example.com`]),
  );
  assert.equal(
    Object.keys(list[0]).join(" "),
    "id page_id kind state announcement_id subscriber_id email attempts next_attempt_at sent_at created_at",
  );
  const next = (await ask("GET", `/mail?limit=1&before=${list[2].id}`)).json();
  assert.equal(next[0].email, "s56@example.com");
  assert.deepEqual((await ask("GET", "/mail?state=bounced")).json(), []);
  const shown = (await ask("GET", `/mail/${list[0].id}`)).json();
  assert.match(shown.letter, /^Subject: Investigating: First/m);
});

test("an announcement beyond all measure waits for a word, is released or dropped", async () => {
  house.deps.config.set("mail.burst_factor", "1", monday);
  const held = [(await open("Second")).json(), (await open("Third")).json()];
  await house.settle();
  const waiting = (await ask("GET", "/announcements")).json().filter((one: any) => one.state === "held");
  assert.deepEqual(waiting.map((one: any) => one.incident_id).toSorted(), held.map((one) => one.id).toSorted());
  assert.match(waiting[0].reason, /120 letters within an hour for 60 subscribers/);
  const rehearsed = (await ask("POST", "/incidents?dry_run=true", { incident: { name: "Fourth", body: "x" } })).json();
  assert.match(rehearsed.held, /letters within an hour/);

  const sent = await ask("POST", `/announcements/${waiting[1].id}/send`);
  assert.equal(sent.status, 200, sent.text);
  const dropped = await ask("POST", `/announcements/${waiting[0].id}/drop`);
  assert.equal(dropped.json().state, "dropped");
  assert.equal((await ask("POST", `/announcements/${waiting[0].id}/send`)).status, 409);
  await house.settle();
  const after = (await ask("GET", "/announcements?limit=2")).json();
  assert.deepEqual(
    after.map((one: any) => [one.incident_name, one.state, one.letters]),
    [
      ["Third", "dropped", {}],
      ["Second", "expanded", { kept: 60 }],
    ],
  );
});
