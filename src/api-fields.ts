/**
 * Strict readers of a body's fields. A field that is absent, or null, is undefined; a field of another kind is refused in
 * one sentence. Forms know only text, so numbers and truth values are read from text as well. An empty text clears.
 */
import { type BodyRecord, type BodyValue, isRecord } from "./api-body.ts";
import { UserError } from "./errors.ts";

/** The record under a request's root key, like `incident`. */
export function takePart(body: BodyRecord, name: string): BodyRecord {
  const part = body[name];
  if (isRecord(part)) return part as BodyRecord;
  throw new UserError("invalid", `Send the fields inside ${name}, like {${JSON.stringify(name)}: {…}}.`, {
    field: name,
  });
}

export function takeText(fields: BodyRecord, name: string): string | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return value;
  if (typeof value === "number") return String(value);
  throw wrong(name, "a text");
}

export function needText(fields: BodyRecord, name: string): string {
  const text = takeText(fields, name);
  if (text === undefined) throw new UserError("invalid", `Send ${name}.`, { field: name });
  return text;
}

/** Null and empty text both clear the field. */
export function takeClearable(fields: BodyRecord, name: string): string | null | undefined {
  if (fields[name] === null) return null;
  const text = takeText(fields, name);
  return text === "" ? null : text;
}

export function takeFlag(fields: BodyRecord, name: string): boolean | undefined {
  const value = fields[name];
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value === "boolean") return value;
  if (typeof value === "object") throw wrong(name, "true or false");
  const word = String(value).toLowerCase();
  if (["true", "1", "t"].includes(word)) return true;
  if (["false", "0", "f"].includes(word)) return false;
  throw wrong(name, "true or false");
}

/** A list of ids or words; empty ones, which forms send for an empty list, are left out. */
export function takeList(fields: BodyRecord, name: string): string[] | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (value === "") return [];
  if (!Array.isArray(value)) throw wrong(name, "a list");
  return value.flatMap((item: BodyValue) => {
    if (typeof item !== "string" && typeof item !== "number") throw wrong(name, "a list of texts");
    return item === "" ? [] : [String(item)];
  });
}

/** Texts by name; an empty one means that nothing is said about that name. */
export function takeRecord(fields: BodyRecord, name: string): Record<string, string> | undefined {
  const value = fields[name];
  if (value === undefined || value === null || value === "") return undefined;
  if (!isRecord(value)) throw wrong(name, "an object");
  const record: Record<string, string> = Object.create(null);
  for (const [key, item] of Object.entries(value)) {
    if (item === null || item === "") continue;
    if (typeof item !== "string") throw wrong(name, "an object of texts");
    record[key] = item;
  }
  return record;
}

/** UTC milliseconds of an ISO 8601 time. Without its offset it would mean another moment to everyone. */
export function takeTime(fields: BodyRecord, name: string): number | undefined {
  const text = takeText(fields, name);
  if (text === undefined || text === "") return undefined;
  try {
    const at = Temporal.Instant.from(text.trim()).epochMilliseconds;
    if (at >= 0 && at < 253_402_300_800_000) return at;
  } catch {
    // Said below.
  }
  throw wrong(name, "a time with its offset, like 2026-01-31T08:00:00Z or 2026-01-31T09:00:00+01:00");
}

/** One of the words; null and empty text clear. */
export function takeChoice<Word extends string>(
  fields: BodyRecord,
  name: string,
  words: readonly Word[],
): Word | null | undefined {
  const text = takeClearable(fields, name);
  if (text === undefined || text === null) return text;
  const word = words.find((known) => known === text);
  if (word === undefined) throw wrong(name, `one of: ${words.join(", ")}`);
  return word;
}

function wrong(name: string, what: string): UserError {
  return new UserError("invalid", `The field ${name} must be ${what}.`, { field: name });
}
