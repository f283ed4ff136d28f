/**
 * A crowd of slow clients, in a thread of its own so that it doesn't hold up whoever measures: each does next to nothing
 * on its connection, by http or TLS, and is replaced once the server has let it go. Says how long each kind was kept.
 */
import { connect, type Socket } from "node:net";
import { connect as connectSecurely } from "node:tls";
import { parentPort, workerData } from "node:worker_threads";

export type Crowd = { size: number; plain: number; secure: number; host: string; large: string; hello: Uint8Array };
export type Told = { open: number; gone: number; longest: Record<string, number> };

type Manner = { begins: string; goesOn: string; reads?: 0 | 200; shakes?: "never" };

const crowd = workerData as Crowd;
const form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9000\r\n";
const heads = (host: string) => `HTTP/1.1\r\nHost: ${host}\r\n`;
/** As much as one may ask for ahead. It lies in the system's own buffers, and the connection seems to rest. */
const greedy = (host: string) => ({ begins: `GET ${crowd.large} ${heads(host)}\r\n`.repeat(30), goesOn: "" });
/** Who doesn't read doesn't see that they were let go: that late they look, and must find the end. */
const lookMs = 13_500;

/** How a slow client begins, what it sends every second afterwards, and how many bytes it reads then, if not all. */
const manners = (host: string): Record<string, Manner> => ({
  "a header that never ends": { begins: `GET / ${heads(host)}X: `, goesOn: "a" },
  "headers that never end": { begins: `GET / ${heads(host)}`, goesOn: "X: a\r\n" },
  "a slow body": { begins: `POST /subscribe ${heads(host)}${form}\r\n`, goesOn: "a" },
  silence: { begins: "", goesOn: "" },
});
const readers = (host: string): Record<string, Manner> => ({
  "no reading": { ...greedy(host), reads: 0 },
  "reading 200 bytes a second": { ...greedy(host), reads: 200 },
});
type Kind = { name: string; isTls: boolean; manner: Manner };
const kindsOf = (list: Record<string, Manner>, isTls: boolean): Kind[] =>
  Object.entries(list).map(([name, manner]) => ({ name: `${name}, ${isTls ? "TLS" : "http"}`, isTls, manner }));
const plain = kindsOf(manners("127.0.0.1"), false);
const secure = kindsOf(
  { ...manners(crowd.host), "a handshake that never ends": { begins: "", goesOn: "", shakes: "never" } },
  true,
);
const greedyKinds = [...kindsOf(readers("127.0.0.1"), false), ...kindsOf(readers(crowd.host), true)];

/**
 * One in three comes by TLS: its handshakes take as much of the server as all else. One in forty asks and doesn't read: each
 * of those fills megabytes of the system's own buffers.
 */
function kindOf(index: number): Kind {
  if (index % 40 === 0) return greedyKinds[(index / 40) % greedyKinds.length] as Kind;
  const among = index % 3 === 0 ? secure : plain;
  return among[Math.floor(index / 3) % among.length] as Kind;
}

const open = new Set<Socket>();
const told: Told = { open: 0, gone: 0, longest: {} };
let waiting = 0;
let entered = 0;
let isOver = false;

function enter(): void {
  const index = entered++;
  const { name, isTls, manner } = kindOf(index);
  const began = performance.now();
  // From twenty networks: none has more than its share, so that all are let in.
  const localAddress = `127.0.0.${2 + (index % 20)}`;
  const place = { host: "127.0.0.1", port: isTls ? crowd.secure : crowd.plain, localAddress };
  const begin = () => socket.write(manner.shakes ? crowd.hello : manner.begins);
  const socket: Socket =
    isTls && !manner.shakes
      ? connectSecurely({ ...place, servername: crowd.host, rejectUnauthorized: false }, begin)
      : connect(place, begin);
  open.add(socket);
  if (manner.reads === undefined) socket.resume();
  else {
    socket.pause();
    setTimeout(() => socket.resume(), lookMs);
  }
  const drip = setInterval(() => {
    if (manner.goesOn && socket.writable) socket.write(manner.goesOn);
    if (manner.reads) socket.read(manner.reads);
  }, 1000);
  socket.on("error", () => {});
  socket.on("close", () => {
    clearInterval(drip);
    open.delete(socket);
    told.longest[name] = Math.max(told.longest[name] ?? 0, Math.round(performance.now() - began));
    told.gone += 1;
    if (!isOver) waiting += 1;
  });
}

waiting = crowd.size;
// Replaced soon and not in one moment: a thousand handshakes at once are another kind of attack.
setInterval(() => {
  for (let count = 0; count < 6 && waiting > 0; count++, waiting--) enter();
  told.open = open.size;
}, 20);
parentPort?.on("message", (word: "over" | "tell") => {
  if (word === "over") {
    isOver = true;
    waiting = 0;
  }
  parentPort?.postMessage(told);
});
