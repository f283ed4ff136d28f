/**
 * Bodies of the API. Statuspage's clients send JSON, or forms with Rails' brackets (`incident[components][ID]=…`,
 * `incident[component_ids][]=…`); both become the same nested record, so that a door never asks which it was. Records
 * have no prototype, and a name that would reach one is refused.
 */
import { UserError } from "./errors.ts";
import { type Ctx, isFormType, parseForm, readText } from "./http.ts";

export type BodyValue = string | number | boolean | null | BodyValue[] | BodyRecord;
export type BodyRecord = { [name: string]: BodyValue };

/** The request isn't understood at all: 400, where a field that can't be is 422. */
export class MalformedRequest extends UserError {
  constructor(message: string, field?: string) {
    super("invalid", message, field === undefined ? {} : { field });
  }
}

const deepest = 12;

/** An empty body is an empty record. @throws MalformedRequest */
export async function readBody(c: Ctx): Promise<BodyRecord> {
  const text = await readText(c);
  if (text.trim() === "") return emptyRecord();
  if (isFormType(c)) {
    // What `curl -d` says of everything that it sends. As a form it would be one field with a very long name.
    if (text.trimStart().startsWith("{")) {
      const advice = "Send it with the header Content-Type: application/json.";
      throw new MalformedRequest(`This body is JSON, but is sent as a form. ${advice}`);
    }
    return nestForm(parseForm(text).entries);
  }
  if ((c.req.header("content-type") ?? "").toLowerCase().startsWith("multipart/")) {
    throw new MalformedRequest("Send the body as application/json or application/x-www-form-urlencoded.");
  }
  return readJson(text);
}

function readJson(text: string): BodyRecord {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new MalformedRequest('The body isn\'t JSON that can be read. Send an object like {"incident": {…}}.');
  }
  if (!isRecord(parsed)) throw new MalformedRequest('Send a JSON object like {"incident": {…}}.');
  return plain(parsed, 1) as BodyRecord;
}

/** Without prototypes, and without halves of surrogate pairs: UTF-8 holds none, so they would become question marks. */
function plain(value: unknown, depth: number): BodyValue {
  if (typeof value === "string" && !value.isWellFormed()) throw halved();
  if (typeof value !== "object" || value === null) return value as BodyValue;
  if (depth > deepest) throw new MalformedRequest(`The body is nested more than ${deepest} levels deep.`);
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1));
  const record = emptyRecord();
  for (const [name, item] of Object.entries(value)) record[safeName(name)] = plain(item, depth + 1);
  return record;
}

/** Of a name that is given twice the last one holds, in forms as in JSON. */
function nestForm(entries: [string, string][]): BodyRecord {
  const root = emptyRecord();
  for (const [key, value] of entries) put(root, pathOf(key), value, key);
  return root;
}

function put(root: BodyRecord, path: string[], value: string, key: string): void {
  let record = root;
  for (let index = 0; index < path.length; index++) {
    const name = safeName(path[index] as string);
    const next = path[index + 1];
    if (next === undefined) {
      if (typeof record[name] === "object") throw crossed(key);
      record[name] = value;
      return;
    }
    record[name] ??= next === "" ? [] : emptyRecord();
    const inner = record[name];
    if (next === "") {
      if (!Array.isArray(inner) || index + 2 < path.length) throw crossed(key);
      inner.push(value);
      return;
    }
    if (!isRecord(inner)) throw crossed(key);
    record = inner as BodyRecord;
  }
}

/** `a[b][]` is the path a, b, "". */
function pathOf(key: string): string[] {
  const match = /^([^[\]]+)((?:\[[^[\]]*\])*)$/.exec(key);
  if (!match)
    throw new MalformedRequest(`The field name ${JSON.stringify(key)} can't be read: write it like incident[name].`);
  const path = [
    match[1] as string,
    ...[...(match[2] as string).matchAll(/\[([^\]]*)\]/g)].map((part) => part[1] as string),
  ];
  if (path.length > deepest) throw new MalformedRequest(`The body is nested more than ${deepest} levels deep.`);
  return path;
}

function crossed(key: string): MalformedRequest {
  return new MalformedRequest(`The field ${JSON.stringify(key)} is given in two forms at once.`);
}

function safeName(name: string): string {
  if (name === "__proto__") throw new MalformedRequest("A field can't be named __proto__.");
  if (!name.isWellFormed()) throw halved();
  return name;
}

function halved(): MalformedRequest {
  return new MalformedRequest(
    "The body holds half a character: a \\ud800 to \\udfff without its partner. Leave it out.",
  );
}

function emptyRecord(): BodyRecord {
  return Object.create(null) as BodyRecord;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
