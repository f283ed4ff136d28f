/**
 * Nobody may hold all connections: a network has its share, and all together have theirs. Over it, a connection that rests
 * between two requests makes room for the new one; where none rests, the new one is closed unanswered. A request under way
 * is never cut. Trusted proxies speak for many and count only in all. Whoever asks and then doesn't take the answers goes too:
 * node's own time limit begins anew with each piece. So does whoever rests for long, because answers that lie in the system's
 * buffers, which nobody takes either, look like that; proxies may rest longer, as they count on it.
 */
import type { Server } from "node:http";
import type { Server as SecureServer } from "node:https";
import type { Socket } from "node:net";
import { Server as TlsServer } from "node:tls";
import type { Log } from "./log.ts";
import { acceptedOf, networkOf, plain } from "./network.ts";

/** Under attack every newcomer asks for room: no more are looked at than that costs nothing. */
const mostLookedAt = 200;
const quietMs = 60_000;
const lookEveryMs = 1_000;
/** Whoever rested for this long, or has something to take and took less than half a kilobyte a second, goes. */
const patienceMs = 10_000;
const leastBytes = 512 * (patienceMs / 1_000);

export type Connections = {
  /** Those that rest between two requests. Whoever connected and hasn't asked yet isn't one of them. */
  closeResting(): void;
  /** Also those in the middle of a handshake, which node's own server knows nothing of. */
  closeAll(): void;
};

export function capConnections(
  server: Server | SecureServer,
  input: { perNetwork: number; inAll: number; isProxy: (address: string) => boolean; log: Log },
): Connections {
  const all = new Set<Socket>();
  const proxies = new WeakSet<Socket>();
  // Over TLS requests are carried by another socket than the one that was accepted.
  const isTls = server instanceof TlsServer;
  const carriers = new WeakMap<Socket, Socket>();
  const carrierOf = (socket: Socket) => (isTls ? carriers.get(socket) : socket);
  server.on("secureConnection", (carrier: Socket) => void carriers.set(acceptedOf(carrier), carrier));
  const networks = new Map<string, Set<Socket>>();
  const debtors = new Map<Socket, { since: number; taken: number }>();
  const idlers = new Map<Socket, { since: number; written: number }>();
  const looks = setInterval(() => {
    const now = performance.now();
    for (const socket of all) {
      lookAtDebt(socket, now);
      lookAtRest(socket, now);
    }
  }, lookEveryMs);
  const lookAtDebt = (socket: Socket, now: number) => {
    const taken = takenBy(socket);
    if (taken === undefined) return void debtors.delete(socket);
    const debtor = debtors.get(socket);
    if (debtor && now - debtor.since < patienceMs) return;
    // Reset, so that the system doesn't keep for minutes what was to be sent.
    if (debtor && taken - debtor.taken < leastBytes) socket.resetAndDestroy();
    else debtors.set(socket, { since: now, taken });
  };
  const lookAtRest = (socket: Socket, now: number) => {
    const carrier = carrierOf(socket);
    if (!carrier || !rests(carrier) || proxies.has(socket)) return void idlers.delete(socket);
    const idler = idlers.get(socket);
    const written = carrier.bytesWritten;
    if (idler?.written !== written) idlers.set(socket, { since: now, written });
    else if (now - idler.since >= patienceMs) socket.destroy(); // What the system has of it is still sent.
  };
  looks.unref();
  server.once("close", () => clearInterval(looks));
  let refused = 0;
  let saidAt = Number.NEGATIVE_INFINITY;

  const refuse = (socket: Socket) => {
    socket.destroy();
    refused += 1;
    if (performance.now() - saidAt < quietMs) return;
    saidAt = performance.now();
    input.log.warn("connections.refused", { refused, open: all.size });
    refused = 0;
  };

  server.on("connection", (socket: Socket) => {
    const address = plain(socket.remoteAddress ?? "");
    if (address === "") return void socket.destroy(); // Gone before it was looked at.
    if (all.size >= input.inAll && !makeRoom(all, carrierOf)) return refuse(socket);
    const network = input.isProxy(address) ? undefined : networkOf(address);
    if (network === undefined) proxies.add(socket);
    const own = network === undefined ? undefined : (networks.get(network) ?? new Set<Socket>());
    if (own && own.size >= input.perNetwork && !makeRoom(own, carrierOf)) return refuse(socket);
    all.add(socket);
    if (own && network !== undefined) networks.set(network, own.add(socket));
    socket.once("close", () => {
      all.delete(socket);
      debtors.delete(socket);
      idlers.delete(socket);
      own?.delete(socket);
      if (own?.size === 0 && network !== undefined) networks.delete(network);
    });
  });
  return {
    closeResting: () => {
      for (const socket of all) if (rests(carrierOf(socket))) socket.destroy();
    },
    closeAll: () => {
      for (const socket of all) socket.destroy();
    },
  };
}

function makeRoom(connections: Set<Socket>, carrierOf: (socket: Socket) => Socket | undefined): boolean {
  let looked = 0;
  for (const socket of connections) {
    if (rests(carrierOf(socket))) {
      socket.destroy();
      connections.delete(socket);
      return true;
    }
    looked += 1;
    if (looked >= mostLookedAt) return false;
  }
  return false;
}

/** It was answered before and nothing is under way: node keeps the answer that a connection waits for as `_httpMessage`. */
function rests(socket: Socket | undefined): boolean {
  return socket !== undefined && socket.bytesWritten > 0 && !(socket as { _httpMessage?: object | null })._httpMessage;
}

/**
 * Bytes that the system took over for a connection which has more to send; undefined where nothing waits. Node keeps both
 * counts on the handle of the socket that was accepted, over TLS too. The system's own buffer can't be seen: it fills first.
 */
function takenBy(socket: Socket): number | undefined {
  const { _handle: handle } = socket as { _handle?: { writeQueueSize?: number; bytesWritten?: number } | null };
  if (!handle?.writeQueueSize) return undefined;
  return (handle.bytesWritten ?? 0) - handle.writeQueueSize;
}
