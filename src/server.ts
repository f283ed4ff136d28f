/** Boot order from top to bottom; `stop` goes the same way back. */
import { accessSync, chmodSync, constants, existsSync, rmSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { Server as SecureServer } from "node:https";
import { BlockList } from "node:net";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Hono } from "hono";
import { createAnnouncer } from "./announcements/announcer.ts";
import { createLetters } from "./announcements/letters.ts";
import { type Clock, systemClock } from "./clock.ts";
import { type Config, type ListenPlace, openConfig, parseListen, parseNetworks, type SettingName } from "./config.ts";
import { capConnections } from "./connections.ts";
import { openKeyring, readKeyFile } from "./crypto/keyring.ts";
import { openStore } from "./db.ts";
import type { Deps } from "./deps.ts";
import { createEdge, hangGate } from "./edge.ts";
import { version } from "./embedded.ts";
import { UserError } from "./errors.ts";
import { createHealth } from "./health.ts";
import type { Env } from "./http.ts";
import { rehearseForLater } from "./incidents/rehearsal.ts";
import { startJobs } from "./jobs.ts";
import { closeDoor, type Door, isInUse, limits, listen, originOfDoor } from "./listening.ts";
import { createLog, type Level } from "./log.ts";
import { createMailer } from "./mail/mailer.ts";
import { cameOverTls, holds, peerOf } from "./network.ts";
import { listPages } from "./pages/pages.ts";
import { watchPauses } from "./pauses.ts";
import { createPressure } from "./pressure.ts";
import { hearProxies, wasOpenedTls } from "./proxy-protocol.ts";
import { createRender } from "./render.ts";
import { createPress } from "./statuspage/press.ts";
import { quarantineSubscriber } from "./subscribers/subscribers.ts";
import { createLimits } from "./team/limits.ts";
import { keepTicksFast } from "./ticks.ts";
import { createKeeper } from "./tls/keeper.ts";
import { createCertificateShelf } from "./tls/shelf.ts";
import { createTransport } from "./tls/transport.ts";
import { readWishes } from "./tls/wishes.ts";

export type RunningServer = {
  deps: Deps;
  origin: string;
  /** Where https is listened on; "" where it isn't, or not yet. */
  https: string;
  stop(): Promise<void>;
};

export type OpenInput = {
  /** The data folder; undefined for a house in memory. */
  data: string | undefined;
  keyFile?: string;
  /** Folders in which a key file may have any mode. */
  guarded?: string[];
  keys?: Deps["keys"];
  environment: NodeJS.ProcessEnv;
  overrides?: Partial<Record<SettingName, string | undefined>>;
  clock?: Clock;
  write?: (line: string) => void;
  /** Whether the database may be made: by whoever founds a house. */
  mayBeNew?: boolean;
  /** False: letters are queued and stay so, and no certificate is asked for: the next server does both. */
  delivers?: boolean;
};

/** Everything but the network: what a command in process needs, and what the server begins with. */
export function openHouse(input: OpenInput): Deps & { close(): Promise<void> } {
  const clock = input.clock ?? systemClock;
  const keys = input.keys ?? unlockKeys(input);
  const store = openStore({ where: input.data, keys, clock });
  try {
    const { db } = store;
    const config = openConfig({
      db,
      keys,
      environment: input.environment,
      ...(input.overrides ? { overrides: input.overrides } : {}),
    });
    const log = createLog({
      clock,
      write: input.write ?? ((line) => process.stderr.write(line)),
      least: () => config.text("log.level") as Level,
    });
    if (store.beforeUpgrade) log.info("database.upgraded", { version, before: store.beforeUpgrade });
    const render = createRender();
    const certificates = createCertificateShelf({ db, keys, clock, log });
    // Where it is listened on is taken up at the start; until then nobody is bound and nothing ordered.
    const listens = config.text("https.listen") !== "";
    const transport = createTransport({ config, certificates, clock, listens });
    const press = createPress({ db, render, clock, log, transport });
    const mailer = createMailer({
      db,
      keys,
      config,
      clock,
      log,
      letters: createLetters({ db, keys, config, render, clock }),
      onBounce: ({ subscriberSeq }) => {
        if (subscriberSeq !== undefined) quarantineSubscriber(db, { seq: subscriberSeq, now: clock.now() });
      },
    });
    if (input.delivers === false) mailer.wake = () => {};
    const wishes = () => readWishes(config, { runs: input.delivers !== false, listens });
    const keeper = createKeeper({ db, keys, clock, log, shelf: certificates, wishes });
    const announcer = createAnnouncer({ db, clock, log, onQueued: () => mailer.wake() });
    const deps: Deps = {
      db,
      store,
      keys,
      config,
      clock,
      log,
      render,
      press,
      mailer,
      announcer,
      limits: createLimits(clock),
      pressure: createPressure(),
      certificates,
      keeper,
      transport,
      dataFolder: input.data,
    };
    const close = async () => {
      press.stop();
      await keeper.stop();
      await announcer.stop();
      await mailer.stop();
      store.close();
    };
    return { ...deps, close };
  } catch (error) {
    store.close();
    throw error;
  }
}

