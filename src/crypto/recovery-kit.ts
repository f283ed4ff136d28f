/**
 * The recovery kit: the key-encryption key as people copy it, on paper or into a password manager. Four lines of four
 * groups; each line carries a checksum of its own, so that a slip of the pen is found in its line and not by a database
 * that doesn't open. The fingerprint says which keyring the key belongs to.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { UserError } from "../errors.ts";
import { writeFileDurably } from "./durable.ts";
import { keyFingerprint, openKeyring, readKeyFile } from "./keyring.ts";

const lineCount = 4;
const digitsPerLine = 16;

export type RecoveryKit = { fingerprint: string; lines: string[] };

export function writeKit(kek: Buffer): RecoveryKit {
  const hex = kek.toString("hex");
  const lines = Array.from({ length: lineCount }, (_, index) => {
    const digits = hex.slice(index * digitsPerLine, (index + 1) * digitsPerLine);
    return `${index + 1}:  ${(digits.match(/.{4}/g) ?? []).join(" ")}   ${checksum(index, digits)}`;
  });
  return { fingerprint: keyFingerprint(kek), lines };
}

/** Finds the four lines in whatever was pasted around them. @throws UserError that names the line with the typo */
export function readKit(text: string): Buffer {
  const found = new Map<number, string>();
  for (const line of text.split(/\r?\n/)) {
    const match = /^\W*([1-4])\s*[:.)]\s*(\S.*)$/.exec(line);
    if (match) found.set(Number(match[1]) - 1, mendLookalikes(match[2] as string));
  }
  // Copied without their numbers; the checksums know the order.
  if (found.size === 0) {
    const bare = text
      .split(/\r?\n/)
      .map(mendLookalikes)
      .filter((line) => /^[0-9a-f]{20}$/.test(line));
    for (const [index, line] of bare.entries()) found.set(index, line);
  }
  let hex = "";
  for (let index = 0; index < lineCount; index++) {
    const line = found.get(index);
    if (line === undefined) {
      throw new UserError(
        "invalid",
        `Line ${index + 1} of the recovery kit is missing. Give all four, like "1: 0123 4567 89ab cdef 0123".`,
      );
    }
    const digits = line.slice(0, digitsPerLine);
    if (!/^[0-9a-f]{20}$/.test(line) || line.slice(digitsPerLine) !== checksum(index, digits)) {
      throw new UserError(
        "invalid",
        `Line ${index + 1} of the recovery kit has a typo. Compare it with your kit digit by digit.`,
      );
    }
    hex += digits;
  }
  return Buffer.from(hex, "hex");
}

/**
 * Writes the key file again. `keyring` is checked against where it is there, so that a key of another house is refused.
 *
 * @throws UserError for a key that doesn't fit, and for a file that holds another key
 */
export function restoreKeyFile(input: {
  keyFile: string;
  guarded?: readonly string[];
  keyring: string;
  kek: Buffer;
}): "written" | "there already" {
  if (existsSync(input.keyring)) {
    openKeyring(input.keyring, input.kek, "The kit belongs to another Candor: take the one with that fingerprint.");
  }
  if (existsSync(input.keyFile)) {
    if (readKeyFile(input.keyFile, input.guarded).equals(input.kek)) return "there already";
    throw new UserError(
      "conflict",
      `${input.keyFile} holds another key. Nothing was written: move that file away, or name another with --key-file.`,
    );
  }
  try {
    writeFileDurably(input.keyFile, `${input.kek.toString("hex")}\n`, { mode: 0o600, overwrite: false });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (!code) throw error;
    throw new UserError(
      "invalid",
      `The key file ${input.keyFile} can't be written (${code}). Name another place with --key-file.`,
    );
  }
  return "written";
}

function checksum(index: number, digits: string): string {
  return createHash("sha256").update(`candor kit|${index}|${digits}`).digest("hex").slice(0, 4);
}

/** Hex has no letters o, l and i; handwriting does. */
function mendLookalikes(text: string): string {
  return text.toLowerCase().replaceAll(/[\s-]/g, "").replaceAll("o", "0").replaceAll(/[li]/g, "1");
}
