/** What a mail server's refusal means for the letter (RFC 5321 section 4.2.1, RFC 3463). */

export type SendOutcome =
  | { outcome: "sent"; reply: string }
  | { outcome: "deferred"; reply: string }
  | { outcome: "bounced"; reply: string; code: string | undefined; atRecipient: boolean }
  | { outcome: "unreachable"; reply: string };

/** What nodemailer puts on an error. */
export type SmtpFault = Error & { code?: string; response?: string; responseCode?: number; command?: string };

/** The mail server can't be had at all; no letter is to blame. */
export class Unreachable extends Error {}

/** The connection broke or was ended, in contrast to an answer about the letter. */
export function isConnectionTrouble(fault: SmtpFault): boolean {
  return (
    fault.response === undefined ||
    fault.responseCode === 421 ||
    fault.code === "ECONNECTION" ||
    fault.code === "EPROTOCOL"
  );
}

export function judgeRefusal(fault: SmtpFault): SendOutcome {
  const reply = plainWords(fault);
  const status = fault.responseCode;
  if (isConnectionTrouble(fault) || status === undefined || status < 500) return { outcome: "deferred", reply };
  if (fault.command === "MAIL FROM") {
    // The server wants TLS or a sign-in first (RFC 4954 section 6): nothing would pass. Any other refusal of the sender
    // is a setting's fault, not the recipient's, and may hold for one page only.
    if ([530, 535, 538].includes(status)) return { outcome: "unreachable", reply };
    return { outcome: "deferred", reply };
  }
  const code = /^\d{3}[ -](5\.\d{1,3}\.\d{1,3})\b/.exec(fault.response ?? "")?.[1];
  return { outcome: "bounced", reply, code: code ?? String(status), atRecipient: fault.command === "RCPT TO" };
}

const nobodyThere = ["5.1.1", "5.1.6", "5.1.10", "5.2.1"];
/** Without an enhanced code, and said of the recipient: no mailbox, not local, name not allowed. */
const bareNobodyThere = ["550", "551", "553"];

/** True when no letter will ever reach this person; a refusal of the content or of us says nothing about them. */
export function isRecipientGone(bounce: { code: string | undefined; atRecipient: boolean }): boolean {
  if (bounce.code === undefined) return false;
  return nobodyThere.includes(bounce.code) || (bounce.atRecipient && bareNobodyThere.includes(bounce.code));
}

/** One line of the server's (or the system's) own words, at most 400 characters. */
export function plainWords(given: unknown): string {
  const fault = given as SmtpFault;
  const words = typeof given === "string" ? given : (fault.response ?? fault.message ?? String(given));
  // RFC 3207: asked for TLS, a server that doesn't know it answers like to any unknown command.
  if (fault.code === "ETLS" && fault.command === "STARTTLS" && (fault.responseCode ?? 0) >= 500)
    return "The mail server offers no TLS; set mail.tls to optional if letters may go to it in clear.";
  // OpenSSL's words for plain text where it expected a handshake.
  if (fault.response === undefined && words.includes("wrong version number"))
    return "The mail server speaks no TLS on this port. smtp:// begins in clear and changes to TLS; smtps:// is for a port like 465.";
  return words
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ")
    .trim()
    .slice(0, 400);
}

/** Servers like to repeat the address; a log must not. */
export function withoutAddresses(words: string): string {
  return words.replace(/[^\s<>()[\]"':;,]+@[^\s<>()[\]"':;,]+/g, "…");
}
