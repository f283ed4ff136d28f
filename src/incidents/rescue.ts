/**
 * What a publisher had typed into a form that couldn't be taken, because the session had ended or the incident was
 * deleted: in words, to be copied. It is shown to whoever sent it, who may be nobody that we know, so it names only what
 * is on the page.
 */
import { listComponents } from "../components/components.ts";
import type { Db } from "../db.ts";
import type { Form } from "../http.ts";
import { incidentWords, statusWords } from "../statuspage/words.ts";
import { fieldsIn, spreadOut } from "./posting.ts";

export function rescueView(db: Db, input: { pageId: string; form: Form | undefined }) {
  if (!input.form) return undefined;
  const fields = spreadOut(db, { pageId: input.pageId, fields: fieldsIn(input.form) });
  if (fields.body.trim() === "" && fields.name.trim() === "") return undefined;
  const planned = new Set(input.form.all("concerned"));
  const parts = listComponents(db, input.pageId)
    .filter(({ id }) => fields.chosen[id] || planned.has(id))
    .map(({ id, name }) => (planned.has(id) ? name : `${name}: ${wordFor(statusWords, fields.chosen[id] ?? "")}`));
  const facts = [
    { words: "Title", value: fields.name },
    { words: "Status", value: wordFor(incidentWords, fields.status) },
    { words: "Begins", value: fields.from.replace("T", " ") },
    { words: "Ends", value: fields.until.replace("T", " ") },
    { words: "Parts", value: parts.join(", ") },
  ];
  return { facts: facts.filter(({ value }) => value !== ""), body: fields.body };
}

function wordFor(words: Record<string, string>, value: string): string {
  return Object.hasOwn(words, value) ? (words[value] as string) : value;
}
