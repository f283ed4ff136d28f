/** What visitors get: the pressed bytes, without database, template or cookie (RFC 9110 for conditional requests). */
import type { Press, Pressed } from "./press.ts";

export type Answer = { status: 200 | 304; headers: string[]; body: Buffer | undefined };
export type Conditions = { ifNoneMatch: string | undefined; acceptEncoding: string | undefined };

/** @returns undefined when nothing is pressed under this path */
export function answerPressed(press: Press, host: string, path: string, conditions: Conditions): Answer | undefined {
  const found = press.find(host, path);
  if (!found) return undefined;
  const answer = answerWith(found, conditions);
  const transport = press.transportOf(host);
  return transport.length === 0 ? answer : { ...answer, headers: answer.headers.concat(transport) };
}

export function answerWith(found: Pressed, conditions: Conditions): Answer {
  const { ifNoneMatch, acceptEncoding } = conditions;
  if (ifNoneMatch !== undefined && matches(ifNoneMatch, found.etag))
    return { status: 304, headers: found.notModified, body: undefined };
  const { headers, body } = takesGzip(acceptEncoding) ? found.gzip() : found.identity;
  return { status: 200, headers, body };
}

/** Weak comparison, as If-None-Match asks for (RFC 9110, 13.1.2). */
function matches(header: string, etag: string): boolean {
  if (header === etag || header === "*") return true;
  return header.split(",").some((part) => part.trim().replace(/^W\//, "") === etag);
}

/**
 * RFC 9110, 12.5.3: gzip is named, or everything is, and not with weight zero. Cut and compared, not matched: a pattern
 * that backtracks over 16 kB of header would hold up everybody.
 */
function takesGzip(header: string | undefined): boolean {
  if (header === undefined) return false;
  if (header === "gzip, deflate, br" || header === "gzip, deflate, br, zstd" || header === "gzip") return true;
  return header.split(",").some((part) => {
    const [coding = "", weight] = part.split(";", 2).map((word) => word.trim().toLowerCase());
    if (coding !== "gzip" && coding !== "*") return false;
    return weight === undefined || (weight.startsWith("q=") && Number(weight.slice(2)) > 0);
  });
}
