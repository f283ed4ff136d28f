/**
 * The gate before everything: malformed or doubtful HTTP gets one answer and a closed connection, pressed pages are
 * answered at once, and only the rest reaches the app. Node itself accepts duplicate Host headers, absolute-form targets,
 * TRACE and bodies on GET; none of them passes here.
 */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import type { Server as SecureServer } from "node:https";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Press } from "./statuspage/press.ts";
import { answerPressed } from "./statuspage/public.ts";
import { type Challenges, challengePath } from "./tls/challenges.ts";
import { nameAskedFor } from "./tls/hello.ts";
import { giveWay } from "./turns.ts";

type Refusal = { status: number; words: string };

/** What the gate and the pressed page need of a request's headers, gathered in one walk. */
type Seen = {
  hosts: number;
  host: string;
  lengths: number;
  length: string;
  chunked: boolean;
  encoded: boolean;
  upgrade: string;
  connection: string;
  expect: string;
  ifNoneMatch: string | undefined;
  acceptEncoding: string | undefined;
};

/** Node answers by itself whoever expects something (RFC 9110, 10.1.1), before anybody looked at the request, unless it is heard. */
export function hangGate(server: Server | SecureServer, gate: RequestListener): void {
  for (const event of ["request", "checkContinue", "checkExpectation"]) server.on(event, gate);
  server.on("clientError", refuseNonsense);
}

/** Whoever was told that their request is none and doesn't go. */
const goodbyeMs = 2_000;
/** Of node's and its parser's errors; any other is a 400. */
const nonsense: Record<string, string> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

const refused = new WeakSet<Socket>();

/** What isn't a request is the last of its connection. What was asked for before it is answered first. */
function refuseNonsense(error: NodeJS.ErrnoException, client: Socket): void {
  if (refused.has(client)) return; // Every piece that follows is nonsense too.
  refused.add(client);
  endInWords(nonsense[error.code ?? ""] ?? "400 Bad Request", client);
}

/** Node keeps the answer that a connection waits for as `_httpMessage`, and the request that is being read with its parser. */
type Inside = { _httpMessage?: ServerResponse | null; parser?: { incoming: IncomingMessage | null } | null };

function endInWords(status: string, client: Socket): void {
  const { _httpMessage: answer, parser } = client as Inside;
  if (answer?.req.complete || answer?.headersSent) return void answer.once("close", () => endInWords(status, client));
  // A body that turns into nonsense belongs to a request, which gets one answer: it had it where none is waited for.
  const wasAnswered = !answer && parser?.incoming?.complete === false;
  const words = `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`;
  if (client.writable) client.end(wasAnswered ? "" : words);
  setTimeout(() => client.destroy(), goodbyeMs).unref();
}

export function createEdge(input: {
  press: Press;
  app: RequestListener;
  health: RequestListener;
  /** What an authority looks for before it certifies a host. */
  challenges?: Challenges;
  /** For requests in clear: whether the host can be had over TLS. */
  hasCertificate?: (host: string) => boolean;
  /** Whether a proxy in front took it over TLS already. */
  cameOverTls?: (request: IncomingMessage) => boolean;
  /** Requests come over TLS, for the host that was named in the handshake and no other. */
  isTls?: boolean;
}): RequestListener {
  const { press, challenges, hasCertificate, isTls } = input;
  return (request, response) => {
    // Node gives the connection to an answer when the one before it is gone.
    if (response.socket === null && isFarAhead(request.socket, response)) return void request.socket.destroy();
    const seen = look(request.rawHeaders);
    const { method, url = "" } = request;
    const reads = method === "GET" || method === "HEAD";
    const host = nameOf(seen.host);
    const refusal = inspect(request, seen, host, reads);
    if (refusal) return refuse(response, refusal);
    const cut = url.indexOf("?");
    const path = cut < 0 ? url : url.slice(0, cut);
    // An offer that needn't be taken (RFC 9110, 7.8). Whoever stands between may think that it was, so nothing comes after it.
    if (seen.upgrade !== "") response.shouldKeepAlive = false;
    if (path === "/healthz") return input.health(request, response);
    giveWay();
    if (isTls && nameAskedFor(request.socket as TLSSocket) !== host)
      return refuse(response, { status: 421, words: "This connection was made for another host name." });
    if (challenges && reads && path.startsWith(challengePath)) {
      const text = challenges.answerFor(path.slice(challengePath.length));
      if (text !== undefined) return answerChallenge(response, text, method === "HEAD");
    }
    if (hasCertificate?.(host) && !input.cameOverTls?.(request)) {
      const origin = press.originOf(host);
      // From the table, never from the request (and 308, so that what is posted stays a POST).
      if (origin?.startsWith("https:")) return redirect(response, reads ? 301 : 308, origin + url);
    }
    const answer = reads ? answerPressed(press, host, path, seen) : undefined;
    if (answer) {
      response.writeHead(answer.status, answer.headers);
      response.end(method === "HEAD" ? undefined : answer.body);
      return;
    }
    if (press.originOf(host) === undefined)
      return refuse(response, { status: 421, words: `This server has no page under the host name ${host}.` });
    closeAfterRefusal(response);
    if (seen.expect !== "" && !reads && request.httpVersionMinor === 1) response.writeContinue();
    input.app(request, response);
  };
}

/** One packet holds a thousand small requests, and each of them costs kilobytes until its answer is taken. */
const mostAhead = 32;
const ahead = new WeakMap<Socket, number>();

/** Whether a connection asks and asks without waiting for an answer (RFC 9112, 9.3.2). */
function isFarAhead(socket: Socket, response: ServerResponse): boolean {
  const waiting = (ahead.get(socket) ?? 0) + 1;
  if (waiting > mostAhead) return true;
  ahead.set(socket, waiting);
  response.once("close", () => ahead.set(socket, (ahead.get(socket) ?? 1) - 1));
  return false;
}

