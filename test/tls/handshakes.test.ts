/** Two orders of one host that are both to be found by a handshake, which answers one at a time: a test and the host's own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { addHost, removeHost } from "../../src/pages/pages.ts";
import { AuthorityUnreachable } from "../../src/tls/authority.ts";
import { by, host, hour, makeWorld, minute, one, two } from "../support/acme-world.ts";

test("a test waits while the host's own certificate is ordered by handshake, which answers one at a time", async () => {
  const { world, live, keeper, orders, served } = makeWorld();
  world.challenge = "tls-alpn-01";
  world.offers = ["tls-alpn-01"];
  let looked = false;
  world.tells = (view) =>
    view.url === "order 0" && view.status === "ready" && !looked ? { ...view, status: "pending" } : view;
  await live(2_000, 1_000);
  const [serving] = orders();
  assert.ok(serving?.keyAuthorization);
  const shown = keeper.challenges.contextFor(host);
  await keeper.orderNow({ host, purpose: "test" });
  await live(2_000, 1_000);
  assert.ok(shown);
  assert.equal(keeper.challenges.contextFor(host), shown);
  looked = true;
  await live(10 * minute, minute);
  assert.ok(served());
  assert.equal(orders("test")[0]?.state, "done");
});

test("a test of another directory doesn't wait for hours for an authority that is down, saying nothing", async () => {
  const { world, live, keeper, orders } = makeWorld({ testDirectory: two.directory });
  world.challenge = "tls-alpn-01";
  world.offers = ["tls-alpn-01"];
  let down = false;
  world.refuse = ({ deed, directory }) => {
    if (directory !== one.directory) return;
    if (deed === "accept") down = true;
    if (down) throw new AuthorityUnreachable("It is down.");
  };
  await live(minute, 5_000);
  await keeper.orderNow({ host, purpose: "test" });
  await live(4 * hour, minute);
  const [tried] = orders("test");
  assert.deepEqual([orders()[0]?.state, orders()[0]?.problem], ["open", "unreachable"]);
  assert.deepEqual([tried?.state, tried?.problem], ["done", null]);
});

test("what a test shows in the handshake isn't replaced while its authority looks", async () => {
  const { world, live, keeper, orders } = makeWorld({ testDirectory: two.directory });
  world.challenge = "tls-alpn-01";
  world.offers = ["tls-alpn-01"];
  let held = true;
  world.refuse = ({ directory }) => {
    if (held && directory === one.directory) throw new AuthorityUnreachable("It is down.");
  };
  world.tells = (view) => (view.url === "order 0" && view.status === "ready" ? { ...view, status: "pending" } : view);
  await live(2_000, 1_000);
  await keeper.orderNow({ host, purpose: "test" });
  await live(2_000, 1_000);
  assert.equal(orders("test")[0]?.url, "order 0");
  const shown = keeper.challenges.contextFor(host);
  assert.ok(shown);
  held = false;
  for (let times = 0; times < 30; times++) {
    await live(1_000, 1_000);
    const now = keeper.challenges.contextFor(host);
    assert.ok(
      now === shown,
      `second ${times}: ${now ? "another's" : "nothing"} is shown, test ${orders("test")[0]?.state}`,
    );
    if (orders()[0]?.state === "done") break;
  }
});

test("a certificate for the handshake of a host that is removed while it is made isn't shown", async () => {
  const { world, house, page, now, keeper, orders } = makeWorld();
  world.challenge = "tls-alpn-01";
  world.offers = ["tls-alpn-01"];
  addHost(house.db, { pageId: page.id, host: "http://two.example.com", now: now() + 1, by });
  keeper.wake();
  for (let turns = 0; turns < 20_000 && !orders()[0]?.keyAuthorization; turns++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (turns % 100 === 0) keeper.wake();
  }
  assert.equal(keeper.challenges.contextFor(host), undefined, "it is being made");
  removeHost(house.db, { pageId: page.id, host, now: now(), by });
  keeper.wake();
  assert.equal(orders()[0]?.state, "dropped");
  await keeper.idle();
  assert.equal(keeper.challenges.contextFor(host), undefined);
});

test("of two orders that are made ready at the same moment one is shown, and the other after it", async () => {
  const { world, live, keeper, orders, now, setClock } = makeWorld({ testDirectory: two.directory });
  world.challenge = "tls-alpn-01";
  world.offers = ["tls-alpn-01"];
  let begun = 0;
  const both = Promise.withResolvers<void>();
  world.thinks = async () => {
    begun += 1;
    if (begun === 2) both.resolve();
    await both.promise;
  };
  world.tells = (view) => (view.status === "ready" ? { ...view, status: "pending" } : view);
  await keeper.orderNow({ host, purpose: "test" });
  keeper.wake();
  await keeper.idle();
  assert.equal(begun, 2);
  const isShown = (purpose: "serve" | "test") => orders(purpose)[0]?.keyAuthorization != null;
  assert.equal([isShown("serve"), isShown("test")].filter(Boolean).length, 1);
  world.tells = (view) => view;
  setClock(now() + 10_000);
  await live(minute, 1_000);
  assert.deepEqual([orders()[0]?.state, orders("test")[0]?.state], ["done", "done"]);
});
