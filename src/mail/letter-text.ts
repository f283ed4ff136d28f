/** Reads back what compose.ts wrote (RFC 2045 to 2047): enough to show a kept letter, not a mail reader. */

export type ReadLetter = {
  headers: { name: string; value: string }[];
  text: string;
  /** The links in the text, once each, in order. */
  links: string[];
};

const shown = ["From", "Reply-To", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe"];

export function readLetter(raw: string): ReadLetter {
  const { headers, body } = split(raw);
  const boundary = /boundary="?([^";\s]+)"?/i.exec(headers.get("content-type") ?? "")?.[1];
  const parts = boundary
    ? body.split(`--${boundary}`).map((part) => split(part.replace(/^\r?\n/, "")))
    : [{ headers, body }];
  const plain = parts.find((part) => (part.headers.get("content-type") ?? "").startsWith("text/plain")) ?? parts[0];
  const quoted = /quoted-printable/i.test(plain?.headers.get("content-transfer-encoding") ?? "");
  const bytes = quoted ? decodeQuoted(plain?.body ?? "") : (plain?.body ?? "");
  const text = utf8(bytes).replaceAll("\r\n", "\n").trim();
  return {
    headers: shown.flatMap((name) => {
      const value = headers.get(name.toLowerCase());
      return value === undefined ? [] : [{ name, value: decodeWords(value) }];
    }),
    text,
    links: [...new Set(text.match(/https?:\/\/[^\s<>"')]+/g) ?? [])],
  };
}

function split(source: string): { headers: Map<string, string>; body: string } {
  const end = /\r?\n\r?\n/.exec(source);
  const head = end ? source.slice(0, end.index) : source;
  const headers = new Map<string, string>();
  for (const line of head.replaceAll(/\r?\n[ \t]+/g, " ").split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon > 0) headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { headers, body: end ? source.slice(end.index + end[0].length) : "" };
}

function decodeQuoted(text: string): string {
  const joined = text.replaceAll(/=[ \t]*\r?\n/g, "");
  return joined.replaceAll(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** RFC 2047: neighbouring encoded words belong together. */
function decodeWords(text: string): string {
  const joined = text.replaceAll(/(=\?[^?]+\?[bq]\?[^?]*\?=)\s+(?==\?)/gi, "$1");
  return joined.replaceAll(/=\?utf-8\?([bq])\?([^?]*)\?=/gi, (_, how: string, word: string) =>
    how.toLowerCase() === "b"
      ? Buffer.from(word, "base64").toString("utf8")
      : utf8(decodeQuoted(word.replaceAll("_", " "))),
  );
}

function utf8(bytes: string): string {
  return Buffer.from(bytes, "latin1").toString("utf8");
}
