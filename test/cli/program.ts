/** The command line as a shell meets it: a process with a folder, arguments, an exit code and two streams. */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { freePort } from "../support/ports.ts";

export const program = join(import.meta.dirname, "..", "..", "cli", "candor.ts");

export type Outcome = { code: number | null; stdout: string; stderr: string };
export type Place = {
  folder: string;
  data: string;
  keyFile: string;
  /** Runs a command to its end in the folder, without a terminal. */
  run(words: string[], more?: { input?: string; env?: Record<string, string>; cwd?: string }): Promise<Outcome>;
  /** Runs many commands without input, one after another, in one process. */
  shell(): (words: string[]) => Promise<Outcome>;
  /** Starts a command that stays, once stderr says that it serves. */
  start(words: string[], more?: { env?: Record<string, string> }): Promise<Running>;
};
export type Running = { child: ChildProcess; stdout(): string; stop(signal?: NodeJS.Signals): Promise<Outcome> };

/** A folder of its own; its data folder and key are where a command looks without flags. */
export function makePlace(t: TestContext): Place {
  const folder = mkdtempSync(join(tmpdir(), "candor-cli-"));
  const running: Running[] = [];
  t.after(async () => {
    for (const one of running) await one.stop("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    folder,
    data: join(folder, "data"),
    keyFile: join(folder, "data.key"),
    run: (words, more = {}) => {
      const { child, end } = launch(folder, words, more.env, more.cwd);
      child.stdin?.end(more.input ?? "");
      return end;
    },
    shell: () => {
      const child = fork(join(import.meta.dirname, "shell-child.ts"), { cwd: folder, env: environment(folder) });
      t.after(() => child.kill("SIGKILL"));
      return (words) =>
        new Promise((resolve) => {
          child.once("message", (outcome) => resolve(outcome as Outcome));
          child.send(words);
        });
    },
    start: async (words, more = {}) => {
      const { child, end, said } = launch(folder, words, more.env);
      const one: Running = {
        child,
        stdout: () => said.stdout,
        stop: (signal = "SIGTERM") => {
          child.kill(signal);
          return end;
        },
      };
      running.push(one);
      await new Promise<void>((resolve, reject) => {
        const look = () => said.stderr.includes("server.started") && resolve();
        child.stderr?.on("data", look);
        child.on("close", () => reject(new Error(`It ended instead of serving: ${said.stderr}`)));
      });
      return one;
    },
  };
}

/** A place where `candor init` was run for http://127.0.0.1:PORT. */
export async function foundedPlace(t: TestContext): Promise<Place & { port: number }> {
  const place = makePlace(t);
  const port = await freePort();
  const words = [
    "init",
    "--page-name",
    "Acme",
    "--host",
    `http://127.0.0.1:${port}`,
    "--owner",
    "olive@example.com",
    "--yes",
  ];
  const { code, stderr } = await place.run(words);
  if (code !== 0) throw new Error(stderr);
  return { ...place, port };
}

function environment(folder: string): NodeJS.ProcessEnv {
  // A third of a command's time is Node reading TypeScript; once is enough.
  const cache = join(tmpdir(), "candor-cli-test-cache");
  return { PATH: process.env.PATH, HOME: folder, TZ: "UTC", NODE_COMPILE_CACHE: cache };
}

function launch(folder: string, words: string[], more: Record<string, string> = {}, cwd = folder) {
  const child = spawn(process.execPath, [program, ...words], { cwd, env: { ...environment(folder), ...more } });
  const said = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text) => {
    said.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    said.stderr += text;
  });
  const end = new Promise<Outcome>((resolve) => child.on("close", (code) => resolve({ code, ...said })));
  return { child, end, said };
}

/** One sentence for a person: one line, no stack, exit 1. */
export function isOneLine({ code, stderr }: Outcome): boolean {
  return code === 1 && stderr.trimEnd().split("\n").length === 1 && !/\n\s+at /.test(stderr);
}
