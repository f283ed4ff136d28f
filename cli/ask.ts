/** Questions to a person at a terminal, and what stands on standard input. */
import type { Interface } from "node:readline";
import { UserError } from "../src/errors.ts";
import { harmless, note } from "./print.ts";

export function isTerminal(): boolean {
  return Boolean(process.stdin.isTTY && process.stderr.isTTY);
}

/** Asks until the answer passes; an empty one means the default. Questions go to stderr, so that stdout stays the result. */
export async function ask(input: {
  question: string;
  preset: string;
  shown?: string;
  check: (answer: string) => void;
}): Promise<string> {
  const { question, preset, shown = preset } = input;
  for (;;) {
    const answer = (await line(`${question}${shown ? ` [${shown}]` : ""}: `)).trim() || preset;
    try {
      input.check(answer);
      return answer;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      note(`  ${error.message}`);
    }
  }
}

export async function confirm(question: string): Promise<boolean> {
  return /^y(es)?$/i.test((await line(`${question} [y/N] `)).trim());
}

/** A change that changes nothing is a slip: an option that a shell's variable left out, most likely. */
export function requireSome(fields: Record<string, unknown>, command: string): void {
  if (Object.values(fields).every((value) => value === undefined))
    throw new UserError("invalid", `Say what to change. See ${command} --help.`);
}

/** `-` means: read it from standard input, so that long words and secrets need not stand in the shell's history. */
export async function valueOrStdin(given: string, what: string): Promise<string> {
  return given === "-" ? readStdin(`Give ${what}, then press Ctrl-D.`) : given;
}

export async function readStdin(invitation: string): Promise<string> {
  if (process.stdin.isTTY) note(invitation);
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8").trimEnd();
}

/** One reader for all questions: a second would lose what was typed or pasted ahead of the first. */
let terminal: Interface | undefined;
const typedAhead: string[] = [];
let waiting: { resolve: (line: string) => void; reject: (error: Error) => void } | undefined;
/** By Ctrl-C or Ctrl-D: the reader can neither be asked nor paused any more. */
let isClosed = false;

async function line(question: string): Promise<string> {
  const reader = terminal ?? (await openTerminal());
  if (!isClosed) {
    reader.setPrompt(harmless(question));
    reader.prompt();
  }
  const typed = typedAhead.shift();
  if (typed !== undefined) return typed;
  if (isClosed) throw givenUp();
  // Paused, it doesn't keep the process after the last answer.
  return new Promise<string>((resolve, reject) => {
    waiting = { resolve, reject };
  }).finally(() => isClosed || reader.pause());
}

/** Questions come before the deed, so who leaves them has done nothing. */
function givenUp(): UserError {
  return new UserError("invalid", "Nothing was changed.");
}

/** Loaded when a person is asked: the server never needs it. */
async function openTerminal(): Promise<Interface> {
  const { createInterface } = await import("node:readline");
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  reader.on("line", (typed) => {
    const asker = waiting;
    waiting = undefined;
    if (asker) asker.resolve(typed);
    else typedAhead.push(typed);
  });
  // Ctrl-C and Ctrl-D.
  reader.on("close", () => {
    isClosed = true;
    if (!waiting) return;
    process.stderr.write("\n");
    waiting.reject(givenUp());
  });
  terminal = reader;
  return reader;
}
