/** From the operator's door: which certificates are taken, and what is said of those that aren't. */
import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { before, test } from "node:test";
import { eq } from "drizzle-orm";
import { certificates } from "../../src/schema.ts";
import { createCertificateShelf } from "../../src/tls/shelf.ts";
import { type Authority, createAuthority } from "../support/authority.ts";
import { monday, openTestHouse } from "../support/house.ts";
import { keepNew } from "../support/issuing.ts";

let authority: Authority;
before(async () => {
  authority = await createAuthority(monday);
});

type Given = { chain: string; key: string; authority?: string };

async function offer(given: Given) {
  const house = await openTestHouse();
  const answer = await house.operate("POST", "/v1/certificates", { certificate: given });
  return { house, answer };
}

test("a certificate is kept in the order of a handshake, without its root, and its key sealed", async () => {
  const { certificate, key } = await authority.issue(["status.example.com", "*.example.org"]);
  const { house, answer } = await offer({
    chain: authority.root + authority.intermediate + certificate,
    key,
    authority: authority.root,
  });
  assert.equal(answer.status, 201, answer.text);
  const made = answer.json();
  assert.deepEqual(made.names, ["status.example.com", "*.example.org"]);
  assert.deepEqual(made.hosts, ["status.example.com"]);
  assert.equal(made.issuer, "Test Intermediate");
  assert.equal(made.state, "valid");
  assert.ok(!answer.text.includes("PRIVATE KEY"));
  const row = house.deps.db.$client.prepare("SELECT chain, private_key FROM certificates").raw().get() as [
    string,
    Buffer,
  ];
  assert.equal(row[0], certificate + authority.intermediate);
  const secret = createPrivateKey(key).export({ type: "pkcs8", format: "der" });
  assert.ok(!row[1].includes("PRIVATE KEY") && !row[1].includes(secret.subarray(40, 60)));
  const deeds = (await house.operate("GET", "/v1/audit")).text;
  assert.match(deeds, /certificate\.import/);
  await house.close();
});

const refused: { what: string; given: () => Promise<Given>; field: string; words: RegExp }[] = [
  {
    what: "another certificate's key",
    given: async () => {
      const [one, other] = [await authority.issue(["status.example.com"]), await authority.issue(["x.example.com"])];
      return { chain: one.certificate + authority.intermediate, key: other.key, authority: authority.root };
    },
    field: "key",
    words: /belongs to none of these certificates; the first is for status\.example\.com/,
  },
  {
    what: "a chain without its intermediate",
    given: async () => {
      const { certificate, key } = await authority.issue(["status.example.com"]);
      return { chain: certificate, key, authority: authority.root };
    },
    field: "chain",
    words: /incomplete: the certificate of Test Intermediate is missing\. Append it/,
  },
  {
    what: "an authority that nobody knows",
    given: async () => {
      const { certificate, key } = await authority.issue(["status.example.com"]);
      return { chain: certificate + authority.intermediate + authority.root, key };
    },
    field: "authority",
    words: /Test Root isn't an authority that browsers know\. If it is your own/,
  },
  {
    what: "a certificate that is for clients",
    given: async () => {
      const { certificate, key } = await authority.issue(["status.example.com"], { usage: "1.3.6.1.5.5.7.3.2" });
      return { chain: certificate + authority.intermediate, key, authority: authority.root };
    },
    field: "chain",
    words: /isn't one for servers \(extendedKeyUsage\)/,
  },
  {
    what: "a chain with a key that is too short",
    given: async () => {
      const weak = await createAuthority(monday, "weak");
      const { certificate, key } = await weak.issue(["status.example.com"]);
      return { chain: certificate + weak.intermediate, key, authority: weak.root };
    },
    field: "chain",
    words: /OpenSSL doesn't take this chain \(.*too small\)\. Ask the authority/,
  },
  {
    what: "a signature that nobody takes any more",
    given: async () => {
      const { certificate, key } = await authority.issue(["status.example.com"], { hash: "SHA-1" });
      return { chain: certificate + authority.intermediate, key, authority: authority.root };
    },
    field: "chain",
    words: /signed with ecdsa-with-SHA1, which browsers refuse/,
  },
  {
    what: "a certificate that expired",
    given: async () => {
      const { certificate, key } = await authority.issue(["status.example.com"], { days: [-90, -1] });
      return { chain: certificate + authority.intermediate, key, authority: authority.root };
    },
    field: "chain",
    words: /certificate of status\.example\.com expired on \d{4}-\d\d-\d\d \d\d:\d\d UTC/,
  },
  {
    what: "a certificate of tomorrow",
    given: async () => {
      const { certificate, key } = await authority.issue(["status.example.com"], { days: [1, 90] });
      return { chain: certificate + authority.intermediate, key, authority: authority.root };
    },
    field: "chain",
    words: /valid only from/,
  },
  {
    what: "a certificate without names",
    given: async () => {
      const { certificate, key } = await authority.issue([]);
      return { chain: certificate + authority.intermediate, key, authority: authority.root };
    },
    field: "chain",
    words: /names no host/,
  },
  {
    what: "a weak key",
    given: async () => {
      const { certificate, key } = await authority.issue(["status.example.com"], { kind: "weak" });
      return { chain: certificate + authority.intermediate, key, authority: authority.root };
    },
    field: "key",
    words: /at least 2048 bits/,
  },
  {
    what: "a key under a passphrase",
    given: async () => {
      const { certificate, key } = await authority.issue(["status.example.com"]);
      const locked = createPrivateKey(key).export({
        type: "pkcs8",
        format: "pem",
        cipher: "aes-256-cbc",
        passphrase: "x",
      }) as string;
      return { chain: certificate, key: locked };
    },
    field: "key",
    words: /locked with a passphrase.*openssl pkey/,
  },
  {
    what: "a key where the certificate belongs",
    given: async () => {
      const { key } = await authority.issue(["status.example.com"]);
      return { chain: key, key };
    },
    field: "chain",
    words: /no certificate in PEM form/,
  },
  {
    what: "a damaged certificate",
    given: async () => {
      const { certificate, key } = await authority.issue(["status.example.com"]);
      return { chain: certificate.replace(/\n(.{20})/, "\nAAAAAAAAAAAAAAAAAAAA"), key };
    },
    field: "chain",
    words: /Certificate 1 of 1 can't be read/,
  },
  {
    what: "a certificate where the key belongs",
    given: async () => {
      const { certificate } = await authority.issue(["status.example.com"]);
      return { chain: certificate, key: certificate };
    },
    field: "key",
    words: /isn't a private key in PEM form/,
  },
];

