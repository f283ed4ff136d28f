import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { freePort } from "../support/ports.ts";
import { fetchFrom, readyPlace } from "../support/program.ts";

const host = "Host: 127.0.0.1\r\n";
/** How a slow client begins, and what it sends every second afterwards. */
const manners = [
  { begins: `GET / HTTP/1.1\r\n${host}X: `, goesOn: "a" },
  { begins: `GET / HTTP/1.1\r\n${host}`, goesOn: "X: a\r\n" },
  {
    begins: `POST /subscribe HTTP/1.1\r\n${host}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9000\r\n\r\n`,
    goesOn: "a",
  },
  { begins: "", goesOn: "" },
];

test("2,000 slow clients keep no visitor waiting, and each is let go within 15 seconds", async (t) => {
  const port = await freePort();
  const server = await (await readyPlace(t, port)).serve(port);
  const lives: Promise<number>[] = [];
  const sockets = new Set<Socket>();
  const enter = (index: number) => {
    const manner = manners[index % manners.length] as (typeof manners)[number];
    const began = performance.now();
    // From twenty networks: none has more than its share, so that all are let in.
    const socket = connect({ port, host: "127.0.0.1", localAddress: `127.0.0.${2 + (index % 20)}` }, () =>
      socket.write(manner.begins),
    );
    sockets.add(socket);
    const drip = setInterval(() => manner.goesOn && socket.writable && socket.write(manner.goesOn), 1000);
    socket.resume();
    socket.on("error", () => {});
    lives.push(
      new Promise((resolve) =>
        socket.on("close", () => {
          clearInterval(drip);
          sockets.delete(socket);
          resolve(performance.now() - began);
        }),
      ),
    );
  };
  for (let index = 0; index < 2000; index++) {
    enter(index);
    if (index % 100 === 99) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const waits: number[] = [];
  let most = 0;
  while (sockets.size > 0) {
    most = Math.max(most, sockets.size);
    const began = performance.now();
    assert.equal((await fetchFrom(server.origin, "/")).status, 200);
    waits.push(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  assert.equal(most, 2000, "all were in at once");
  const p99 = waits.toSorted((a, b) => a - b)[Math.floor(waits.length * 0.99)] as number;
  assert.ok(waits.length > 100 && p99 < 200, `${waits.length} visitors, p99 ${p99} ms`);
  const longest = Math.max(...(await Promise.all(lives)));
  assert.ok(longest < 15_000, `${longest} ms`);
  t.diagnostic(
    `${waits.length} visitors, p99 ${p99.toFixed(1)} ms; the last slow client left after ${Math.round(longest)} ms`,
  );
  const ended = await server.stop();
  assert.equal(ended.code, 0, ended.err);
});