function unlockKeys(input: OpenInput): Deps["keys"] {
  if (input.data === undefined || input.keyFile === undefined) throw new Error("A data folder needs a key file.");
  const keyring = join(input.data, "keyring.json");
  refuseClosedFolder(input.data);
  const database = join(input.data, "candor.db");
  if (!existsSync(keyring) && !existsSync(database)) {
    throw new UserError("not_found", `There is no Candor in ${input.data} yet. Run: candor init --data ${input.data}`);
  }
  // A new one would hide that the old one is lost, until somebody sets up a page in it.
  if (!input.mayBeNew && !existsSync(database)) {
    const advice =
      "Put a snapshot in its place; the README says how. If nothing was ever set up here, run: candor init";
    throw new UserError("not_found", `${database} is missing. ${advice}`);
  }
  return openKeyring(keyring, readKeyFile(input.keyFile, input.guarded));
}

/** Without the right to look inside, everything in a folder seems to be missing. */
export function refuseClosedFolder(data: string): void {
  try {
    if (!statSync(data).isDirectory())
      throw new UserError("invalid", `${data} isn't a folder. Name another with --data.`);
    accessSync(data, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    if (error instanceof UserError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return; // Said below, with what to do about it.
    const advice =
      code === "EROFS"
        ? "Its file system is read-only: mount it for writing, or name another folder with --data."
        : "Run this as the folder's owner, or give this user the right to read and write it.";
    throw new UserError("forbidden", `The data folder ${data} can't be used by this user (${code}). ${advice}`);
  }
}

export function socketPath(data: string): string {
  return join(data, "candor.sock");
}

export async function startServer(input: OpenInput & { data: string }): Promise<RunningServer> {
  keepTicksFast();
  const house = openHouse(input);
  const { config, log, press, data } = { ...house, data: input.data };
  const doors: Door[] = [];
  let retries: NodeJS.Timeout | undefined;
  try {
    if (listPages(house.db).length === 0) throw new UserError("not_found", "There is no page yet. Run: candor init");
    // The app and its libraries take longer to load than the page: the first visitor doesn't wait for them.
    let app: Promise<Hono<Env>> | undefined;
    const ready = () => {
      app ??= import("./app.ts").then(({ createApp }) => createApp(house));
      return app;
    };
    press.pressAll();
    const pauses = watchPauses();
    const health = createHealth({ ...house, data }, pauses);
    const proxies = trustedProxies(config);
    const visitors = lazyListener(async (request, incoming) =>
      (await ready()).fetch(request, { peer: peerOf(incoming, proxies()), operator: false }),
    );
    const operator = lazyListener(async (request) =>
      (await ready()).fetch(request, { peer: "operator", operator: true }),
    );

    const openDoor = async (server: Server | SecureServer, gate: RequestListener, where: ListenPlace, flag: string) => {
      hangGate(server, gate);
      server.setTimeout(stalledMs);
      const connections = capConnections(server, {
        perNetwork: config.number("connections.per_network"),
        inAll: config.number("connections.in_all"),
        isProxy: (address) => holds(proxies(), address),
        log,
      });
      doors.push({ server, connections });
      hearProxies(server, (address) => config.text("proxy_protocol") === "on" && holds(proxies(), address));
      // Said by `listen` until then; later it is of a connection that the system couldn't give.
      server.on("error", (error) => {
        if (server.listening) log.error("connections.not_accepted", { error });
      });
      await listen(server, where, flag);
    };

    const socket = createServer(limits, (request, response) =>
      request.url === "/healthz" ? health(request, response) : operator(request, response),
    );
    doors.push({ server: socket, connections: undefined });
    const path = socketPath(data);
    rmSync(path, { force: true }); // We hold the folder's lock, so whoever left it is gone.
    const mask = process.umask(0o177);
    try {
      await listen(socket, { path });
    } finally {
      process.umask(mask);
    }
    chmodSync(path, 0o600);

    const secureAddress = parseListen(config.text("https.listen"));
    const { certificates, clock } = house;
    // Nobody is sent where nobody listens.
    let listensSecurely = false;
    const beginSecurely = () => {
      listensSecurely = true;
      certificates.beginServing();
    };
    const hasCertificate = (host: string) => listensSecurely && certificates.isValid(host, clock.now());
    const web = createServer(limits);
    const gate = createEdge({
      press,
      app: visitors,
      health,
      challenges: house.keeper.challenges,
      ...(secureAddress
        ? {
            hasCertificate,
            cameOverTls: (request) => wasOpenedTls(request.socket) || cameOverTls(request, proxies()),
          }
        : {}),
    });
    const address = parseListen(config.text("listen")) as ListenPlace;
    if (secureAddress && isDeepStrictEqual(secureAddress, address))
      throw new UserError(
        "invalid",
        "http and https can't share one address: give each its own, like [::]:80 and [::]:443, or fd:3 and fd:4.",
      );
    await openDoor(web, gate, address, secureAddress ? "--http" : "--listen");
    if (secureAddress) {
      const { createTlsServer } = await import("./tls/listener.ts");
      const secure = createTlsServer({ shelf: certificates, challenges: house.keeper.challenges, limits });
      const secureGate = createEdge({ press, app: visitors, health, isTls: true });
      try {
        await openDoor(secure, secureGate, secureAddress, "--https");
        beginSecurely();
      } catch (error) {
        // The port's holder is often on its way out, as when a server is replaced: the page doesn't wait for it.
        if (!isInUse(error)) throw error;
        const tries = "Until then everything is served over http alone; it is tried again every 10 seconds.";
        certificates.waitForPort();
        log.error("https.unavailable", { message: `${error.message} ${tries}` });
        retries = setInterval(async () => {
          try {
            await listen(secure, secureAddress, "--https");
            clearInterval(retries);
            beginSecurely();
            log.info("https.listening", { https: config.text("https.listen") });
          } catch (failure) {
            if (!isInUse(failure)) log.error("https.failed", { error: failure });
          }
        }, retryMs);
        retries.unref();
      }
    }
    const origin = originOfDoor(web, address);

    // Visitors who waited for the restart come first: loading the app holds the event loop for as long as pressing did.
    await setTimeout(settleMs);
    // A route that doesn't say who may enter ends the start here. The router builds its tables at the first request, which
    // is ours and not a publisher's.
    await (await ready()).fetch(new Request(`${origin}/v1`), { peer: "operator", operator: true });
    rehearsePublishing(house);
    pauses.forget();
    const pressure = house.pressure.watch();
    const jobs = startJobs(house);
    house.mailer.wake();
    house.announcer.wake();
    const https = listensSecurely ? config.text("https.listen") : "";
    log.info("server.started", {
      version,
      listen: origin,
      https,
      mail: config.text("mail.smtp_url") === "" ? "kept" : "smtp",
    });
    return {
      deps: house,
      origin,
      https,
      stop: async () => {
        clearInterval(retries);
        jobs.stop();
        pauses.stop();
        pressure.stop();
        await Promise.all(doors.map(closeDoor));
        await house.close();
        rmSync(path, { force: true });
        log.info("server.stopped");
      },
    };
  } catch (error) {
    clearInterval(retries);
    for (const { server } of doors) server.close();
    await house.close();
    throw error;
  }
}

/** Asked at every request that isn't answered from memory; what is set while the server runs holds at once. */
function trustedProxies(config: Config): () => BlockList {
  let known = { text: "", list: new BlockList() };
  return () => {
    const text = config.text("trusted_proxies");
    if (text !== known.text) known = { text, list: parseNetworks(text) ?? new BlockList() };
    return known.list;
  };
}

function rehearsePublishing(house: Deps): void {
  const { db, config, clock, log } = house;
  try {
    rehearseForLater(db, { now: clock.now(), burstFactor: config.number("mail.burst_factor") });
  } catch (error) {
    log.error("publishing.rehearsal_failed", { error });
  }
}

/**
 * The bridge from node to the app pulls in node's whole fetch, which a page from memory never needs: it is loaded once the
 * server listens, so that the first visitor isn't kept waiting for it.
 */
function lazyListener(
  answer: (request: Request, incoming: IncomingMessage) => Response | Promise<Response>,
): RequestListener {
  let ready: Promise<(request: IncomingMessage, response: ServerResponse) => Promise<void>> | undefined;
  const load = async () => {
    const { getRequestListener } = await import("@hono/node-server");
    return getRequestListener((request, env) => answer(request, env.incoming as IncomingMessage));
  };
  return (request, response) => {
    ready ??= load();
    void ready.then((run) => run(request, response));
  };
}

/** Between listening and loading the app. */
const settleMs = 20;

/** Whoever waits for an answer that doesn't come. Longer than the longest answer takes to begin: a test letter's outcome. */
const stalledMs = 30_000;

/** Between two attempts to listen on an address that is in use. */
const retryMs = 10_000;