for (const { what, given, field, words } of refused) {
  test(`${what} is refused in one sentence that says what to do`, async () => {
    const { house, answer } = await offer(await given());
    assert.equal(answer.status, 422, answer.text);
    assert.match(answer.text, words);
    assert.equal(answer.json().field, field);
    assert.deepEqual((await house.operate("GET", "/v1/certificates")).json(), []);
    await house.close();
  });
}

test("of two certificates for a host the one that came last is served, and the same one twice is one", async () => {
  const { certificate, key } = await authority.issue(["status.example.com"]);
  const { certificate: short, key: shortKey } = await authority.issue(["status.example.com"], { days: [-1, 20] });
  const long = { chain: certificate + authority.intermediate, key, authority: authority.root };
  const { house, answer: first } = await offer(long);
  const bring = (given: Given) => house.operate("POST", "/v1/certificates", { certificate: given });
  const second = await bring({ ...long, chain: short + authority.intermediate, key: shortKey });
  const again = await bring(long);
  assert.deepEqual([first.status, second.status, again.status], [201, 201, 200]);
  assert.equal(again.json().id, first.json().id);
  const list = (await house.operate("GET", "/v1/certificates")).json();
  const told = list.map((row: any) => [row.id, row.hosts, row.serves]);
  assert.deepEqual(told, [
    [second.json().id, ["status.example.com"], ["status.example.com"]],
    [first.json().id, ["status.example.com"], []],
  ]);
  const deeds = (await house.operate("GET", "/v1/audit")).json();
  assert.equal(deeds.filter((deed: any) => deed.action === "certificate.import").length, 2);
  await house.close();
});

test("a certificate that can't be read serves no host, and takes no other's place", async () => {
  const host = "status.example.com";
  const { certificate, key } = await authority.issue([host]);
  const given = { chain: certificate + authority.intermediate, key, authority: authority.root };
  const { house, answer } = await offer(given);
  const { db, certificates: shelf } = house.deps;
  const day = 86_400_000;
  const id = await keepNew(house.deps, { name: host, from: monday - day, to: monday + 90 * day, now: monday });
  db.update(certificates)
    .set({ privateKey: Buffer.from("unreadable") })
    .where(eq(certificates.id, id))
    .run();
  shelf.reload();
  const list = (await house.operate("GET", "/v1/certificates")).json();
  assert.deepEqual(
    list.map((row: any) => [row.id, row.hosts, row.serves]),
    [
      [id, [host], []],
      [answer.json().id, [host], [host]],
    ],
  );
  assert.deepEqual((await house.operate("GET", `/v1/certificates/${id}`)).json().serves, []);
  await house.close();
});

test("an RSA certificate is taken, expires by its own measure, and can be removed", async () => {
  const { certificate, key } = await authority.issue(["status.example.com"], { kind: "rsa" });
  const { house, answer } = await offer({
    chain: certificate + authority.intermediate,
    key,
    authority: authority.root,
  });
  const { id } = answer.json();
  const stateNow = async () => (await house.operate("GET", `/v1/certificates/${id}`)).json().state;
  const day = 86_400_000;
  assert.equal(await stateNow(), "valid");
  house.pass(60 * day);
  assert.equal(await stateNow(), "expiring");
  house.pass(30 * day);
  assert.equal(await stateNow(), "expired");
  assert.equal((await house.operate("DELETE", `/v1/certificates/${id}`)).status, 200);
  assert.equal((await house.operate("GET", `/v1/certificates/${id}`)).status, 404);
  await house.close();
});

test("certificates belong to the operator: no token reaches them", async () => {
  const house = await openTestHouse();
  for (const role of ["owner", "page_config"] as const) {
    const answer = await house.api(house.token(role), "GET", "/v1/certificates");
    assert.ok([401, 403, 404].includes(answer.status), String(answer.status));
  }
  await house.close();
});

test("a certificate that couldn't be read any more is served when it is brought again", async () => {
  const { certificate, key } = await authority.issue(["status.example.com"]);
  const given = { chain: certificate + authority.intermediate, key, authority: authority.root };
  const { house } = await offer(given);
  const bring = () => house.operate("POST", "/v1/certificates", { certificate: given });
  house.deps.db
    .update(certificates)
    .set({ privateKey: Buffer.from("unreadable") })
    .run();
  const answer = await bring();
  const next = createCertificateShelf(house.deps); // As after a restart.
  assert.ok(next.find("status.example.com"), `HTTP ${answer.status} ${answer.text}`);
  await house.close();
});