/** Whoever was refused begins anew: what they sent along can't be taken for their next request. */
function closeAfterRefusal(response: ServerResponse): void {
  const { writeHead } = response;
  response.writeHead = (status: number, ...rest: unknown[]) => {
    if (status >= 400 && status < 500) response.shouldKeepAlive = false;
    return Reflect.apply(writeHead, response, [status, ...rest]);
  };
}

/**
 * One walk over the raw list. Names are told apart by their length before anything is compared, because this runs for
 * every request and most of their headers concern nobody here.
 */
function look(raw: string[]): Seen {
  const seen: Seen = {
    hosts: 0,
    host: "",
    lengths: 0,
    length: "",
    chunked: false,
    encoded: false,
    upgrade: "",
    connection: "",
    expect: "",
    ifNoneMatch: undefined,
    acceptEncoding: undefined,
  };
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] as string;
    const value = raw[index + 1] as string;
    switch (name.length) {
      case 4:
        if (is(name, "host")) {
          seen.hosts += 1;
          seen.host = value;
        }
        break;
      case 6:
        if (is(name, "expect")) seen.expect += (seen.expect && ", ") + value.toLowerCase();
        break;
      case 7:
        if (is(name, "upgrade")) seen.upgrade += (seen.upgrade && ", ") + value.toLowerCase();
        break;
      case 10:
        if (is(name, "connection")) seen.connection += value;
        break;
      case 13:
        if (is(name, "if-none-match")) seen.ifNoneMatch = seen.ifNoneMatch ? `${seen.ifNoneMatch}, ${value}` : value;
        break;
      case 14:
        if (is(name, "content-length")) {
          seen.lengths += 1;
          seen.length = value;
        }
        break;
      case 15:
        if (is(name, "accept-encoding"))
          seen.acceptEncoding = seen.acceptEncoding ? `${seen.acceptEncoding}, ${value}` : value;
        break;
      case 16:
        if (is(name, "content-encoding")) seen.encoded = true;
        break;
      case 17:
        if (is(name, "transfer-encoding")) {
          seen.lengths += 1;
          seen.chunked = true;
        }
        break;
    }
  }
  return seen;
}

function is(name: string, known: string): boolean {
  return name === known || name.toLowerCase() === known;
}

const writing = new Set(["POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

function inspect(request: IncomingMessage, seen: Seen, host: string, reads: boolean): Refusal | undefined {
  if (!reads && !writing.has(request.method ?? "")) return { status: 405, words: "This method is not served." };
  if (request.httpVersionMajor !== 1 || request.httpVersionMinor > 1) return { status: 505, words: "Speak HTTP/1.1." };
  if (request.httpVersionMinor === 0) {
    // Proxies and health checks speak it by default. One request, one answer, and the connection ends.
    if (/keep-alive/i.test(seen.connection)) return { status: 505, words: "Speak HTTP/1.1, or don't ask to stay." };
    if (seen.chunked) return { status: 400, words: "HTTP/1.0 knows no Transfer-Encoding." };
  }
  if (seen.expect !== "" && seen.expect !== "100-continue")
    return { status: 417, words: "Expect nothing but 100-continue." };
  if (seen.upgrade !== "" && seen.upgrade !== "h2c") return { status: 400, words: "Upgrades are not served." };
  if (seen.encoded) return { status: 415, words: "Send the body without Content-Encoding." };
  // HAProxy's check of a server, unless it is told more.
  const isOldCheck = seen.hosts === 0 && request.httpVersionMinor === 0 && request.url === "/healthz";
  if ((seen.hosts !== 1 || host === "") && !isOldCheck) return { status: 400, words: "Send exactly one Host header." };
  const { url } = request;
  if (!url?.startsWith("/") || url.length > 8192) return { status: 400, words: "This address isn't one." };
  if (seen.lengths > 1) return { status: 400, words: "Send one Content-Length or one Transfer-Encoding." };
  if (seen.lengths === 1 && seen.length !== "0" && reads) {
    return { status: 400, words: "A request that reads has no body." };
  }
  return undefined;
}

const hostForm = /^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;

/** Visitors send the same few Host headers over and over; strangers' are forgotten by the thousand. */
const names = new Map<string, string>();
/** Most requests name the host that the one before named; comparing is cheaper than hashing. */
let last = { header: "", name: "" };

/** Without port and closing dot, in lower case; empty for what is no host. */
function nameOf(header: string): string {
  if (header === last.header) return last.name;
  const name = names.get(header) ?? learn(header);
  last = { header, name };
  return name;
}

function learn(header: string): string {
  const bare = hostForm.test(header) ? header.toLowerCase().replace(/:\d+$/, "") : "";
  const name = bare.endsWith(".") ? bare.slice(0, -1) : bare;
  if (names.size >= 1000) names.clear();
  names.set(header, name);
  return name;
}

/** RFC 8555, 8.3. The authority comes for a host of the table, or for its wildcard; the token alone is the secret. */
function answerChallenge(response: ServerResponse, text: string, isHead: boolean): void {
  response.writeHead(200, { "content-type": "application/octet-stream", "content-length": text.length });
  response.end(isHead ? undefined : text);
}

function redirect(response: ServerResponse, status: 301 | 308, location: string): void {
  response.writeHead(status, { location, "content-length": 0, connection: "close" });
  response.end();
}

function refuse(response: ServerResponse, refusal: Refusal): void {
  response.writeHead(refusal.status, { "content-type": "text/plain; charset=utf-8", connection: "close" });
  response.end(`${refusal.words}\n`);
}
