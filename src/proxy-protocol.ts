/**
 * The PROXY protocol, versions 1 and 2 (HAProxy's specification of it, "The PROXY protocol"): a proxy that passes
 * connections on unopened, as for TLS, says first whose each one is. From a trusted proxy it is required, where the setting
 * asks for it, and from anybody else it isn't understood: who is heard to say it could be anybody.
 */
import type { Server } from "node:http";
import type { Server as SecureServer } from "node:https";
import { isIP, type Socket } from "node:net";
import { acceptedOf, plain } from "./network.ts";

/** Of a connection that a proxy passed on. `peer` is undefined where it is the proxy's own, to see whether we are there. */
export type Passage = { peer: { address: string; port: number } | undefined; cameOverTls: boolean };

const signature = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
const fixedPart = 16;
/** Bytes, of version 1 with its end of line. */
const longestLine = 107;
/** Bytes of addresses and additions in version 2; the specification asks receivers for 520. */
const longestRest = 4096;
const patienceMs = 5_000;
const sslAddition = 0x20;

const ends = ["end", "close", "error"];

const overTls = new WeakSet<object>();

/** Whether a proxy said that its client came over TLS, which it opened itself. */
export function wasOpenedTls(socket: object): boolean {
  return overTls.has(socket);
}

/** Call when whoever else looks at new connections of `door` does so already: they see them once they are known. */
export function hearProxies(door: Server | SecureServer, speaks: (address: string) => boolean): void {
  const onward = door.listeners("connection") as ((socket: Socket) => void)[];
  door.removeAllListeners("connection");
  const passOn = (socket: Socket) => {
    for (const listener of onward) listener.call(door, socket);
  };
  /** Requests over TLS come by another socket, which knows the proxy's address alone. */
  const passed = new WeakMap<Socket, Passage>();
  door.on("connection", (socket: Socket) => {
    if (!speaks(plain(socket.remoteAddress ?? ""))) return passOn(socket);
    void readPassage(socket).then((passage) => {
      if (!passage) return void socket.destroy();
      passed.set(socket, passage);
      name(socket, passage);
      passOn(socket);
    });
  });
  door.prependListener("secureConnection", (socket: Socket) => {
    const passage = passed.get(acceptedOf(socket));
    if (passage) name(socket, passage);
  });
}

function name(socket: Socket, { peer, cameOverTls }: Passage): void {
  if (cameOverTls) overTls.add(socket);
  if (!peer) return;
  Object.defineProperty(socket, "remoteAddress", { value: peer.address });
  Object.defineProperty(socket, "remotePort", { value: peer.port });
}

/** Resolves to undefined when what comes isn't the protocol, or doesn't come. */
function readPassage(socket: Socket): Promise<Passage | undefined> {
  return new Promise((resolve) => {
    let bytes: Buffer = Buffer.alloc(0);
    const tell = (passage: Passage | undefined, rest?: Buffer) => {
      clearTimeout(late);
      socket.removeListener("readable", look);
      for (const end of ends) socket.removeListener(end, gone);
      if (rest && rest.length > 0 && !socket.destroyed) socket.unshift(rest);
      resolve(socket.destroyed ? undefined : passage);
    };
    const gone = () => tell(undefined);
    const late = setTimeout(gone, patienceMs);
    const look = () => {
      for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) bytes = Buffer.concat([bytes, chunk]);
      const seen = parsePassage(bytes);
      if (seen === "refused") return tell(undefined);
      if (seen) tell(seen.passage, bytes.subarray(seen.length));
    };
    socket.on("readable", look);
    for (const end of ends) socket.on(end, gone);
  });
}

/** @returns undefined while more is to come; `length` is how many bytes it took */
export function parsePassage(bytes: Buffer): { passage: Passage; length: number } | "refused" | undefined {
  const start = bytes.subarray(0, signature.length);
  if (start.equals(signature.subarray(0, start.length))) return parseSecond(bytes);
  return parseFirst(bytes);
}

/** Version 1: a line of text (section 2.1). */
function parseFirst(bytes: Buffer): { passage: Passage; length: number } | "refused" | undefined {
  const text = bytes.subarray(0, longestLine).toString("latin1");
  const end = text.indexOf("\r\n");
  if (end < 0) return text.length < longestLine && "PROXY ".startsWith(text.slice(0, 6)) ? undefined : "refused";
  const [word, family, address = "", , port = "", ...more] = text.slice(0, end).split(" ");
  const length = end + 2;
  if (word !== "PROXY") return "refused";
  if (family === "UNKNOWN") return { passage: { peer: undefined, cameOverTls: false }, length };
  const kind = { TCP4: 4, TCP6: 6 }[family ?? ""];
  if (kind === undefined || isIP(address) !== kind || !/^\d{1,5}$/.test(port) || more.length !== 1) return "refused";
  return { passage: { peer: { address: plain(address), port: Number(port) }, cameOverTls: false }, length };
}

/** Version 2 (section 2.2). */
function parseSecond(bytes: Buffer): { passage: Passage; length: number } | "refused" | undefined {
  if (bytes.length < fixedPart) return undefined;
  const [command = 0, family = 0] = bytes.subarray(12, 14);
  const rest = bytes.readUInt16BE(14);
  if ((command !== 0x20 && command !== 0x21) || rest > longestRest) return "refused";
  const length = fixedPart + rest;
  if (bytes.length < length) return undefined;
  const body = bytes.subarray(fixedPart, length);
  const nobody = { passage: { peer: undefined, cameOverTls: false }, length };
  if (command === 0x20) return nobody;
  const size = { 17: 4, 33: 16 }[family];
  if (size === undefined) return nobody;
  const addresses = 2 * size + 4;
  if (body.length < addresses) return "refused";
  const peer = { address: addressOf(body.subarray(0, size)), port: body.readUInt16BE(2 * size) };
  return { passage: { peer, cameOverTls: saysTls(body.subarray(addresses)) }, length };
}

function addressOf(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = [0, 2, 4, 6, 8, 10, 12, 14].map((at) => bytes.readUInt16BE(at).toString(16));
  const isMapped = groups.slice(0, 5).every((group) => group === "0") && groups[5] === "ffff";
  return isMapped ? bytes.subarray(12).join(".") : groups.join(":");
}

/** The addition PP2_TYPE_SSL, whose first bit says that the client came over TLS (section 2.2.5). */
function saysTls(additions: Buffer): boolean {
  for (let at = 0; at + 3 <= additions.length; at += 3 + additions.readUInt16BE(at + 1)) {
    if (additions[at] === sslAddition) return ((additions[at + 3] ?? 0) & 1) === 1;
  }
  return false;
}
