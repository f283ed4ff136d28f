/**
 * A letter is composed once per announcement and language; what is the recipient's own (address, links, Message-ID) is
 * spliced in afterwards, because a full MIME build per recipient costs more than sending it.
 *
 * The source is cut at its tokens before quoted-printable encoding, and each value stands between soft breaks of its
 * own, so that the length of a link never moves the line breaks of the text around it.
 */
import { randomBytes } from "node:crypto";
import MailComposer from "nodemailer/lib/mail-composer";
import { encode, wrap } from "nodemailer/lib/qp";
import { parseAddress } from "./address.ts";

export const linkNames = ["manage", "leave", "confirm"] as const;
export type LinkName = (typeof linkNames)[number];
export type Links = Partial<Record<LinkName, string>>;

// Unknown before the process starts, so that no publisher's text can contain one.
const mark = `candor-${randomBytes(6).toString("hex")}-`;

/** Give these to the templates where the recipient's own links stand. */
export const manageToken = `${mark}manage`;
export const leaveToken = `${mark}leave`;
export const confirmToken = `${mark}confirm`;

export type LetterText = {
  from: { name: string; address: string };
  replyTo?: string | undefined;
  subject: string;
  text: string;
  html: string;
  /** The list's identifier, like status.example.com (RFC 2919). */
  listId?: string | undefined;
  /** Of what this letter and others belong to, like a Message-ID, but that of no letter (RFC 5322, 3.6.4). */
  thread?: string | undefined;
  /** UTC milliseconds. */
  date: number;
  /** The links that text and html must each hold, and no other; manage and leave unless said. */
  links?: readonly LinkName[] | undefined;
};

export type Recipient = {
  address: string;
  /** With its angle brackets. */
  messageId: string;
  links: Links;
  /** Where one POST leaves the list (RFC 8058). */
  listUnsubscribe?: string | undefined;
};

export type LetterForm = {
  /** The whole message, RFC 5322, with CRLF. @throws Error when a value would break the message */
  splice(recipient: Recipient): Buffer;
};

type Piece = string | { link: LinkName };

/** @throws Error when a link's token is missing from text or html, or one stands where none belongs */
export function composeLetter(source: LetterText): LetterForm {
  const wanted = source.links ?? ["manage", "leave"];
  const text = encodeBody(source.text, "text", wanted);
  const html = encodeBody(source.html, "html", wanted);
  const { head, textHead, htmlHead, boundary } = buildHeads(source);
  const between = `\r\n--${boundary}\r\n${htmlHead}\r\n\r\n`;
  const start = `\r\n\r\n--${boundary}\r\n${textHead}\r\n\r\n`;
  const end = `\r\n--${boundary}--\r\n`;

  return {
    splice: (recipient) => {
      const plain = new Map<LinkName, string>();
      const escaped = new Map<LinkName, string>();
      for (const name of wanted) {
        const link = recipient.links[name];
        if (!link || !/^https?:\/\/[\x21-\x7e]+$/.test(link)) throw new Error(`The letter's ${name} link isn't a URL.`);
        plain.set(name, encodeLink(link));
        escaped.set(name, encodeLink(escapeHtml(link)));
      }
      const own = ownHeaders(recipient);
      // Everything is ASCII by now, and latin1 is the cheapest copy.
      return Buffer.from(`${own}${head}${start}${fill(text, plain)}${between}${fill(html, escaped)}${end}`, "latin1");
    },
  };
}

function ownHeaders(recipient: Recipient): string {
  const address = parseAddress(recipient.address);
  if (!address) throw new Error("The recipient's address isn't one that mail can be sent to.");
  if (!isMessageId(recipient.messageId)) throw new Error("The Message-ID isn't one.");
  let lines = `To: ${address}\r\nMessage-ID: ${recipient.messageId}\r\n`;
  const url = recipient.listUnsubscribe;
  if (url !== undefined) {
    if (!/^https?:\/\/[\x21-\x3b\x3d\x3f-\x7e]{1,900}$/.test(url))
      throw new Error("The List-Unsubscribe link isn't a URL.");
    lines += `List-Unsubscribe: <${url}>\r\n`;
    // RFC 8058 section 3.1 wants https for the POST; an http link is left to people.
    if (url.startsWith("https:")) lines += "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n";
  }
  return lines;
}

function isMessageId(text: string): boolean {
  return /^<[\x21-\x3b\x3d\x3f\x41-\x7e]{1,200}@[A-Za-z0-9.-]{1,253}>$/.test(text);
}

