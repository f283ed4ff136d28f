/** Reads the latest kept letter as a mail program would. */
import { type Headers, simpleParser } from "mailparser";
import { listDeliveries, readKeptLetter } from "../../src/mail/ledger.ts";
import type { House } from "./house.ts";

export type Letter = { raw: string; subject: string; text: string; html: string; to: string; headers: Headers };

export async function openLetter(house: House): Promise<Letter> {
  const latest = listDeliveries(house.deps.db, { pageId: house.page.id, state: "kept", limit: 1 })[0];
  if (!latest) throw new Error("No letter was kept.");
  return readLetter(house, latest.id);
}

export async function readLetter(house: House, id: number): Promise<Letter> {
  const raw = readKeptLetter(house.deps.db, { keys: house.deps.keys, pageId: house.page.id, id });
  if (!raw) throw new Error(`Letter ${id} was not kept.`);
  const mail = await simpleParser(raw);
  const to = Array.isArray(mail.to) ? mail.to[0] : mail.to;
  return {
    raw,
    subject: mail.subject ?? "",
    text: mail.text ?? "",
    html: mail.html || "",
    to: to?.text ?? "",
    headers: mail.headers,
  };
}

/** Paths of the links in the text part, in order. */
export function linksIn(letter: Letter): string[] {
  return [...letter.text.matchAll(/https?:\/\/\S+/g)].map(([link]) => new URL(link).pathname);
}
