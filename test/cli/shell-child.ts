/**
 * Runs one command after another in one process, because a process for each costs more than the command: the program's
 * entry is imported anew each time, its modules aren't. What it would print goes back to the test.
 */
import { join } from "node:path";

const program = join(import.meta.dirname, "..", "..", "cli", "candor.ts");
let runs = 0;

process.on("message", async (words: string[]) => {
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    process[name].removeAllListeners("error");
    process[name].write = ((text: string) => {
      said[name] += text;
      return true;
    }) as typeof process.stdout.write;
  }
  process.exitCode = undefined;
  process.argv = [process.execPath, program, ...words];
  runs += 1;
  await import(`${program}?${runs}`);
  // The program exports nothing: its last deed is to set the exit code.
  while (process.exitCode === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
  process.send?.({ code: process.exitCode, ...said });
});
