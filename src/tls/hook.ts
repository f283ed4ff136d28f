/**
 * The operator's program that puts a TXT record into the DNS and takes it out again. It has three minutes; then it is ended with
 * whatever it has started: one that hangs must not keep a name from being renewed.
 */
import { spawn } from "node:child_process";

export type DnsHook = (deed: "present" | "cleanup", record: string, value: string) => Promise<void>;

const hookMs = 180_000;
/** Of what it says on standard error the end is told. */
const longestWords = 4_096;

const drainMs = 500;

/** @param patienceMs how long it may take, outside of tests three minutes */
export function createDnsHook(program: string, patienceMs = hookMs): DnsHook {
  return (deed, record, value) =>
    new Promise((resolve, reject) => {
      // A group of its own, so that what it started can be ended with it.
      const child = spawn(program, [deed, record, value], { stdio: ["ignore", "ignore", "pipe"], detached: true });
      let said = "";
      const fail = (words: string) => reject(new Error(`${program} ${deed} ended with an error: ${words}`));
      const end = (words: string) => {
        clearTimeout(late);
        child.stderr?.destroy(); // What it left running may hold it open.
        words === "" ? resolve() : fail(words);
      };
      const late = setTimeout(() => {
        endGroup(child.pid);
        end(`it didn't return within ${patienceMs / 1_000} seconds.`);
      }, patienceMs);
      child.on("error", (error) => end(error.message));
      if (!child.stderr) return; // There was no descriptor left for it; that is said as an error.
      const { stderr } = child;
      stderr.setEncoding("utf8");
      stderr.on("data", (words: string) => {
        said = (said + words).slice(-longestWords);
      });
      child.on("exit", (code, signal) => {
        if (code === 0) return end("");
        const tell = () => end(said.trim().split("\n").at(-1) || `it ended with ${signal ?? `code ${code}`}.`);
        // What it wrote last may still be on its way.
        const soon = setTimeout(tell, drainMs);
        stderr.once("close", () => {
          clearTimeout(soon);
          tell();
        });
      });
    });
}

function endGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
