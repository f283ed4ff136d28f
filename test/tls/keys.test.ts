/** The keys of certificates, of their orders and of our accounts: none is used twice, and none lies in the database in clear. */
import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { listCertificates, openCertificate } from "../../src/tls/certificates.ts";
import { findOpenOrder, keyOf } from "../../src/tls/orders.ts";
import { always, day, host, makeWorld, minute, problem } from "../support/acme-world.ts";

test("each renewal comes with a new key", async () => {
  const { house, live } = makeWorld();
  await live(100 * day);
  const list = listCertificates(house.db);
  assert.ok(list.length >= 3, `${list.length} certificates in a hundred days`);
  const keys = list.map(({ id }) => {
    const { chain } = openCertificate(house.db, { id, keys: house.keys });
    return new X509Certificate(chain).publicKey.export({ type: "spki", format: "pem" });
  });
  assert.equal(new Set(keys).size, keys.length);
});

test("while an order is open, its key, our account's and our address are sealed in the database", async () => {
  const { house, wishes, world, live } = makeWorld();
  let accountKey = "";
  const isStuck = always("viewOrder", () => problem("serverInternal", 500));
  world.refuse = (asked, key) => {
    accountKey = key;
    isStuck(asked);
  };
  await live(minute, minute);
  const order = findOpenOrder(house.db, { name: host, purpose: "serve" });
  assert.ok(order?.url);
  for (const [table, key] of [
    ["acme_orders", keyOf(order, house.keys)],
    ["acme_accounts", accountKey],
  ] as const) {
    const rows = house.db.$client.prepare(`SELECT * FROM ${table}`).raw().all() as unknown[][];
    assert.equal(rows.length, 1);
    const bytes = Buffer.concat(
      (rows[0] ?? []).map((value) => Buffer.from(value instanceof Buffer ? value : `${value}`)),
    );
    assert.match(key, /PRIVATE KEY/);
    // What no other key of its kind has: from the middle of the number itself.
    const secret = createPrivateKey(key).export({ type: "pkcs8", format: "der" }).subarray(40, 60);
    for (const clear of ["PRIVATE KEY", secret, wishes.contact])
      assert.ok(!bytes.includes(clear), `${table} holds ${clear.toString("base64url")}`);
    for (const written of ["hex", "base64", "base64url"] as const)
      assert.ok(!bytes.includes(secret.toString(written)), `${table} holds it in ${written}`);
  }
});
