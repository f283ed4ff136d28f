import { domainToASCII } from "node:url";
import { UserError } from "../errors.ts";

const atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
const localPart = new RegExp(`^${atom}(?:\\.${atom})*$`);
const otherLetter = /(?![A-Za-z])\p{L}/u;
/** Whatever else it is given, domainToASCII cuts, decodes or leaves out. */
const domainOfLetters = /^[\p{L}\p{M}\p{N}.。-]+$/u;
const label = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;

/**
 * The only addresses that reach a mail server: RFC 5321 dot-atom local part, LDH domain of two labels or more, 254
 * characters at most. Anything cleverer (quotes, comments, line breaks, Unicode) is refused, because mail libraries
 * re-parse what they are given and may find a second recipient in it.
 *
 * @returns the address with its domain in lower case
 */
export function parseAddress(text: string): string | undefined {
  if (text.length > 254) return undefined;
  const at = text.lastIndexOf("@");
  const local = text.slice(0, at);
  const domain = text.slice(at + 1).toLowerCase();
  if (at < 1 || local.length > 64 || !localPart.test(local)) return undefined;
  const labels = domain.split(".");
  if (labels.length < 2 || domain.length > 253 || !labels.every((part) => label.test(part))) return undefined;
  if (/^\d+$/.test(labels.at(-1) ?? "")) return undefined;
  return `${local}@${domain}`;
}

/**
 * A domain in another script is taken in the form that mail servers know (RFC 5891). A name before the @ has no such
 * form: it would need a server that speaks SMTPUTF8 at every step (RFC 6531), and few do.
 *
 * @throws UserError at `field` when it isn't an address that mail can be sent to
 */
export function requireAddress(text: string, field = "email"): string {
  const typed = text.trim();
  const at = typed.lastIndexOf("@");
  const [local, domain] = [typed.slice(0, Math.max(0, at)), typed.slice(at + 1)];
  const known = otherLetter.test(domain) && domainOfLetters.test(domain) ? domainToASCII(domain) : domain;
  const address = parseAddress(`${local}@${known}`);
  if (address) return address;
  const other = otherLetter.exec(local)?.[0];
  throw new UserError(
    "invalid",
    other
      ? `No letter can be sent to an address with “${other}” before the @. Give another one.`
      : "Give an e-mail address like name@example.com.",
    { field },
  );
}

/** What the blind index is taken of: letter case never makes two subscribers of one person. */
export function canonicalAddress(address: string): string {
  return address.toLowerCase();
}

/** Shows which address is meant without telling it to a bystander: b…@example.com. */
export function maskAddress(address: string): string {
  const at = address.lastIndexOf("@");
  return `${address.slice(0, 1)}…${address.slice(at)}`;
}
