/**
 * What commands print: JSON for programs, aligned tables and sentences for people. Words may come from an authority, the DNS,
 * a hook or a stranger: whatever leaves for a terminal leaves through here, and steers none.
 */
import { jsonText } from "../src/json-text.ts";
import type { Shared } from "./house.ts";

export type Cell = string | number | boolean | null | undefined;

/** `--json` prints the answer as it came; otherwise people get theirs. */
export function printAs(shared: Shared, answer: unknown, forPeople: () => string): void {
  print(shared.json ? jsonText(answer, { indent: 2 }) : forPeople());
}

export function print(text: string): void {
  if (text !== "") process.stdout.write(`${harmless(text)}\n`);
}

/** To stderr: for a person at a terminal, never part of a command's result. */
export function note(text: string): void {
  process.stderr.write(`${harmless(text)}\n`);
}

/** Without control characters but line breaks and tabs: an escape would move the cursor, or rename the window. */
export function harmless(text: string): string {
  return text.replaceAll("\r\n", "\n").replaceAll(/[^\P{Cc}\n\t]+/gu, " ");
}

/** Columns as wide as their widest cell; the last one runs free. `empty` is said instead of a table without rows. */
export function table(heads: string[], rows: Cell[][], empty: string): string {
  if (rows.length === 0) return empty;
  const lines = [heads.map((head) => head.toUpperCase()), ...rows.map((row) => row.map(inCell))];
  const widths = heads.map((_, column) => Math.max(...lines.map((line) => widthOf(line[column] ?? ""))));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - widthOf(cell)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Names on the left, values on the right; what has no value is left out. */
export function facts(pairs: [string, Cell][]): string {
  const told = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  const width = Math.max(...told.map(([name]) => name.length));
  return told.map(([name, value]) => `${name.padEnd(width)}  ${inCell(value)}`).join("\n");
}

export function count(number: number, one: string, many: string): string {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

/** 2026-11-24 09:15:00 UTC: sorts, and says which zone it is in. */
export function time(iso: string | null | undefined): string {
  return iso ? `${iso.slice(0, 19).replace("T", " ")} UTC` : "";
}

/** A line break in a name must not forge a row. */
function inCell(value: Cell): string {
  if (value === true) return "yes";
  if (value === false) return "no";
  return String(value ?? "").replaceAll(/\p{Cc}+/gu, " ");
}

function widthOf(text: string): number {
  return [...text].length;
}
