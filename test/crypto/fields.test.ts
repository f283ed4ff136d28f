import assert from "node:assert/strict";
import { randomBytes, randomInt } from "node:crypto";
import { test } from "node:test";
import { blindIndex, isLinkMac, linkMac, type Place, seal, unseal } from "../../src/crypto/fields.ts";
import type { Keys } from "../../src/crypto/keyring.ts";

const secrets = new Map([1, 2].map((id) => [id, randomBytes(32)]));
const keysAt = (current: number): Keys => ({
  byId: (_purpose, id) => {
    const secret = secrets.get(id);
    if (!secret) throw new Error("no such key");
    return secret;
  },
  current: () => ({ id: current, secret: secrets.get(current) as Buffer }),
});
const keys = keysAt(1);
const home: Place = { column: "subscribers.address", row: "abc" };

test("what was sealed opens in its own place", () => {
  for (const text of ["", "a@example.com", "ä\n€\0𝄞", "x".repeat(100_000)])
    assert.equal(unseal(keys, home, seal(keys, home, text)), text);
});

test("a ciphertext moved, changed or cut never opens: 10,000 tries", () => {
  for (let times = 0; times < 10_000; times++) {
    const sealed = seal(keys, home, `visitor${times}@example.com`);
    const way = times % 4;
    const spot = randomInt(sealed.length);
    if (way === 0) sealed.writeUInt8(sealed.readUInt8(spot) ^ (1 << randomInt(8)), spot);
    const bytes = way === 1 ? sealed.subarray(0, randomInt(sealed.length)) : sealed;
    const place: Place =
      way === 2 ? { ...home, row: `abc${times}` } : way === 3 ? { column: "members.address", row: "abc" } : home;
    assert.throws(() => unseal(keys, place, bytes));
  }
});

test("a nonce is never used twice in 200,000 sealings", () => {
  const seen = new Set<string>();
  for (let times = 0; times < 200_000; times++) seen.add(seal(keys, home, "").subarray(5, 17).toString("latin1"));
  assert.equal(seen.size, 200_000);
});

test("a new key writes and the old one still reads", () => {
  const old = seal(keys, home, "kept");
  const fresh = seal(keysAt(2), home, "new");
  assert.equal(unseal(keysAt(2), home, old), "kept");
  assert.equal(unseal(keys, home, fresh), "new");
});

test("equal values have equal indexes within one purpose only", () => {
  assert.deepEqual(blindIndex(keys, "a", "x"), blindIndex(keys, "a", "x"));
  assert.notDeepEqual(blindIndex(keys, "a", "x"), blindIndex(keys, "b", "x"));
});

test("a link's proof holds for its purpose and subject alone", () => {
  const mac = linkMac(keys, "manage", "abc");
  assert.ok(isLinkMac(keys, "manage", "abc", mac));
  for (const [purpose, subject, given] of [
    ["confirm", "abc", mac],
    ["manage", "abd", mac],
    ["manage", "abc", mac.slice(1)],
    ["manage", "abc", ""],
    ["manage", "abc", `${mac}x`],
  ]) {
    assert.ok(!isLinkMac(keys, purpose as string, subject as string, given as string));
  }
});
