import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { simpleParser } from "mailparser";
import { composeLetter, confirmToken, type LetterText, leaveToken, manageToken } from "../../src/mail/compose.ts";

const date = Date.UTC(2026, 4, 1, 12, 30, 15);
const plain: LetterText = {
  from: { name: "Beispiel Störungen", address: "status@example.com" },
  subject: "Störung: die Ärzte-Suche antwortet nicht ☂",
  text: `Hallo,\n\nes klemmt.\n\nVerwalten: ${manageToken} .\nAbbestellen:\n${leaveToken}\n`,
  html: `<p>Hallo</p>\n<p><a href="${manageToken}">Verwalten</a> <a href="${leaveToken}">Abbestellen</a></p>\n`,
  listId: "status.example.com",
  date,
};
const links = { manage: "https://status.example.com/m/abc?a=1&b=2", leave: "https://status.example.com/l/abc" };
const recipient = {
  address: "Ada@Example.com",
  messageId: "<x1@status.example.com>",
  links,
  listUnsubscribe: links.leave,
};

function longestLine(raw: Buffer): number {
  return Math.max(
    ...raw
      .toString("latin1")
      .split("\r\n")
      .map((line) => line.length),
  );
}

describe("A composed letter", () => {
  it("parses to the same words, links and headers", async () => {
    const raw = composeLetter({ ...plain, replyTo: "help@example.com" }).splice(recipient);
    const mail = await simpleParser(raw, { skipTextToHtml: true });
    assert.equal(mail.subject, plain.subject);
    assert.deepEqual(mail.from?.value, [{ name: "Beispiel Störungen", address: "status@example.com" }]);
    assert.deepEqual(
      mail.replyTo?.value.map((one) => one.address),
      ["help@example.com"],
    );
    assert.deepEqual(
      [mail.to]
        .flat()
        .flatMap((to) => to?.value ?? [])
        .map((to) => to.address),
      ["Ada@example.com"],
    );
    assert.equal(mail.messageId, "<x1@status.example.com>");
    assert.equal(mail.date?.getTime(), date);
    assert.equal(mail.text, `Hallo,\n\nes klemmt.\n\nVerwalten: ${links.manage} .\nAbbestellen:\n${links.leave}\n`);
    assert.equal(
      mail.html,
      `<p>Hallo</p>\n<p><a href="${links.manage.replace("&", "&amp;")}">Verwalten</a> <a href="${links.leave}">Abbestellen</a></p>\n`,
    );
    const header = (name: string) => mail.headerLines.filter((line) => line.key === name).map((line) => line.line);
    assert.deepEqual(header("auto-submitted"), ["Auto-Submitted: auto-generated"]);
    assert.deepEqual(header("x-auto-response-suppress"), ["X-Auto-Response-Suppress: OOF, AutoReply"]);
    assert.deepEqual(header("list-id"), ["List-Id: <status.example.com>"]);
    assert.deepEqual(header("list-unsubscribe"), [`List-Unsubscribe: <${links.leave}>`]);
    assert.deepEqual(header("list-unsubscribe-post"), ["List-Unsubscribe-Post: List-Unsubscribe=One-Click"]);
    for (const once of ["message-id", "date", "from", "to", "subject", "mime-version", "content-type"]) {
      assert.equal(header(once).length, 1, once);
    }
  });

  it("survives hosts of any length and equals signs at every place without a line above 76 characters", async () => {
    const form = composeLetter(plain);
    for (let length = 1; length < 200; length += 1) {
      const manage = `https://${"störung".replace("ö", "oe")}.${"h".repeat(length)}.example/${"a=b&".repeat(length % 40)}?t==`;
      const leave = `https://s.example/${"x".repeat(length)}`;
      const raw = form.splice({ ...recipient, links: { manage, leave }, listUnsubscribe: undefined });
      const mail = await simpleParser(raw, { skipTextToHtml: true });
      assert.equal(mail.text, `Hallo,\n\nes klemmt.\n\nVerwalten: ${manage} .\nAbbestellen:\n${leave}\n`);
      assert.ok(String(mail.html).includes(`href="${manage.replaceAll("&", "&amp;")}"`));
      assert.ok(String(mail.html).includes(`href="${leave}"`));
      assert.ok(longestLine(raw) <= 76, `a line of ${longestLine(raw)}`);
    }
  });

  it("carries long lines of any script, dots at the start of a line, and trailing blanks", async () => {
    const body = `${"状態ページ🙂é".repeat(60)}\n.\n..hidden\nblank \n\ttab\t\n${"=".repeat(200)}\nFrom here\n`;
    const raw = composeLetter({ ...plain, text: `${body}${manageToken}${leaveToken}`, html: plain.html }).splice(
      recipient,
    );
    const mail = await simpleParser(raw, { skipTextToHtml: true });
    assert.equal(mail.text, `${body}${links.manage}${links.leave}`);
    assert.ok(longestLine(raw) <= 76);
    assert.ok(!/[^\r]\n/.test(raw.toString("latin1")) && raw.every((byte) => byte < 128));
  });

  it("keeps a line break in a subject or a name from making a header", async () => {
    const subject = "Broken\r\nBcc: evil@evil.test\u0085\u2028x";
    const raw = composeLetter({
      ...plain,
      subject,
      from: { name: 'A "b"\r\nX-Evil: 1, <c@d.test>', address: "status@example.com" },
    });
    const mail = await simpleParser(raw.splice(recipient));
    assert.equal(mail.subject, "Broken Bcc: evil@evil.test x");
    assert.equal(mail.bcc, undefined);
    assert.equal(mail.headers.has("x-evil"), false);
    assert.deepEqual(
      mail.from?.value.map((one) => one.address),
      ["status@example.com"],
    );
  });

  it("stands in the thread that it is given, by headers that no value breaks out of", async () => {
    const mail = await simpleParser(composeLetter({ ...plain, thread: "<incident-1@example.com>" }).splice(recipient));
    assert.equal(mail.inReplyTo, "<incident-1@example.com>");
    assert.equal(mail.references, "<incident-1@example.com>");
    assert.equal(mail.messageId, "<x1@status.example.com>");
    assert.doesNotMatch(composeLetter(plain).splice(recipient).toString("latin1"), /^(References|In-Reply-To):/im);
    for (const thread of ["<a@b>\r\nBcc: evil@evil.test", "incident-1@example.com", "<a@b> <c@d>", ""])
      assert.throws(() => composeLetter({ ...plain, thread }), /thread/, thread);
  });

  it("is refused when a link is missing from the text or the HTML", () => {
    assert.throws(() => composeLetter({ ...plain, text: `only ${manageToken}` }), /text lacks its leave link/);
    assert.throws(() => composeLetter({ ...plain, html: "<p>none</p>" }), /html lacks its manage and leave link/);
  });

  it("is refused when a token is broken, stands in the subject, or isn't this letter's", () => {
    assert.throws(
      () => composeLetter({ ...plain, text: `${plain.text}${manageToken.slice(0, -2)}` }),
      /broken link token/,
    );
    assert.throws(() => composeLetter({ ...plain, subject: leaveToken }), /subject/);
    assert.throws(
      () => composeLetter({ ...plain, text: `${plain.text}${confirmToken}` }),
      /confirm link that it must not have/,
    );
  });

  it("can have a confirmation link alone", async () => {
    const form = composeLetter({
      ...plain,
      links: ["confirm"],
      text: confirmToken,
      html: `<a href="${confirmToken}">yes</a>`,
    });
    const confirm = "https://status.example.com/c/1";
    const mail = await simpleParser(form.splice({ ...recipient, links: { confirm } }), { skipTextToHtml: true });
    assert.equal(mail.text, confirm);
  });

  it("refuses recipients, links and Message-IDs that would break out of their place", () => {
    const form = composeLetter(plain);
    const bad = [
      { address: "ada@example.com\r\nBcc: evil@evil.test" },
      { address: "a@example.com, b@example.com" },
      { messageId: "<a@b>\r\nX: y" },
      { messageId: "bare@example.com" },
      { listUnsubscribe: "https://x.test/>, <mailto:evil@evil.test" },
      { listUnsubscribe: "javascript:alert(1)" },
      { links: { ...links, manage: "https://x.test/\r\nX: y" } },
      { links: { manage: links.manage } },
    ];
    for (const change of bad)
      assert.throws(() => form.splice({ ...recipient, ...change }), Error, JSON.stringify(change));
  });

  it("offers one-click leaving over https alone", async () => {
    const form = composeLetter(plain);
    const local = form.splice({ ...recipient, listUnsubscribe: "http://localhost:8080/l/1" }).toString("latin1");
    assert.match(local, /\r\nList-Unsubscribe: <http:\/\/localhost:8080\/l\/1>\r\n/);
    assert.doesNotMatch(local, /List-Unsubscribe-Post/);
    assert.doesNotMatch(
      form.splice({ ...recipient, listUnsubscribe: undefined }).toString("latin1"),
      /List-Unsubscribe/,
    );
  });
});
