/** The npm client `statuspage.io` as it comes, over the network, against a house that listens on 127.0.0.1. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { addHost } from "../../src/pages/pages.ts";
import { monday, openTestHouse } from "../support/house.ts";

const client = findClient();

function findClient(): any {
  try {
    const require = createRequire(import.meta.url);
    return require("statuspage.io");
  } catch {
    return undefined;
  }
}

test("the npm client reads all that it asks for", {
  skip: !client && "the installed statuspage.io holds no code",
}, async () => {
  const house = await openTestHouse();
  addHost(house.deps.db, {
    pageId: house.page.id,
    host: `http://127.0.0.1:${house.port}`,
    now: monday,
    by: { kind: "system" },
  });
  house.deps.press.pressAll();
  const open = (incident: object) => house.operate("POST", `/v1/pages/${house.page.id}/incidents`, { incident });
  await open({ name: "Payments fail", body: "We look.", components: { [house.parts.API]: "major_outage" } });
  await open({ name: "Upgrade", scheduled_for: "2026-11-30T08:00:00Z", scheduled_until: "2026-11-30T09:00:00Z" });

  const statuspage = new client.Statuspage(house.page.id);
  statuspage.setApiUrl(`http://127.0.0.1:${house.port}`);
  const { api } = statuspage;
  assert.deepEqual((await api.getStatus()).status, { indicator: "critical", description: "Major Service Outage" });
  assert.equal((await api.getComponents()).components.length, 4);
  const summary = await api.getSummary();
  assert.equal(summary.page.name, "Acme");
  assert.equal(summary.incidents[0].name, "Payments fail");
  assert.equal((await api.incidents.getAll()).incidents.length, 1);
  assert.equal((await api.incidents.getUnresolved()).incidents[0].components[0].name, "API");
  // The client asks for the upcoming ones whichever it is told to get.
  for (const method of ["getActive", "getAll", "getUpcoming"]) {
    assert.equal((await api.scheduledMaintenances[method]()).scheduled_maintenances[0].name, "Upgrade", method);
  }
  await house.close();
});
