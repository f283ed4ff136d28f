/**
 * An authority that is made only to be too much: it checks nothing, and what it says at the place that the test names
 * goes on for as long as the other side reads.
 */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { TestContext } from "node:test";
import { createAuthority } from "./authority.ts";
import { freePort } from "./ports.ts";

type Place = "directory" | "account" | "order";
type Endless = {
  directory: string;
  /** The root of its certificate, in PEM. */
  root: string;
  /** The bytes of each answer that was let go on, as far as they were taken. */
  poured: number[];
  /** How many of these answers still go on. */
  going(): number;
};

/** Whoever takes all of that has no limit; then it stays silent, and doesn't end either. */
const mostPoured = 64 * 1024 * 1024;
const chunk = Buffer.alloc(64 * 1024, " ");

export async function startEndless(t: TestContext, place: Place): Promise<Endless> {
  const authority = await createAuthority();
  const { certificate, key } = await authority.issue(["localhost"]);
  const port = await freePort();
  const at = (path: string) => `https://localhost:${port}${path}`;
  const poured: number[] = [];
  let going = 0;

  const pour = (response: ServerResponse): void => {
    const index = poured.push(0) - 1;
    going += 1;
    const goOn = () => {
      let hasRoom = true;
      while (hasRoom && !response.destroyed && (poured[index] ?? 0) < mostPoured) {
        hasRoom = response.write(chunk);
        poured[index] = (poured[index] ?? 0) + chunk.length;
      }
    };
    response.on("drain", goOn);
    response.on("close", () => {
      going -= 1;
    });
    goOn();
  };
  const tell = (response: ServerResponse, here: Place, status: number, body: object, location?: string): void => {
    const headers = { "content-type": "application/json", "replay-nonce": "nonce", ...(location ? { location } : {}) };
    response.writeHead(status, headers);
    response.write(JSON.stringify(body));
    // Spaces behind it: what came would be understood, if it ever ended.
    if (here === place) pour(response);
    else response.end();
  };
  const server = createServer({ cert: certificate + authority.intermediate, key }, (request, response) => {
    request.resume();
    response.on("error", () => {});
    if (request.url === "/dir")
      return tell(response, "directory", 200, {
        newNonce: at("/nonce"),
        newAccount: at("/account"),
        newOrder: at("/order"),
        meta: {},
      });
    if (request.url === "/nonce") return void response.writeHead(200, { "replay-nonce": "nonce" }).end();
    if (request.url === "/account") return tell(response, "account", 201, { status: "valid" }, at("/account/1"));
    const order = { status: "pending", authorizations: [at("/authorization")], finalize: at("/finalize") };
    return tell(response, "order", 201, order, at("/order/1"));
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { directory: at("/dir"), root: authority.root, poured, going: () => going };
}
