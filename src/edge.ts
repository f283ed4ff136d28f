/**
 * The gate before everything: malformed or doubtful HTTP gets one answer and a closed connection, pressed pages are
 * answered at once, and only the rest reaches the app. Node itself accepts duplicate Host headers, absolute-form targets,
 * TRACE and bodies on GET; none of them passes here.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Press } from "./statuspage/press.ts";
import { answerPressed } from "./statuspage/public.ts";

type Refusal = { status: number; words: string };

export function createEdge(input: { press: Press; app: RequestListener; health: RequestListener }): RequestListener {
  return (request, response) => {
    const refusal = inspect(request);
    if (refusal) return refuse(response, refusal);
    const url = request.url as string;
    const cut = url.indexOf("?");
    const path = cut < 0 ? url : url.slice(0, cut);
    if (path === "/healthz") return input.health(request, response);
    const host = nameOf(request.headers.host as string);
    if (!input.press.knows(host))
      return refuse(response, { status: 421, words: "This server has no page under that host name." });
    if (request.method === "GET" || request.method === "HEAD") {
      const answer = answerPressed(input.press, { method: request.method, host, path, headers: request.headers });
      if (answer) {
        response.writeHead(answer.status, answer.headers);
        response.end(request.method === "HEAD" ? undefined : answer.body);
        return;
      }
    }
    input.app(request, response);
  };
}

function inspect(request: IncomingMessage): Refusal | undefined {
  const method = request.method ?? "";
  if (!["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].includes(method)) {
    return { status: 405, words: "This method is not served." };
  }
  if (request.httpVersion !== "1.1") return { status: 505, words: "Speak HTTP/1.1." };
  let hosts = 0;
  let lengths = 0;
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    const name = (request.rawHeaders[index] as string).toLowerCase();
    if (name === "host") hosts += 1;
    else if (name === "content-length" || name === "transfer-encoding") lengths += 1;
    else if (name === "upgrade") return { status: 400, words: "Upgrades are not served." };
    else if (name === "content-encoding") return { status: 415, words: "Send the body without Content-Encoding." };
  }
  if (hosts !== 1 || !/^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(request.headers.host ?? "")) {
    return { status: 400, words: "Send exactly one Host header." };
  }
  if (!request.url?.startsWith("/") || request.url.length > 8192)
    return { status: 400, words: "This address isn't one." };
  if (lengths > 1) return { status: 400, words: "Send one Content-Length or one Transfer-Encoding." };
  const reading = method === "GET" || method === "HEAD";
  if (reading && lengths === 1 && request.headers["content-length"] !== "0") {
    return { status: 400, words: "A request that reads has no body." };
  }
  return undefined;
}

function nameOf(host: string): string {
  const name = host.toLowerCase().replace(/:\d+$/, "");
  return name.endsWith(".") ? name.slice(0, -1) : name;
}

function refuse(response: ServerResponse, refusal: Refusal): void {
  response.writeHead(refusal.status, { "content-type": "text/plain; charset=utf-8", connection: "close" });
  response.end(`${refusal.words}\n`);
}
