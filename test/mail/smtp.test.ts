import assert from "node:assert/strict";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import type { SMTPServerOptions } from "smtp-server";
import { composeLetter, leaveToken, manageToken } from "../../src/mail/compose.ts";
import { createPool } from "../../src/mail/pool.ts";
import type { Relay } from "../../src/mail/relay.ts";
import { checkRelay } from "../../src/mail/smtp.ts";
import { makeCertificate, refusal, startMailServer } from "./mail-server.ts";

const good = makeCertificate();
const other = makeCertificate("DNS:somebody.else.example");
const links = { manage: "https://status.example.com/m/1", leave: "https://status.example.com/l/1" };
const letter = composeLetter({
  from: { name: "Page", address: "status@example.com" },
  subject: "Broken",
  text: `.\n..two\n${manageToken}\n${leaveToken}\n`,
  html: `<a href="${manageToken}">m</a><a href="${leaveToken}">l</a>`,
  date: 0,
}).splice({ address: "ada@example.com", messageId: "<1@example.com>", links });
const envelope = { from: "status@example.com", to: "ada@example.com" };

/** A mail server elsewhere, as far as rules about this machine are concerned. */
function elsewhere(port: number, change: Partial<Relay> = {}): Relay {
  const tls = { implicitTls: false, tls: "required", loopback: false, caFile: good.file } as const;
  return { host: "0.0.0.0", port, signIn: undefined, ...tls, ...change };
}
function here(port: number, change: Partial<Relay> = {}): Relay {
  return elsewhere(port, { host: "127.0.0.1", loopback: true, caFile: undefined, ...change });
}
const withTls = { key: good.key, cert: good.cert, disabledCommands: ["AUTH"] };