function buildHeads(source: LetterText): { head: string; textHead: string; htmlHead: string; boundary: string } {
  const from = parseAddress(source.from.address);
  const replyTo = source.replyTo === undefined ? undefined : parseAddress(source.replyTo);
  if (!from || (source.replyTo !== undefined && !replyTo))
    throw new Error("The sender's address isn't one that mail can be sent from.");
  if (source.listId !== undefined && !/^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/.test(source.listId)) {
    throw new Error("The List-Id isn't a name like status.example.com.");
  }
  const { thread } = source;
  if (thread !== undefined && !isMessageId(thread)) throw new Error("The letter's thread isn't like a Message-ID.");
  const subject = oneLine(source.subject);
  const name = oneLine(source.from.name);
  if (subject.includes(mark) || name.includes(mark))
    throw new Error("A letter's subject holds a recipient's own link.");

  const root = new MailComposer({
    from: { name, address: from },
    ...(replyTo ? { replyTo: { name: "", address: replyTo } } : {}),
    subject,
    date: new Date(source.date),
    encoding: "quoted-printable",
    text: " ",
    html: " ",
  }).compile();
  const [textPart, htmlPart] = root.childNodes;
  // Building the headers is what draws the boundary.
  const lines = root.buildHeaders().split("\r\n");
  if (!textPart || !htmlPart || !root.boundary) throw new Error("The mail composer made no two parts.");
  // Its own Message-ID gives way to the recipient's.
  const kept = lines.filter((line) => !/^message-id:/i.test(line));
  const listId = source.listId === undefined ? [] : [`List-Id: <${source.listId}>`];
  const threading = thread === undefined ? [] : [`In-Reply-To: ${thread}`, `References: ${thread}`];
  // RFC 3834; Exchange answers that it is out of office unless it is told in its own words.
  const automatic = ["Auto-Submitted: auto-generated", "X-Auto-Response-Suppress: OOF, AutoReply"];
  const head = [...automatic, ...listId, ...threading, ...kept].join("\r\n");
  return { head, textHead: textPart.buildHeaders(), htmlHead: htmlPart.buildHeaders(), boundary: root.boundary };
}

function encodeBody(source: string, which: "text" | "html", wanted: readonly LinkName[]): Piece[] {
  const pieces: Piece[] = [];
  const found = new Set<LinkName>();
  const lines = source.replace(/\r\n?|\n/g, "\r\n");
  const parts = lines.split(new RegExp(`${mark}(${linkNames.join("|")})`));
  for (const [index, part] of parts.entries()) {
    if (index % 2 === 1) {
      const link = part as LinkName;
      if (!wanted.includes(link)) throw new Error(`The letter's ${which} holds a ${link} link that it must not have.`);
      found.add(link);
      pieces.push({ link });
      continue;
    }
    if (part.includes(mark)) throw new Error(`The letter's ${which} holds a broken link token.`);
    // 75 leaves room for the "=" of the soft break before a link.
    const encoded = wrap(encode(part), 75);
    const last = index === parts.length - 1;
    pieces.push(last || encoded === "" || encoded.endsWith("\r\n") ? encoded : `${encoded}=\r\n`);
  }
  const missing = wanted.filter((link) => !found.has(link));
  if (missing.length > 0) throw new Error(`The letter's ${which} lacks its ${missing.join(" and ")} link.`);
  return pieces;
}

function fill(pieces: Piece[], values: Map<LinkName, string>): string {
  let body = "";
  for (const [index, piece] of pieces.entries()) {
    if (typeof piece === "string") {
      body += piece;
      continue;
    }
    const next = pieces[index + 1];
    body += values.get(piece.link) ?? "";
    const isLast = next === undefined || (next === "" && index + 2 === pieces.length);
    if (!isLast && !(typeof next === "string" && next.startsWith("\r\n"))) body += "=\r\n";
  }
  return body;
}

/** A URL is printable ASCII, of which only "=" is special; cut into lines of 75 and a soft break, never inside =3D. */
function encodeLink(link: string): string {
  const encoded = link.replaceAll("=", "=3D");
  if (encoded.length <= 75) return encoded;
  let lines = "";
  let line = "";
  for (const character of link) {
    const unit = character === "=" ? "=3D" : character;
    if (line.length + unit.length > 75) {
      lines += `${line}=\r\n`;
      line = "";
    }
    line += unit;
  }
  return lines + line;
}

function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}

/** Without C0 and C1 controls and Unicode's line separators: a header is one line. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ").trim();
}
