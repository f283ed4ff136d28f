/**
 * The one path of every command: the app's own routes. A running server is asked through the socket in its data folder;
 * without one, the command takes the folder's lock and asks the same app in this process.
 */
import { existsSync } from "node:fs";
import { request } from "node:http";
import { type BootOptions, bootOptions, processEnvironment } from "../src/config.ts";
import { FolderInUse } from "../src/db.ts";
import { type Fault, UserError } from "../src/errors.ts";
import { openHouse, socketPath } from "../src/server.ts";
import { note } from "./print.ts";

export type Shared = { data?: string; keyFile?: string; page?: string; json?: boolean };

/** What an answer holds is for the server to say; commands only read out of it. */
// biome-ignore lint/suspicious/noExplicitAny: JSON whose shapes belong to the API
export type Json = any;

export type Visit = {
  /** False: this process does it, and what is queued waits for the next server. */
  isServed: boolean;
  call(method: string, path: string, body?: unknown): Promise<Json>;
  /** The same below /v1/pages/PAGE: the page of --page, or the first. */
  ask(method: string, path: string, body?: unknown): Promise<Json>;
};

type Answer = { status: number; text: string };
type Send = (method: string, path: string, body: unknown) => Promise<Answer>;

/** How long a command waits for another command, or for a server that is just starting or stopping. */
const patienceMs = 5_000;

export function whereOf(shared: Shared): BootOptions {
  return bootOptions(shared, processEnvironment());
}

/** What a command that is to be copied must say of where the data is: nothing where it would look by itself. */
export function flagsFor({ data, keyFile }: Pick<BootOptions, "data" | "keyFile">): string {
  const usual = bootOptions({}, {});
  const isBeside = keyFile === bootOptions({ data }, {}).keyFile;
  return `${data === usual.data ? "" : ` --data ${quote(data)}`}${isBeside ? "" : ` --key-file ${quote(keyFile)}`}`;
}

/** For a POSIX shell. */
function quote(word: string): string {
  return /^[\w./@:+,=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** @throws UserError with the server's own sentence, Error when the fault is ours */
export async function enterHouse<Result>(
  shared: Shared,
  visit: (house: Visit) => Promise<Result>,
  how: { delivers: boolean } = { delivers: false },
): Promise<Result> {
  const where = whereOf(shared);
  const until = performance.now() + patienceMs;
  for (;;) {
    const overSocket: Send = (method, path, body) => askServer(socketPath(where.data), method, path, body);
    if (await isServed(where.data)) return visit(guide(overSocket, shared.page, true));
    let house: ReturnType<typeof openHouse>;
    const troubles: string[] = [];
    try {
      house = openHouse({ ...where, environment: processEnvironment(), write: keepErrors(troubles), ...how });
    } catch (error) {
      if (!(error instanceof FolderInUse) || performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
      continue;
    }
    try {
      const { createApp } = await import("../src/app.ts");
      const app = createApp(house);
      const inProcess: Send = async (method, path, body) => {
        const init = { method, ...(body === undefined ? {} : { body: JSON.stringify(body), headers: jsonType }) };
        const response = await app.fetch(new Request(`http://candor${path}`, init), {
          peer: "operator",
          operator: true,
        });
        return { status: response.status, text: await response.text() };
      };
      return await visit(guide(inProcess, shared.page, false));
    } catch (error) {
      // The sentence says it.
      if (error instanceof UserError) troubles.length = 0;
      throw error;
    } finally {
      await house.close();
      for (const line of troubles) note(line.trimEnd());
    }
  }
}

/** A server that is stopped in its tracks takes connections and never answers. */
const longestSilenceMs = 30_000;

/**
 * Whether a server answers on the folder's socket.
 *
 * @throws UserError when one is there that doesn't
 */
export async function isServed(data: string, silenceMs = longestSilenceMs): Promise<boolean> {
  try {
    await askServer(socketPath(data), "GET", "/v1/pages", undefined, silenceMs);
    return true;
  } catch (error) {
    if (error instanceof NotServed) return false;
    throw error;
  }
}

const jsonType = { "content-type": "application/json" };

function guide(send: Send, chosenPage: string | undefined, served: boolean): Visit {
  const call: Visit["call"] = async (method, path, body) => {
    const answer = await send(method, path, body);
    if (answer.status < 300) return answer.text === "" ? undefined : JSON.parse(answer.text);
    throw faultIn(answer, `${method} ${path}`);
  };
  let page = chosenPage;
  const ask: Visit["ask"] = async (method, path, body) => {
    page ??= (await call("GET", "/v1/pages"))[0]?.id;
    if (!page) throw new UserError("not_found", "There is no page yet. Run: candor init");
    return call(method, `/v1/pages/${encodeURIComponent(page)}${path}`, body);
  };
  return { call, ask, isServed: served };
}

function faultIn({ status, text }: Answer, what: string): Error {
  let message: string | undefined;
  try {
    message = JSON.parse(text).message;
  } catch {
    // Said below.
  }
  const faults: Record<number, Fault> = { 403: "forbidden", 404: "not_found", 409: "conflict", 429: "too_many" };
  // 503 and 507 are the machine's fault, with a sentence about what to do.
  if (message && (status < 500 || status === 503 || status === 507))
    return new UserError(faults[status] ?? "invalid", message);
  return new Error(`${what} was answered with ${status}: ${message ?? text}`);
}

class NotServed extends Error {}

/** @param path of the socket */
export function askServer(
  path: string,
  method: string,
  target: string,
  body: unknown,
  /** How long it may say nothing; left out: for ever, because some questions take their time. */
  silenceMs = 0,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(
      { socketPath: path, path: target, method, headers: { host: "candor", ...jsonType } },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
        );
      },
    );
    call.setTimeout(silenceMs, () => {
      const advice = "It hangs: see its log, and start it again.";
      call.destroy(new UserError("conflict", `The server hasn't answered for ${silenceMs / 1000} seconds. ${advice}`));
    });
    call.on("error", (error: NodeJS.ErrnoException) => {
      const code = error.code ?? "";
      if (["ENOENT", "ECONNREFUSED", "ENOTDIR", "EINVAL", "ENAMETOOLONG"].includes(code))
        return reject(new NotServed());
      // A closed folder hides its socket too; opening the house says so better.
      if (code === "EACCES" && !existsSync(path)) return reject(new NotServed());
      if (code === "EACCES" || code === "EPERM") {
        const advice = "Run this as the user that the server runs as.";
        return reject(new UserError("forbidden", `This user may not use ${path} (${code}). ${advice}`));
      }
      if (code === "ECONNRESET" || code === "EPIPE") {
        const doubt = "Whether this was done isn't known: look before you repeat it.";
        return reject(new UserError("conflict", `The server went away while it answered. ${doubt}`));
      }
      return reject(error);
    });
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** A command speaks for itself; only what went wrong inside is worth a line of the log. */
function keepErrors(lines: string[]): (line: string) => void {
  return (line) => {
    if (line.includes('"level":"error"')) lines.push(line);
  };
}
