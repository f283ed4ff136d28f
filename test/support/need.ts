/**
 * Tests against real peers (a browser, a mail server) need their programs. On a developer's machine a missing one skips
 * the test with its reason; in CI it fails, because there a skipped test would be a hole that nobody sees.
 */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** For `test(name, { skip: needs("chromium") }, …)`: false when all are there, else the reason. */
export function needs(...programs: string[]): string | false {
  const missing = programs.filter((program) => !findProgram(program));
  if (missing.length === 0) return false;
  const reason = `needs ${missing.join(", ")}: apt-get install it (.ci/run lists the packages)`;
  if (process.env.CI) throw new Error(`In CI nothing is skipped: this test ${reason}.`);
  return reason;
}

/** For tests that fill a small disk of their own. */
export function needsMount(): string | false {
  if (process.getuid?.() === 0) return false;
  if (process.env.CI) throw new Error("In CI nothing is skipped: this test needs root to mount a small disk.");
  return "needs root to mount a small disk";
}

/** Where a program lies; daemons' folders are searched even where PATH leaves them out. */
export function findProgram(program: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/local/sbin", "/usr/sbin", "/sbin"];
  return folders.map((folder) => join(folder, program)).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
