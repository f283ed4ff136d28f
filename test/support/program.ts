/** The built program from outside: copied alone into an empty folder and run with an empty environment. */
import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync } from "node:fs";
import { get, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

const built = join(import.meta.dirname, "../../dist/candor");

export type Ran = { code: number | null; signal: string | null; out: string; err: string };
export type Place = {
  folder: string;
  data: string;
  keyFile: string;
  program: string;
  run(args: string[], options?: { input?: string; environment?: Record<string, string> }): Promise<Ran>;
  /** Resolves when it answers. */
  serve(port: number, environment?: Record<string, string>): Promise<Server>;
};
export type Server = {
  child: ChildProcess;
  origin: string;
  log(): string;
  stop(signal?: NodeJS.Signals): Promise<Ran>;
};

/** What still runs when the test ends, however it ends, is killed. */
export function emptyPlace(t: TestContext): Place {
  if (!existsSync(built)) throw new Error("The walks drive the built program. Run: npm run build");
  const folder = mkdtempSync(join(tmpdir(), "candor-walk-"));
  const home = join(folder, "home");
  mkdirSync(home);
  const program = join(folder, "candor");
  copyFileSync(built, program);
  const data = join(folder, "data");
  const keyFile = join(folder, "candor.key");
  const where = ["--data", data, "--key-file", keyFile];
  return {
    folder,
    data,
    keyFile,
    program,
    run: (args, options = {}) => {
      const child = spawn(program, [...args, ...where], { cwd: home, env: options.environment ?? {}, stdio: "pipe" });
      child.stdin.end(options.input ?? "");
      return ending(child);
    },
    serve: async (port, environment = {}) => {
      const child = spawn(program, ["serve", ...where, "--listen", `127.0.0.1:${port}`], {
        cwd: home,
        env: environment,
        stdio: "pipe",
      });
      t.after(() => child.kill("SIGKILL"));
      const end = ending(child);
      let log = "";
      child.stderr.on("data", (chunk) => {
        log += chunk;
      });
      const origin = `http://127.0.0.1:${port}`;
      for (let tries = 0; !(await answers(port)); tries++) {
        if (child.exitCode !== null || tries > 1000) throw new Error(`The server doesn't answer: ${log}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      return {
        child,
        origin,
        log: () => log,
        stop: (signal = "SIGTERM") => {
          child.kill(signal);
          return end;
        },
      };
    },
  };
}

/** A place with a page on 127.0.0.1, an owner, and the parts API, Checkout and Search. */
export async function readyPlace(t: TestContext, port: number, smtp?: string): Promise<Place & { owner: string }> {
  const place = emptyPlace(t);
  const owner = "olive@example.com";
  const flags = ["--page-name", "Acme", "--host", `http://127.0.0.1:${port}`, "--owner", owner, "--yes"];
  const made = await place.run(["init", ...flags, ...(smtp ? ["--smtp", smtp] : [])]);
  if (made.code !== 0) throw new Error(`init ended with ${made.code}: ${made.err}`);
  for (const name of ["API", "Checkout", "Search"]) {
    const component = await place.run(["component", "create", name]);
    if (component.code !== 0) throw new Error(`component create ended with ${component.code}: ${component.err}`);
  }
  return { ...place, owner };
}

export type Fetched = { status: number; text: string; headers: Record<string, string | string[] | undefined> };

export function fetchFrom(
  origin: string,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Fetched> {
  return new Promise((resolve, reject) => {
    const call = request(
      `${origin}${path}`,
      { method: options.method ?? "GET", headers: options.headers ?? {}, agent: false },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk) => {
          text += chunk;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text, headers: response.headers }));
      },
    );
    call.on("error", reject);
    call.end(options.body);
  });
}

function ending(child: ChildProcess): Promise<Ran> {
  let out = "";
  let err = "";
  child.stdout?.on("data", (chunk) => {
    out += chunk;
  });
  child.stderr?.on("data", (chunk) => {
    err += chunk;
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal, out, err }));
  });
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    get({ port, host: "127.0.0.1", path: "/healthz", agent: false }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode === 200));
    }).on("error", () => resolve(false));
  });
}
