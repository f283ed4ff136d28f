/** `candor health`: whether the server answers, for health checks. */
import type { Command } from "commander";
import { type ListenPlace, parseListen } from "../src/config.ts";
import { UserError } from "../src/errors.ts";
import { refuseClosedFolder, socketPath } from "../src/server.ts";
import { portTaken } from "../src/tls/plans.ts";
import { askServer, enterHouse, flagsFor, isServed, type Json, type Shared, whereOf } from "./house.ts";
import { printAs } from "./print.ts";

export function addHealthCommand(program: Command): void {
  program
    .command("health")
    .description(
      "ask the running server whether it answers, can write, and has its port for https; exit 1 when it doesn't",
    )
    .option("--url <url>", "where to ask; left out: /healthz at the address that the server listens on")
    .addHelpText(
      "after",
      `
Hosts whose certificate is late or missing are told of, and the exit status stays 0.

Examples:
  $ candor health
  $ candor health --url http://127.0.0.1:8080/healthz`,
    )
    .action((_own, command: Command) => health(command.optsWithGlobals()));
}

/** Below the timeouts of those who ask: container engines and monitors give five seconds or more. */
const patienceMs = 4_000;

async function health(options: Shared & { url?: string }): Promise<void> {
  const url = options.url ?? (await healthUrl(options));
  const { status, text } = await (url === undefined
    ? askServer(socketPath(whereOf(options).data), "GET", "/healthz", undefined, patienceMs)
    : askUrl(url));
  const at = url ?? "its socket in the data folder";
  const seen = readAnswer(text);
  if (!seen) throw new UserError("invalid", `Something else than Candor answers at ${at} (HTTP ${status}).`);
  if (!seen.ok) {
    printAs(options, seen, () => "");
    throw new UserError("invalid", troubles[seen.trouble] ?? `${at} answers ${status}.`);
  }
  const letters = seen.mail
    ? ` ${seen.mail.queued} letters wait${seen.mail.paused ? "; the mail server can't be had" : ""}.`
    : "";
  // Who asks may be what restarts a server that isn't well, which brings no certificate.
  const late = seen.certificates?.late > 0 ? ` ${sayLate(seen.certificates.late)}` : "";
  printAs(options, seen, () => `Candor ${seen.version} is well at ${at}.${letters}${late}`);
}

function sayLate(hosts: number): string {
  const whose = hosts === 1 ? "1 host has" : `${hosts} hosts have`;
  return `${whose} no certificate, or one that should have been renewed long ago: candor host list says why.`;
}

const troubles: Record<string, string> = {
  database: "The server can't read its database; its log says why.",
  disk_full: "The disk that holds the data is full, so nothing can be written: make room.",
  read_only:
    "The server may not write to its data folder: check the folder's rights, and whether its disk is read-only.",
  https_port_taken: `${portTaken.words} ${portTaken.advice}`,
};

function readAnswer(text: string): Json | undefined {
  try {
    const seen = JSON.parse(text);
    return typeof seen?.ok === "boolean" && typeof seen.version === "string" ? seen : undefined;
  } catch {
    return undefined;
  }
}

async function askUrl(url: string): Promise<{ status: number; text: string }> {
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? ""))
    throw new UserError("invalid", "Give --url as a whole address, like http://127.0.0.1:8080/healthz.");
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(patienceMs) });
    return { status: answer.status, text: await answer.text() };
  } catch (error) {
    const cause = (error as { cause?: { code?: string } }).cause?.code ?? (error as Error).name;
    throw new UserError("not_found", `Nothing answers at ${url} (${cause}).`);
  }
}

/**
 * A running server knows where it listens; a wildcard address is asked on the loopback. It is asked through its own socket in
 * the data folder where a socket was passed to it, which whoever passed it keeps open in any case, and where it may expect the
 * PROXY protocol of us.
 */
async function healthUrl(options: Shared): Promise<string | undefined> {
  const where = whereOf(options);
  if (!(await isServed(where.data, patienceMs))) {
    // Who may not look into the folder can't say that nobody is in it.
    refuseClosedFolder(where.data);
    throw new UserError(
      "not_found",
      `No server runs on the data folder ${where.data}. Start one with: candor serve${flagsFor(where)}`,
    );
  }
  const [listens, proxies] = await enterHouse(options, (house) =>
    Promise.all([house.call("GET", "/v1/settings/listen"), house.call("GET", "/v1/settings/proxy_protocol")]),
  );
  const place = parseListen(listens.value) as ListenPlace;
  if ("fd" in place || proxies.value === "on") return undefined;
  const { host, port } = place;
  const asked = { "0.0.0.0": "127.0.0.1", "::": "[::1]" }[host] ?? (host.includes(":") ? `[${host}]` : host);
  return `http://${asked}:${port}/healthz`;
}
