/**
 * What a client says before a handshake: the host that it wants (RFC 6066, 3) and the protocols it offers (RFC 7301). Read
 * without taking it away from the handshake itself. Only what decides who answers is read here; everything else, and
 * whatever isn't a hello in one record, is left to OpenSSL to judge.
 */
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { acceptedOf } from "../network.ts";

export type Hello = {
  /** In lower case; "" when the client names no host, undefined when what it says isn't a hello that could be read. */
  name: string | undefined;
  protocols: string[];
};

const asked = new WeakMap<Socket, string>();

/**
 * The name that was asked for when the connection was made. Node tells it of full handshakes alone: of a TLS 1.2 session that is
 * taken up again it says `false`.
 */
export function nameAskedFor(carrier: TLSSocket): string {
  return asked.get(acceptedOf(carrier)) ?? (carrier.servername || "").toLowerCase();
}

const unreadable: Hello = { name: undefined, protocols: [] };
const recordHead = 5;
/** RFC 8446, 5.1: no record is longer. */
const longestRecord = 16_384;

/** Resolves when there is enough to tell, or when the socket ends. */
export function readHello(socket: Socket): Promise<Hello> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const tell = (hello: Hello) => {
      socket.removeListener("readable", look);
      socket.removeListener("close", gone);
      if (hello.name !== undefined) asked.set(socket, hello.name);
      if (chunks.length > 0 && !socket.destroyed) socket.unshift(Buffer.concat(chunks));
      resolve(hello);
    };
    const gone = () => tell(unreadable);
    const look = () => {
      for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) chunks.push(chunk);
      const hello = parseHello(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
      if (hello) tell(hello);
      else if (socket.readableEnded) gone();
    };
    socket.on("readable", look);
    socket.on("close", gone);
  });
}

/** @returns undefined while more is to come */
export function parseHello(bytes: Buffer): Hello | undefined {
  if (bytes.length < recordHead) return bytes.length > 0 && bytes[0] !== 0x16 ? unreadable : undefined;
  const length = bytes.readUInt16BE(3);
  if (bytes[0] !== 0x16 || bytes[1] !== 3 || length > longestRecord) return unreadable;
  if (bytes.length < recordHead + length) return undefined;
  try {
    return parseBody(bytes.subarray(recordHead, recordHead + length));
  } catch (error) {
    // What a length promises isn't there.
    if (error instanceof RangeError) return unreadable;
    throw error;
  }
}

/** A ClientHello (RFC 8446, 4.1.2). @throws RangeError where it is cut short */
function parseBody(body: Buffer): Hello {
  if (body.readUInt8(0) !== 1 || body.readUIntBE(1, 3) !== body.length - 4) return unreadable;
  let at = 4 + 2 + 32; // Version and random.
  at += 1 + body.readUInt8(at); // Session id.
  at += 2 + body.readUInt16BE(at); // Cipher suites.
  at += 1 + body.readUInt8(at); // Compression methods.
  const hello: Hello = { name: "", protocols: [] };
  if (at === body.length) return hello;
  const end = at + 2 + body.readUInt16BE(at);
  if (end !== body.length) return unreadable;
  for (at += 2; at < end; ) {
    const type = body.readUInt16BE(at);
    const data = part(body, at + 4, body.readUInt16BE(at + 2));
    if (type === 0) hello.name = nameIn(data);
    if (type === 16) hello.protocols = protocolsIn(data);
    at += 4 + data.length;
  }
  return hello;
}

function nameIn(data: Buffer): string {
  if (data.readUInt8(2) !== 0) return ""; // No host name: no other type was ever defined.
  return part(data, 5, data.readUInt16BE(3)).toString("latin1").toLowerCase();
}

function protocolsIn(data: Buffer): string[] {
  const protocols: string[] = [];
  for (let at = 2; at < data.length; ) {
    const protocol = part(data, at + 1, data.readUInt8(at));
    protocols.push(protocol.toString("latin1"));
    at += 1 + protocol.length;
  }
  return protocols;
}

function part(bytes: Buffer, from: number, length: number): Buffer {
  if (from + length > bytes.length) throw new RangeError("The hello is cut short.");
  return bytes.subarray(from, from + length);
}
