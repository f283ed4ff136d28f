/** What visitors get: the pressed bytes, without database, template or cookie (RFC 9110 for conditional requests). */
import type { IncomingHttpHeaders } from "node:http";
import type { Press, Pressed } from "./press.ts";

export type Answer = { status: 200 | 304; headers: string[]; body: Buffer | undefined };

/** @returns undefined when nothing is pressed under this path */
export function answerPressed(
  press: Press,
  request: { method: string; host: string; path: string; headers: IncomingHttpHeaders },
): Answer | undefined {
  const found = press.find(request.host, request.path);
  return found && answerWith(found, request.headers);
}

export function answerWith(found: Pressed, headers: IncomingHttpHeaders): Answer {
  const known = headers["if-none-match"];
  if (known !== undefined && matches(known, found.etag))
    return { status: 304, headers: found.notModified, body: undefined };
  const { headers: list, body } = takesGzip(headers["accept-encoding"]) ? found.gzip() : found.identity;
  return { status: 200, headers: list, body };
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
function takesGzip(header: string | string[] | undefined): boolean {
  if (typeof header !== "string") return false;
  return header.split(",").some((part) => {
    const [coding = "", weight] = part.split(";", 2).map((word) => word.trim().toLowerCase());
    if (coding !== "gzip" && coding !== "*") return false;
    return weight === undefined || (weight.startsWith("q=") && Number(weight.slice(2)) > 0);
  });
}
