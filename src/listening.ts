/** How the server begins to listen, and how it ends without cutting anybody off. */
import type { Server } from "node:http";
import type { Server as SecureServer } from "node:https";
import { Server as NetServer } from "node:net";
import type { ListenPlace } from "./config.ts";
import type { Connections } from "./connections.ts";
import { UserError } from "./errors.ts";

/** The operator's socket counts nobody's connections. */
export type Door = { server: Server | SecureServer; connections: Connections | undefined };

type Place = { path: string } | ListenPlace;

/**
 * Slow clients are let go: headers within 5 s, a whole request within 10 s. Clients are told that a connection may rest for
 * 8 s (Keep-Alive), so that none asks again over one that is just being closed, which connections.ts does after 10; node itself
 * does it after 60, for proxies.
 */
export const limits = {
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 8_000,
  keepAliveTimeoutBuffer: 52_000,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 16_384,
};

/** May be called again where it failed. @param flag names the address on the command line */
export function listen(server: Server | SecureServer, where: Place, flag = ""): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => {
      server.removeListener("listening", begun);
      reject(inWords(error, where, flag));
    };
    const begun = () => {
      server.removeListener("error", failed);
      resolve();
    };
    server.once("error", failed);
    server.once("listening", begun);
    server.listen(where);
  });
}

export function isInUse(error: unknown): error is UserError {
  return error instanceof UserError && error.fault === "conflict";
}

export function originOfDoor(door: Server, place: ListenPlace): string {
  const bound = door.address() as { address: string; port: number };
  // A name was given as one: the links of the example begin with it.
  const host = "fd" in place ? bound.address : place.host;
  return `http://${host.includes(":") ? `[${host}]` : host}:${bound.port}`;
}

function inWords(error: NodeJS.ErrnoException, where: Place, flag: string): Error {
  if ("path" in where) {
    if (error.code === "EINVAL" || where.path.length > 100) {
      return new UserError(
        "invalid",
        `The path of the data folder is too long for a UNIX socket: ${where.path}. Choose a shorter one.`,
      );
    }
    return new UserError(
      "invalid",
      `The socket ${where.path} can't be made (${error.code}). Check the folder's owner and rights.`,
    );
  }
  if ("fd" in where) {
    const way = "Start it with systemctl start candor.socket (docs/systemd)";
    return new UserError(
      "invalid",
      `No listening socket was passed as fd:${where.fd}. ${way}, or give an address with ${flag} ADDR:PORT.`,
    );
  }
  const address = `${where.host}:${where.port}`;
  const advice = `Give another with ${flag} ADDR:PORT.`;
  if (error.code === "EADDRINUSE") {
    return new UserError(
      "conflict",
      `${address} is in use by another program. Stop that one, or give another address with ${flag} ADDR:PORT.`,
    );
  }
  if (error.code === "EACCES") {
    const right = "Give it the right (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE), or another address with";
    return new UserError("forbidden", `This user may not listen on ${address}. ${right} ${flag} ADDR:PORT.`);
  }
  return new UserError("invalid", `Candor can't listen on ${address} (${error.code}). ${advice}`);
}

/** From when on whoever connected and asks nothing is let go too, and when all the others are. */
const askingMs = 1_000;
const longestAnswerMs = 10_000;

/**
 * No request is cut: none is taken on any more, those under way are finished, and connections that rest are closed. Node's own
 * way closes also those that were just made, with their request on the way; net's, which is below it, leaves them to us.
 */
export function closeDoor({ server, connections }: Door): Promise<void> {
  return new Promise((resolve) => {
    const begun = performance.now();
    const sweep = setInterval(letGo, 50);
    NetServer.prototype.close.call(server, () => {
      clearInterval(sweep);
      resolve();
    });
    letGo();

    function letGo() {
      connections?.closeResting();
      const waited = performance.now() - begun;
      if (waited > askingMs) server.closeIdleConnections();
      if (waited > longestAnswerMs) connections ? connections.closeAll() : server.closeAllConnections();
    }
  });
}
