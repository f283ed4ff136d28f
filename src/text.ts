import { UserError } from "./errors.ts";

/** `called`: as the form's label says, for the sentences that would else leave open which field they mean. */
type Rule = { field: string; what: string; most: number; called?: string };

/** One trimmed line of 1 to `most` characters, without control characters. */
export function requireText(text: string, rule: Rule): string {
  const trimmed = text.trim();
  if (trimmed === "") throw new UserError("invalid", `Give ${rule.what}.`, { field: rule.field });
  if (/\p{Cc}/u.test(trimmed)) throw fault(rule, "Give one line of plain text.");
  return limitText(trimmed, rule);
}

/** Text of several lines, 0 to `most` characters; line ends become \n, other control characters are refused. */
export function requireLines(text: string, rule: Rule): string {
  const lines = text.replaceAll("\r\n", "\n").replaceAll("\r", "\n").trim();
  if (/[^\P{Cc}\n\t]/u.test(lines)) throw fault(rule, "Leave out control characters.");
  return limitText(lines, rule);
}

function limitText(text: string, rule: Rule): string {
  if (text.length <= rule.most) return text;
  const [most, these] = [rule.most.toLocaleString("en"), text.length.toLocaleString("en")];
  throw fault(rule, `Use at most ${most} characters; these are ${these}.`);
}

function fault({ field, called }: Rule, sentence: string): UserError {
  const words = called ? `${called}: ${sentence.charAt(0).toLowerCase()}${sentence.slice(1)}` : sentence;
  return new UserError("invalid", words, { field });
}
