/** `candor serve`: the server, until it is told to stop. */
import { watch, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import { processEnvironment } from "../src/config.ts";
import { fromSource, version } from "../src/embedded.ts";
import { UserError } from "../src/errors.ts";
import { listPages, originOf } from "../src/pages/pages.ts";
import { type RunningServer, startServer } from "../src/server.ts";
import { type Shared, whereOf } from "./house.ts";
import { note } from "./print.ts";

export function addServeCommand(program: Command): void {
  program
    .command("serve")
    .description("serve the page, the admin and the API, and deliver letters")
    .option("--listen <addr:port>", "address and port, like 127.0.0.1:8080 or [::]:80; default: the setting listen")
    .option("--http <addr:port>", "the same as --listen")
    .option("--https <addr:port>", "address and port for https, like [::]:443; default: the setting https.listen")
    .addHelpText(
      "after",
      `
Speaks plain HTTP, and with --https also https: it gets the certificates of its hosts by itself once acme.contact is set
(candor host), or serves your own (candor cert). Or put it behind a proxy that holds the certificate, and set
trusted_proxies. In the place of an address, fd:3 is the first socket that systemd passes, fd:4 the second. Stops on SIGTERM, SIGINT and SIGHUP: letters under way are finished, nothing is lost. A second signal stops at
once. Without a terminal, one JSON line per event goes to stderr.

Examples:
  $ candor serve
  $ candor serve --http '[::]:80' --https '[::]:443'             IPv4 and IPv6; where IPv6 is switched off: 0.0.0.0:80 …
  $ candor serve --data /var/lib/candor --key-file /etc/candor.key --listen 127.0.0.1:8080`,
    )
    .action((_own, command: Command) => serve(command.optsWithGlobals()));
}

/**
 * Whoever still holds a line, like an authority that doesn't answer, must not keep a process that has done all it had to.
 * For commands alone, whose last deed this is.
 */
export function leave(): void {
  process.stderr.write("", () => process.exit());
}

async function serve(options: Shared & Addresses): Promise<void> {
  await serveUntilStopped(options, options, (server) => {
    const [page] = listPages(server.deps.db);
    if (!page || !process.stderr.isTTY) return;
    const links = originOf(server.deps.db, page.id);
    const where = `${server.origin}${server.https === "" ? "" : ` and https://${server.https}`}`;
    note(
      `Candor ${version} serves ${page.name} at ${where}${links === server.origin ? "" : `, for ${links}`}. Stop with Ctrl-C.`,
    );
  });
  leave();
}

type Addresses = { listen?: string; http?: string; https?: string };

/** @param ready is told of the running server; what it throws stops the server */
export async function serveUntilStopped(
  shared: Shared,
  addresses: Addresses,
  ready: (server: RunningServer) => void,
): Promise<void> {
  const { https } = addresses;
  if (addresses.listen !== undefined && addresses.http !== undefined)
    throw new UserError("invalid", "--http and --listen are the same. Give one of them.");
  const listen = addresses.listen ?? addresses.http;
  const overrides = {
    ...(listen === undefined ? {} : { listen }),
    ...(https === undefined ? {} : { "https.listen": https }),
  };
  keepDebuggerShut();
  takeName();
  const write = process.stderr.isTTY ? writeTroubles : (line: string) => void process.stderr.write(line);
  // Heard from the first moment: who is told to stop while starting stops once it has started.
  const signal = untilSignal();
  const server = await startServer({ ...whereOf(shared), environment: processEnvironment(), overrides, write });
  let stopWatching = () => {};
  try {
    ready(server);
    stopWatching = fromSource ? pressOnChange(server) : stopWatching;
    await signal;
  } finally {
    stopWatching();
    await server.stop();
  }
}

/**
 * Node answers SIGUSR1, which log rotation likes to send, by opening its debugger to everybody on the machine. A listener
 * takes that place.
 */
function keepDebuggerShut(): void {
  process.on("SIGUSR1", () => {});
}

/** Node calls the process node-MainThread; to pgrep, top and ss it shall be candor, with its arguments as they are. */
function takeName(): void {
  if (process.platform === "linux") writeFileSync("/proc/self/comm", "candor");
}

/** npm passes a Ctrl-C on to us that the terminal sent us already: only a later one is a second one. */
const secondSignalMs = 500;

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    let first: number | undefined;
    const heard = () => {
      first ??= performance.now();
      resolve();
      if (performance.now() - first > secondSignalMs) process.exit(1);
    };
    process.on("SIGTERM", heard);
    process.on("SIGINT", heard);
    // The terminal went away.
    process.on("SIGHUP", heard);
  });
}

/** On a terminal, a person reads: only what is wrong is shown, the rest is for log collectors. */
function writeTroubles(line: string): void {
  if (/"level":"(warn|error)"/.test(line)) note(line.trimEnd());
}

/** Partials are read again half a second after they were last read. */
const settleMs = 600;

/** From source: a changed template shows at the next reload. */
function pressOnChange(server: RunningServer): () => void {
  let soon: NodeJS.Timeout | undefined;
  const press = () => {
    try {
      server.deps.press.pressAll();
    } catch (error) {
      note(`A template is broken: ${(error as Error).message}`);
    }
  };
  const watcher = watch(join(dirname(process.argv[1] ?? "."), "..", "templates"), { recursive: true }, () => {
    clearTimeout(soon);
    soon = setTimeout(press, settleMs);
  });
  // A watch that can't be had (too many files are watched) is no reason not to serve.
  watcher.on("error", () => {});
  return () => {
    clearTimeout(soon);
    watcher.close();
  };
}
