import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { SMTPServer } from "smtp-server";
import { freePort } from "../support/ports.ts";
import { fetchFrom, readyPlace } from "../support/program.ts";

const readers = 2_000;

type Arrived = { to: string; messageId: string };

/** A real SMTP server that keeps what it accepted, as slow as a relay. */
async function openMailServer(port: number): Promise<{ arrived: Arrived[]; close(): Promise<void> }> {
  const arrived: Arrived[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS", "AUTH"],
    maxClients: 50,
    onData: (stream, session, done) => {
      let text = "";
      stream.on("error", () => {}); // A client that was killed in the middle of its letter.
      stream.on("data", (chunk) => {
        text += chunk;
      });
      stream.on("end", () => {
        const messageId = /^Message-ID: (\S+)/m.exec(text)?.[1] ?? "";
        for (const { address } of session.envelope.rcptTo) arrived.push({ to: address, messageId });
        setTimeout(() => done(), randomInt(3));
      });
    },
  });
  server.on("error", () => {}); // A killed client resets its connections.
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", () => resolve()));
  return { arrived, close: () => new Promise((resolve) => server.close(() => resolve())) };
}

test("kill -9 in the middle of 2,000 letters loses none, and a repeat has the same Message-ID", {
  timeout: 180_000,
}, async (t) => {
  const [port, smtpPort] = [await freePort(), await freePort()];
  const mail = await openMailServer(smtpPort);
  t.after(() => mail.close());
  const place = await readyPlace(t, port, `smtp://127.0.0.1:${smtpPort}`);
  const token = (await place.run(["token", "create", "--name", "walk", "--role", "publisher"])).out.trim();
  assert.equal((await place.run(["config", "set", "api.requests_per_minute", "100000"])).code, 0);
  const pageId = JSON.parse((await place.run(["page", "show", "--json"])).out).id as string;
  let server = await place.serve(port);
  const call = (method: string, path: string, body?: unknown) =>
    fetchFrom(server.origin, `/v1/pages/${pageId}${path}`, {
      method,
      headers: { authorization: `OAuth ${token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  for (let index = 0; index < readers; index++) {
    const added = await call("POST", "/subscribers", {
      subscriber: { email: `reader${index}@example.com`, skip_confirmation_notification: true },
    });
    assert.equal(added.status, 201, added.text);
  }
  const opened = await call("POST", "/incidents", { incident: { name: "Sign-in fails", body: "We look into it." } });
  assert.equal(opened.status, 201, opened.text);

  let kills = 0;
  for (; kills < 8 && mail.arrived.length < readers; kills++) {
    const until = mail.arrived.length + randomInt(50, 250);
    while (mail.arrived.length < Math.min(until, readers)) await new Promise((resolve) => setTimeout(resolve, 2));
    await server.stop("SIGKILL");
    server = await place.serve(port);
    assert.equal((await fetchFrom(server.origin, "/")).status, 200);
  }
  assert.ok(kills >= 4, `killed ${kills} times`);
  const ids = new Map<string, Set<string>>();
  const count = () => {
    ids.clear();
    for (const { to, messageId } of mail.arrived) ids.set(to, (ids.get(to) ?? new Set()).add(messageId));
    return ids.size;
  };
  for (let waited = 0; count() < readers && waited < 60_000; waited += 100)
    await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(ids.size, readers, "every reader got the letter");
  for (const [to, own] of ids) assert.equal(own.size, 1, `${to} got letters with different Message-IDs`);
  const repeats = mail.arrived.length - readers;
  assert.ok(repeats <= kills * 5, `${repeats} repeats after ${kills} kills with 5 connections`);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const states = JSON.parse((await place.run(["mail", "queue", "--json"])).out);
  assert.equal(states.queued, 0);
  assert.equal(states.deferred, 0);
  await server.stop();
});
