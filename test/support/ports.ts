/**
 * Ports that stay free until whoever asked listens on them. The system hands out its own choice (`listen(0)`) again to
 * the next outgoing connection of any test; these lie below the range that it chooses from, and none is given twice.
 */
import { createServer } from "node:net";

const [first, count] = [20_000, 12_000];
const given = new Set<number>();

export async function freePort(): Promise<number> {
  for (;;) {
    const port = first + Math.floor(Math.random() * count);
    if (given.has(port) || !(await canListen(port))) continue;
    given.add(port);
    return port;
  }
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
