/** Whether a host leads here, tried the way an authority would: look the name up, ask for a text of ours on port 80. */
import { randomBytes } from "node:crypto";
import { get } from "node:http";
import { isIPv6 } from "node:net";
import { type Challenges, challengePath } from "./challenges.ts";
import type { Lookup } from "./lookup.ts";

const patienceMs = 5_000;
const mostAddresses = 6;

/**
 * @param port 80 outside of tests
 * @returns a sentence about each thing that is wrong, and what to do
 */
export async function findObstacles(input: {
  host: string;
  lookup: Lookup;
  challenges: Challenges;
  port?: number;
}): Promise<string[]> {
  const { host, lookup, challenges, port = 80 } = input;
  let addresses: string[];
  try {
    addresses = await lookup.addresses(host);
  } catch (error) {
    return [`The DNS doesn't answer for ${host} (${(error as NodeJS.ErrnoException).code}). Check the name servers.`];
  }
  if (addresses.length === 0)
    return [`The DNS knows no address of ${host}. Add an A or AAAA record with this server's public address.`];
  const token = randomBytes(16).toString("base64url");
  const text = randomBytes(16).toString("base64url");
  challenges.show({ name: host, token, keyAuthorization: text });
  try {
    const tried = addresses.slice(0, mostAddresses).map((address) => tryAddress({ host, address, port, token, text }));
    return (await Promise.all(tried)).filter((sentence) => sentence !== undefined);
  } finally {
    challenges.takeDown({ name: host, token });
  }
}

function tryAddress(input: {
  host: string;
  address: string;
  port: number;
  token: string;
  text: string;
}): Promise<string | undefined> {
  const { host, address, port, token, text } = input;
  const where = `${host} (${address})`;
  // On 0.0.0.0 nobody is heard who comes by IPv6.
  const bySix = isIPv6(address) ? "'[::]:80' " : "";
  const forwarded = `If this server can't reach itself by its public address, that alone is no harm.`;
  return new Promise((resolve) => {
    const call = get(
      {
        host: address,
        family: isIPv6(address) ? 6 : 4,
        port,
        path: `${challengePath}${token}`,
        headers: { host },
        agent: false,
        signal: AbortSignal.timeout(patienceMs),
      },
      (response) => {
        let body = "";
        response.on("data", (chunk) => {
          body += chunk;
          if (body.length > 1_000) response.destroy();
        });
        response.on("error", () => {});
        response.on("close", () => {
          if (body === text) return resolve(undefined);
          resolve(
            `${where} leads to another server: on port ${port} it answered HTTP ${response.statusCode}, not with our text. Let its DNS records name this server alone.`,
          );
        });
      },
    );
    call.on("error", (error: NodeJS.ErrnoException) => {
      const code = error.name === "TimeoutError" || error.name === "AbortError" ? "no answer" : error.code;
      resolve(
        `${where} can't be reached on port ${port} (${code}). Open it in the firewall and let candor serve --http ${bySix}listen on it. ${forwarded}`,
      );
    });
  });
}
