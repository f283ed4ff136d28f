/**
 * Stands before a real authority and spoils what passes, as tests say; adds what the test authority hasn't: renewal
 * information, profiles, and a count of what is asked.
 */
import { readFileSync } from "node:fs";
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { Agent, createServer, request } from "node:https";
import type { TestContext } from "node:test";
import type { Pebble } from "./pebble.ts";
import { freePort } from "./ports.ts";

/** `status`: what the authority answered; undefined where it wasn't asked or hasn't answered. */
export type Asked = { method: string; path: string; payload: any; status?: number };
export type Given = { status: number; headers: IncomingHttpHeaders; body: Buffer };
export type FaultProxy = {
  directory: string;
  caFile: string;
  /** Everything that was asked, nonces and the directory apart. */
  asked: Asked[];
  /** The orders that the authority opened or refused, in that order; refused nonces apart. */
  orders: () => { name: string; profile?: string; replaces?: string }[];
  /** Answers instead of the authority; undefined lets it pass. "hang" never answers, "cut" closes the connection. */
  instead: (
    asked: Asked,
  ) => { status: number; headers?: Record<string, string>; body?: string } | "hang" | "cut" | undefined;
  /** Changes the authority's answer. */
  change: (given: Given, asked: Asked) => void | Promise<void>;
  /** What it says of a certificate's renewal; undefined: it doesn't know any. */
  window: ((id: string) => { body: string; retryAfter?: string }) | undefined;
  profiles: string[];
};

export async function startFaultProxy(t: TestContext, upstream: Pebble): Promise<FaultProxy> {
  const { certificate, key } = await upstream.issueForDirectory();
  const port = await freePort();
  const to = new URL(upstream.directory);
  const agent = new Agent({ ca: readFileSync(upstream.caFile, "utf8"), keepAlive: true });
  const proxy: FaultProxy = {
    directory: `https://localhost:${port}${to.pathname}`,
    caFile: upstream.caFile,
    asked: [],
    orders: () =>
      proxy.asked
        .filter(({ path, payload, status }) => path.startsWith("/order-plz") && payload && status !== 400)
        .map(({ payload: { identifiers, profile, replaces } }) => ({
          name: identifiers[0].value,
          ...(profile ? { profile } : {}),
          ...(replaces ? { replaces } : {}),
        })),
    instead: () => undefined,
    change: () => {},
    window: undefined,
    profiles: [],
  };

  const server = createServer({ cert: certificate, key }, (incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk) => chunks.push(chunk));
    incoming.on("end", () => {
      const body = Buffer.concat(chunks);
      const asked: Asked = { method: incoming.method ?? "", path: incoming.url ?? "", payload: payloadOf(body) };
      if (asked.method !== "HEAD" && asked.path !== to.pathname) proxy.asked.push(asked);
      const instead = proxy.instead(asked);
      if (instead === "hang") return;
      if (instead === "cut") return void incoming.socket.destroy();
      if (instead)
        return answer(response, { status: instead.status, headers: instead.headers ?? {}, body: instead.body ?? "" });
      const id = /^\/renewal-info\/(.+)$/.exec(asked.path)?.[1];
      if (id) return tellWindow(response, id);
      const call = request(
        {
          agent,
          host: to.hostname,
          port: to.port,
          path: incoming.url,
          method: incoming.method,
          headers: incoming.headers,
        },
        (from) => {
          const parts: Buffer[] = [];
          from.on("data", (part) => parts.push(part));
          from.on("end", async () => {
            asked.status = from.statusCode ?? 502;
            const given = { status: from.statusCode ?? 502, headers: { ...from.headers }, body: Buffer.concat(parts) };
            if (asked.path === to.pathname) given.body = Buffer.from(JSON.stringify(addTo(given.body)));
            await proxy.change(given, asked);
            answer(response, given);
          });
        },
      );
      call.on("error", () => incoming.socket.destroy());
      call.end(body);
    });
  });
  const addTo = (body: Buffer) => {
    const directory = JSON.parse(body.toString());
    if (proxy.window) directory.renewalInfo = `https://localhost:${port}/renewal-info`;
    if (proxy.profiles.length > 0)
      directory.meta.profiles = Object.fromEntries(proxy.profiles.map((name) => [name, `About ${name}`]));
    return directory;
  };
  const tellWindow = (response: ServerResponse, id: string) => {
    const told = proxy.window?.(id);
    if (!told) return answer(response, { status: 404, headers: {}, body: "" });
    const headers = {
      "content-type": "application/json",
      ...(told.retryAfter ? { "retry-after": told.retryAfter } : {}),
    };
    answer(response, { status: 200, headers, body: told.body });
  };
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
    agent.destroy();
  });
  return proxy;
}

function answer(
  response: ServerResponse,
  given: { status: number; headers: IncomingHttpHeaders | Record<string, string>; body: Buffer | string },
): void {
  const {
    "content-length": _length,
    "transfer-encoding": _encoding,
    connection: _connection,
    ...headers
  } = given.headers;
  response.writeHead(given.status, {
    ...(headers as OutgoingHttpHeaders),
    "content-length": Buffer.byteLength(given.body),
  });
  response.end(given.body);
}

/** What a signed request carries (RFC 7515). */
function payloadOf(body: Buffer): any {
  try {
    const { payload } = JSON.parse(body.toString());
    return payload === "" ? undefined : JSON.parse(Buffer.from(payload, "base64url").toString());
  } catch {
    return undefined;
  }
}
