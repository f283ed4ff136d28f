/** What the operator chooses of their certificates, and whether the authority is asked for just that. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type AcmeHouse, host, serveByAcme } from "../support/acme-house.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { needs } from "../support/need.ts";
import { startPebble } from "../support/pebble.ts";
import { freePort } from "../support/ports.ts";

const skip = needs("pebble", "pebble-challtestsrv");

const certified = (house: AcmeHouse) => house.until(() => house.certificates().length === 1);

for (const [words, settings, type, details] of [
  ["is ECDSA on P-256 where nothing is said", {}, "ec", { namedCurve: "prime256v1" }],
  [
    "is RSA with 2048 bits where that is wished",
    { "acme.key_type": "rsa" },
    "rsa",
    { modulusLength: 2048, publicExponent: 65537n },
  ],
] as const) {
  test(`the key of a certificate ${words}`, { skip }, async (t) => {
    const pebble = await startPebble(t);
    const house = await serveByAcme(t, pebble, settings);
    await certified(house);
    const key = (await house.handshake(await pebble.root())).publicKey;
    assert.equal(key.asymmetricKeyType, type);
    assert.deepEqual(key.asymmetricKeyDetails, details);
  });
}

for (const [words, offered, asked] of [
  ["where the authority offers it", ["classic", "shortlived"], [{ name: host, profile: "shortlived" }]],
  ["but not where it offers others alone", ["classic", "tlsserver"], [{ name: host }]],
  ["but not where it offers none", [], [{ name: host }]],
] as const) {
  test(`a profile is asked for as it was wished, ${words}`, { skip }, async (t) => {
    const pebble = await startPebble(t);
    const proxy = await startFaultProxy(t, pebble);
    proxy.profiles = [...offered];
    const house = await serveByAcme(
      t,
      { ...pebble, directory: proxy.directory, caFile: proxy.caFile },
      { "acme.profile": "shortlived" },
    );
    await certified(house);
    assert.deepEqual(proxy.orders(), asked);
  });
}

test("while the first authority is down, the second is asked as the external account that it gave a key for", {
  skip,
}, async (t) => {
  const key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
  const config = { externalAccountBindingRequired: true, externalAccountMACKeys: { "kid-2": key } };
  const pebble = await startPebble(t, { config });
  const proxy = await startFaultProxy(t, pebble);
  const house = await serveByAcme(
    t,
    { ...pebble, directory: `https://127.0.0.1:${await freePort()}/dir` },
    {
      "acme.ca_file": proxy.caFile,
      "acme.eab_kid": "kid-1",
      "acme.eab_key": "c2VjcmV0IG9mIHRoZSBmaXJzdCBhdXRob3JpdHk",
      "acme.second_directory": proxy.directory,
      "acme.second_eab_kid": "kid-2",
      "acme.second_eab_key": key,
    },
  );
  const waits = () => (house.orders()[0]?.goOnAt ?? 0) > house.deps.clock.now();
  for (let tries = 0; house.certificates().length === 0 && tries < 8; tries++) {
    await house.until(() => house.certificates().length === 1 || waits());
    if (house.certificates().length === 0) house.skipAhead(7 * 60_000);
  }
  assert.equal(house.certificates().length, 1, JSON.stringify(house.orders()));
  const accounts = proxy.asked.filter(({ path }) => path.startsWith("/sign-me-up"));
  const kids = accounts.map(({ payload }) => {
    const { protected: head } = payload.externalAccountBinding;
    return JSON.parse(Buffer.from(head, "base64url").toString()).kid;
  });
  assert.deepEqual(kids, ["kid-2"]);
});
