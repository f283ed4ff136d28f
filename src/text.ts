import { UserError } from "./errors.ts";

/** One trimmed line of 1 to `most` characters, without control characters. */
export function requireText(text: string, rule: { field: string; what: string; most: number }): string {
  const trimmed = text.trim();
  if (trimmed === "") throw new UserError("invalid", `Give ${rule.what}.`, { field: rule.field });
  if (/\p{Cc}/u.test(trimmed)) throw new UserError("invalid", "Give one line of plain text.", { field: rule.field });
  return limitText(trimmed, rule);
}

/** Text of several lines, 0 to `most` characters; line ends become \n, other control characters are refused. */
export function requireLines(text: string, rule: { field: string; what: string; most: number }): string {
  const lines = text.replaceAll("\r\n", "\n").replaceAll("\r", "\n").trim();
  if (/[^\P{Cc}\n\t]/u.test(lines))
    throw new UserError("invalid", "Leave out control characters.", { field: rule.field });
  return limitText(lines, rule);
}

function limitText(text: string, rule: { field: string; most: number }): string {
  if (text.length <= rule.most) return text;
  throw new UserError(
    "invalid",
    `Use at most ${rule.most.toLocaleString("en")} characters; these are ${text.length.toLocaleString("en")}.`,
    { field: rule.field },
  );
}
