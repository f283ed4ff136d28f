/** What isn't a request comes while another is being answered, at moments that only the one who answers can choose. */
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { connect as connectSecurely } from "node:tls";
import { hangGate } from "../../src/edge.ts";
import { createAuthority } from "../support/authority.ts";

const authority = await createAuthority();
const { certificate: cert, key } = await authority.issue(["status.example.com"]);

/** @returns what to say on a connection, and everything that came back once it is closed */
async function open(t: TestContext, isTls: boolean, gate: RequestListener) {
  const server = isTls ? createSecureServer({ cert, key }) : createServer();
  hangGate(server, gate);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const where = { port, host: "127.0.0.1" };
  const socket: Socket = await new Promise((resolve) => {
    const made: Socket = isTls
      ? connectSecurely({ ...where, rejectUnauthorized: false }, () => resolve(made))
      : connect(where, () => resolve(made));
  });
  let answers = "";
  socket.on("data", (chunk) => {
    answers += chunk;
  });
  const heard = new Promise<string>((resolve) => socket.on("close", () => resolve(answers)));
  return { say: (words: string) => void socket.write(words), heard, server };
}

const post = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const statusesOf = (answers: string) => [...answers.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, code]) => Number(code));
/** Resolves with the next request that has its answer to come. */
function nextOf(): { gate: RequestListener; next: Promise<[IncomingMessage, ServerResponse]> } {
  const { promise: next, resolve } = Promise.withResolvers<[IncomingMessage, ServerResponse]>();
  return { gate: (request, response) => resolve([request, response]), next };
}

for (const isTls of [false, true]) {
  const over = isTls ? "over TLS" : "over http";

  test(`${over}, an answer that has begun is finished, and nothing comes after it`, async (t) => {
    const { gate, next } = nextOf();
    const { say, heard, server } = await open(t, isTls, gate);
    say(post);
    const [, response] = await next;
    response.writeHead(200, { "content-length": 10 }).write("first");
    const refused = new Promise((resolve) => server.on("clientError", resolve));
    say("zz\r\n");
    await refused;
    response.end("-last");
    assert.match(await heard, /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nfirst-last$/s);
  });

  test(`${over}, a request that was answered before its body was there isn't answered again`, async (t) => {
    const { gate, next } = nextOf();
    const { say, heard } = await open(t, isTls, gate);
    say(post);
    const [, response] = await next;
    response.end("here");
    await new Promise((resolve) => response.on("close", resolve));
    say("zz\r\n");
    assert.deepEqual(statusesOf(await heard), [200]);
  });

  test(`${over}, a request whose answer hasn't begun is refused when its body is nonsense`, async (t) => {
    const { gate, next } = nextOf();
    const { say, heard } = await open(t, isTls, gate);
    say(post);
    const [, response] = await next;
    say("zz\r\n");
    const answers = await heard;
    assert.deepEqual(statusesOf(answers), [400]);
    response.end("too late");
  });

  test(`${over}, however much nonsense comes while an answer is waited for, it is refused once`, async (t) => {
    const { gate, next } = nextOf();
    const { say, heard, server } = await open(t, isTls, gate);
    say(get);
    const [, response] = await next;
    let pieces = 0;
    const enough = new Promise<void>((resolve) =>
      server.on("clientError", () => {
        pieces += 1;
        if (pieces === 20) resolve();
        else say("MORE NONSENSE\r\n\r\n");
      }),
    );
    say("NONSENSE\r\n\r\n");
    await Promise.race([enough, new Promise((resolve) => setTimeout(resolve, 500))]);
    assert.ok(response.listenerCount("close") < 5, `${response.listenerCount("close")} wait for one answer`);
    response.end("here");
    assert.deepEqual(statusesOf(await heard), [200, 400]);
  });

  test(`${over}, a body of nonsense behind a request that is still being answered waits for that answer`, async (t) => {
    const responses: ServerResponse[] = [];
    const { say, heard, server } = await open(t, isTls, (_request, response) => void responses.push(response));
    const refused = new Promise((resolve) => server.on("clientError", resolve));
    say(`${get}${post}zz\r\n`);
    await refused;
    responses[0]?.end("here");
    assert.deepEqual(statusesOf(await heard), [200, 400]);
  });

  test(`${over}, a body of nonsense whose answer waits in line behind another's is that answer alone`, async (t) => {
    const responses: ServerResponse[] = [];
    const { say, heard, server } = await open(t, isTls, (_request, response) => void responses.push(response));
    const refused = new Promise((resolve) => server.on("clientError", resolve));
    say(`${get}${post}zz\r\n`);
    await refused;
    responses[1]?.writeHead(403).end("no");
    responses[0]?.end("here");
    assert.deepEqual(statusesOf(await heard), [200, 403]);
  });
}