describe("A pool of connections", () => {
  it("hands over the message byte by byte and keeps its connection for the next", async (t) => {
    const server = await startMailServer(t);
    const pool = createPool(here(server.port));
    t.after(() => pool.abort());
    for (let i = 0; i < 3; i++) {
      const result = await pool.send(envelope, letter);
      assert.equal(result.outcome, "sent");
      assert.match(result.reply, /^250 /);
    }
    assert.equal(server.connections(), 1);
    assert.equal(pool.open(), 1);
    assert.deepEqual(server.received[0]?.raw, letter);
    assert.deepEqual(server.received[0]?.to, ["ada@example.com"]);
  });

  it("closes a connection under way after its letter, once told to close", async (t) => {
    const server = await startMailServer(t, {
      onLetter: () => new Promise((go) => setTimeout(() => go(undefined), 50)),
    });
    const pool = createPool(here(server.port));
    const sending = pool.send(envelope, letter);
    setTimeout(pool.close, 20);
    assert.equal((await sending).outcome, "sent");
    assert.equal(pool.open(), 0);
  });

  it("takes a new connection when the server ended the old one between letters or with 421", async (t) => {
    let letters = 0;
    const first = await startMailServer(t, {
      onMail: () => (++letters === 2 ? refusal(421, "4.7.0 Enough") : undefined),
    });
    const pool = createPool(here(first.port));
    t.after(() => pool.abort());
    assert.equal((await pool.send(envelope, letter)).outcome, "sent");
    assert.equal((await pool.send(envelope, letter)).outcome, "sent");
    assert.equal(first.connections(), 2);
    await first.stop();
    const second = await startMailServer(t, { port: first.port });
    assert.equal((await pool.send(envelope, letter)).outcome, "sent");
    assert.equal(second.received.length, 1);
  });

  for (const hidePIPELINING of [false, true]) {
    const how = hidePIPELINING ? "without" : "with";
    it(`tells refusals apart, ${how} pipelining, and goes on over the same connection`, async (t) => {
      const refusals: Record<string, Error> = {
        "full@example.com": refusal(452, "4.2.2 Mailbox full"),
        "gone@example.com": refusal(550, "5.1.1 No such user gone@example.com"),
        "bare@example.com": refusal(551, "User not local"),
      };
      let words: Error | undefined;
      let sender: Error | undefined;
      const server = await startMailServer(t, {
        options: { hidePIPELINING },
        onMail: () => sender,
        onRecipient: (to) => refusals[to],
        onLetter: () => words,
      });
      const pool = createPool(here(server.port));
      t.after(() => pool.abort());
      const send = (to: string) => pool.send({ ...envelope, to }, letter);
      assert.deepEqual(await send("full@example.com"), { outcome: "deferred", reply: "452 4.2.2 Mailbox full" });
      const gone = { outcome: "bounced", reply: "550 5.1.1 No such user gone@example.com", code: "5.1.1" };
      assert.deepEqual(await send("gone@example.com"), { ...gone, atRecipient: true });
      const bare = { outcome: "bounced", reply: "551 User not local", code: "551", atRecipient: true };
      assert.deepEqual(await send("bare@example.com"), bare);
      words = refusal(554, "5.7.1 Looks like spam");
      const spam = { outcome: "bounced", reply: "554 5.7.1 Looks like spam", code: "5.7.1", atRecipient: false };
      assert.deepEqual(await send("ada@example.com"), spam);
      words = refusal(451, "4.3.0 Later");
      assert.deepEqual(await send("ada@example.com"), { outcome: "deferred", reply: "451 4.3.0 Later" });
      words = undefined;
      sender = refusal(550, "5.7.1 Sender refused");
      assert.deepEqual(await send("ada@example.com"), { outcome: "deferred", reply: "550 5.7.1 Sender refused" });
      sender = refusal(530, "5.7.0 Authentication required");
      assert.equal((await send("ada@example.com")).outcome, "unreachable");
      sender = undefined;
      assert.equal((await send("ada@example.com")).outcome, "sent");
      assert.equal(server.connections(), 1);
    });
  }

  it("never lets a second recipient or a strange one reach the wire", async (t) => {
    const asked: string[] = [];
    const server = await startMailServer(t, { onRecipient: (to) => void asked.push(to) });
    const pool = createPool(here(server.port));
    t.after(() => pool.abort());
    const tricks = [
      "a@example.com\r\nRCPT TO:<evil@evil.test>",
      "a@example.com, evil@evil.test",
      '"a@evil.test"@example.com',
      "ä@example.com",
      `${"a".repeat(64)}@${"b.".repeat(95)}example`,
      "Ada <evil@evil.test>",
    ];
    for (const to of tricks) {
      const result = await pool.send({ ...envelope, to }, letter);
      assert.equal(result.outcome, "bounced", to);
    }
    assert.equal((await pool.send({ from: "status@localhost", to: "ada@example.com" }, letter)).outcome, "deferred");
    assert.deepEqual(asked, []);
  });

  it("says unreachable when nobody listens, when the server is busy, and when its greeting is no greeting", async () => {
    const server = createServer((socket) => void socket.end("554 no service here\r\n"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const refused = await createPool(here(port)).send(envelope, letter);
    assert.equal(refused.outcome, "unreachable");
    assert.match(refused.reply, /^554 no service here/);
    await new Promise((resolve) => server.close(resolve));
    const nobody = await createPool(here(port)).send(envelope, letter);
    assert.equal(nobody.outcome, "unreachable");
    assert.match(nobody.reply, /ECONNREFUSED/);
  });

  it("defers a letter whose connection broke in its middle", async (t) => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.write("220 hi\r\n");
      socket.on("data", (data) => {
        if (/^EHLO/.test(String(data))) socket.write("250 hi\r\n");
        else socket.destroy();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.close());
    const result = await createPool(here((server.address() as { port: number }).port)).send(envelope, letter);
    assert.equal(result.outcome, "deferred");
  });
});

describe("TLS to the mail server", () => {
  it("is taken up by STARTTLS and verified, by address and by name", async (t) => {
    const server = await startMailServer(t, { options: withTls });
    for (const relay of [elsewhere(server.port), elsewhere(server.port, { host: "localhost" })]) {
      const pool = createPool(relay);
      assert.equal((await pool.send(envelope, letter)).outcome, "sent");
      pool.close();
    }
    assert.deepEqual(
      server.received.map((one) => one.encrypted),
      [true, true],
    );
  });

  it("is there from the first byte with smtps", async (t) => {
    const server = await startMailServer(t, { options: { ...withTls, secure: true } });
    const pool = createPool(elsewhere(server.port, { implicitTls: true }));
    assert.equal((await pool.send(envelope, letter)).outcome, "sent");
    pool.close();
    const result = await createPool(elsewhere(server.port, { implicitTls: true, caFile: undefined })).send(
      envelope,
      letter,
    );
    assert.equal(result.outcome, "unreachable");
    assert.match(result.reply, /self-signed certificate/);
  });

  it("is required: a server whose STARTTLS was stripped gets no letter", async (t) => {
    const server = await startMailServer(t);
    const result = await createPool(elsewhere(server.port)).send(envelope, letter);
    assert.equal(result.outcome, "unreachable");
    assert.match(result.reply, /offers no TLS; set mail\.tls to optional if/);
    assert.deepEqual(server.received, []);
  });

  it("is refused with a certificate that nobody signed or that is another's", async (t) => {
    const server = await startMailServer(t, { options: withTls });
    const unsigned = await createPool(elsewhere(server.port, { caFile: undefined })).send(envelope, letter);
    assert.equal(unsigned.outcome, "unreachable");
    assert.match(unsigned.reply, /self-signed certificate/);
    const stranger = await startMailServer(t, { options: { ...withTls, key: other.key, cert: other.cert } });
    for (const tls of ["required", "optional"] as const) {
      const relay = elsewhere(stranger.port, { caFile: other.file, tls });
      const result = await createPool(relay).send(envelope, letter);
      assert.equal(result.outcome, "unreachable");
      assert.match(result.reply, /0\.0\.0\.0/);
    }
    assert.deepEqual([...server.received, ...stranger.received], []);
  });

  it("may be missing where it is optional, and on this machine", async (t) => {
    const server = await startMailServer(t);
    for (const relay of [elsewhere(server.port, { tls: "optional" }), here(server.port)]) {
      const pool = createPool(relay);
      assert.equal((await pool.send(envelope, letter)).outcome, "sent");
      pool.close();
    }
  });

  it("with an authority's file that can't be read says so", async () => {
    const result = await checkRelay(elsewhere(1, { caFile: "/nowhere/ca.pem" }));
    assert.deepEqual(result, { outcome: "unreachable", reply: "The file of mail.ca_file can't be read (ENOENT)." });
  });
});

describe("Signing in to the mail server", () => {
  const options: SMTPServerOptions = {
    key: good.key,
    cert: good.cert,
    disabledCommands: [],
    authOptional: false,
    onAuth: (auth, _session, done) => {
      if (auth.username === "ada" && auth.password === "p@ss:w%rd") done(null, { user: "ada" });
      else done(refusal(535, "5.7.8 Wrong password"));
    },
  };

  it("works over TLS", async (t) => {
    const server = await startMailServer(t, { options });
    const relay = elsewhere(server.port, { signIn: { user: "ada", password: "p@ss:w%rd" } });
    const pool = createPool(relay);
    assert.equal((await pool.send(envelope, letter)).outcome, "sent");
    pool.close();
    assert.equal(server.received[0]?.user, "ada");
    const reached = { outcome: "reached", encrypted: true, signedIn: true };
    assert.deepEqual(await checkRelay(relay), { ...reached, verified: true });
    const unasked = await checkRelay({ ...relay, loopback: true, caFile: undefined });
    assert.deepEqual(unasked, { ...reached, verified: false }, "on this machine the certificate isn't looked at");
  });

  it("that fails isn't the letter's fault", async (t) => {
    const server = await startMailServer(t, { options });
    const result = await createPool(elsewhere(server.port, { signIn: { user: "ada", password: "wrong" } })).send(
      envelope,
      letter,
    );
    assert.equal(result.outcome, "unreachable");
    assert.match(result.reply, /^535 /);
    const none = await createPool(elsewhere(server.port)).send(envelope, letter);
    assert.equal(none.outcome, "unreachable");
  });

  it("never sends the password in clear over a network", async (t) => {
    let asked = 0;
    const onAuth = (
      _auth: unknown,
      _session: unknown,
      done: (error: Error | null, answer: { user: string }) => void,
    ) => {
      asked += 1;
      done(null, { user: "ada" });
    };
    const stripped = { disabledCommands: ["STARTTLS"], allowInsecureAuth: true, onAuth };
    const server = await startMailServer(t, { options: stripped });
    const relay = elsewhere(server.port, { tls: "optional", signIn: { user: "ada", password: "x" } });
    const result = await createPool(relay).send(envelope, letter);
    assert.deepEqual(result, {
      outcome: "unreachable",
      reply: "The mail server offers no TLS, and the password isn't sent in clear.",
    });
    assert.equal(asked, 0);
    const local = createPool(here(server.port, { signIn: { user: "ada", password: "x" } }));
    assert.equal((await local.send(envelope, letter)).outcome, "sent");
    local.close();
  });
});
