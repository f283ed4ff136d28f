/** What the two scanners that operators and auditors reach for first say about the built program. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createAuthority } from "../support/authority.ts";
import { needs } from "../support/need.ts";
import { freePort } from "../support/ports.ts";
import { emptyPlace } from "../support/program.ts";

async function serveSecurely(t: TestContext) {
  const [port, secure] = [await freePort(), await freePort()];
  const place = emptyPlace(t);
  const host = `https://status.example.com:${secure}`;
  const made = await place.run(["init", "--page-name", "Acme", "--host", host, "--owner", "o@example.com", "--yes"]);
  assert.equal(made.code, 0, made.err);
  const server = await place.serve(port, { CANDOR_HTTPS_LISTEN: `127.0.0.1:${secure}` });
  const authority = await createAuthority();
  const { certificate, key } = await authority.issue(["status.example.com"]);
  const file = (name: string, text = "") => {
    const path = join(place.folder, name);
    writeFileSync(path, text);
    return path;
  };
  const root = file("root.pem", authority.root);
  const chain = file("chain.pem", certificate + authority.intermediate);
  const brought = ["cert", "import", "--chain", chain, "--key", file("leaf.key", key), "--authority", root];
  const imported = await place.run(brought);
  assert.equal(imported.code, 0, imported.err);
  return { secure, root, server, folder: place.folder };
}

/** @returns what it said; a scanner that ends badly says why there */
function scan(t: TestContext, program: string, args: string[], folder: string): Promise<string> {
  const child = spawn(program, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => child.kill("SIGKILL"));
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      said += chunk;
    });
  }
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", () => resolve(said));
  });
}

test("sslscan finds TLS 1.2 and 1.3 alone, and no known weakness", { skip: needs("sslscan") }, async (t) => {
  const { secure, folder, server } = await serveSecurely(t);
  const target = ["--sni-name=status.example.com", `127.0.0.1:${secure}`];
  const said = await scan(t, "sslscan", ["--no-colour", ...target], folder);
  const protocols = [...said.matchAll(/^((?:SSL|TLS)v\S+)\s+(enabled|disabled)$/gm)].map(([, name, is]) => [name, is]);
  assert.deepEqual(
    Object.fromEntries(protocols),
    {
      SSLv2: "disabled",
      SSLv3: "disabled",
      "TLSv1.0": "disabled",
      "TLSv1.1": "disabled",
      "TLSv1.2": "enabled",
      "TLSv1.3": "enabled",
    },
    said,
  );
  const ciphers = [...said.matchAll(/^(?:Preferred|Accepted)\s+\S+\s+(\d+) bits\s+(\S+)/gm)];
  assert.ok(ciphers.length > 0, said);
  for (const [, bits, cipher] of ciphers) {
    assert.ok(Number(bits) >= 128, `${cipher}: ${bits} bits`);
    assert.match(cipher as string, /^(?:TLS_|ECDHE-).*(?:GCM|POLY1305)/);
  }
  assert.doesNotMatch(said, /Compression enabled|Insecure session renegotiation|^TLSv\S+ vulnerable to heartbleed/m);
  assert.equal((await server.stop()).code, 0);
});

/** What testssl finds in every run of this walk and is no fault of the program. */
const allowed: Record<string, string> = {
  cert_revocation: "the test's own authority doesn't say which certificates it took back",
  DNS_CAArecord: "example.com isn't ours",
  BREACH: "what is packed is the public page, in which nothing is secret",
  HSTS: "browsers are never bound for a host on another port than 443, where they would look for it",
};

test("testssl finds nothing to mend but what is the test's own", {
  skip: needs("testssl"),
  timeout: 600_000,
}, async (t) => {
  const { secure, root, folder, server } = await serveSecurely(t);
  const findings = join(folder, "findings.json");
  const quiet = ["--warnings", "off", "--color", "0", "--ip", "127.0.0.1", "--add-ca", root];
  const args = [...quiet, "--jsonfile", findings, `status.example.com:${secure}`];
  const said = await scan(t, "testssl", args, folder);
  type Finding = { id: string; severity: string; finding: string };
  const found = JSON.parse(readFileSync(findings, "utf8")) as Finding[];
  for (const looked of ["TLS1_3", "heartbleed", "ROBOT", "cipher_order", "scanTime"])
    assert.ok(
      found.some(({ id }) => id === looked),
      `The scan didn't come to ${looked}: ${said.slice(-2000)}`,
    );
  const faults = found
    .filter(({ severity }) => ["LOW", "MEDIUM", "HIGH", "CRITICAL"].includes(severity))
    .filter(({ id }) => !(id in allowed))
    .map(({ id, severity, finding }) => `${severity} ${id}: ${finding}`);
  assert.deepEqual(faults, []);
  assert.equal((await server.stop()).code, 0);
});
