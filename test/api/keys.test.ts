/** Importers fail on missing keys and golden files on their order: each document and type, key by key. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type House, openTestHouse } from "../support/house.ts";

const page = "id name url time_zone updated_at";
const component =
  "id name status created_at updated_at position description showcase start_date group_id page_id group only_show_if_degraded";
const incident =
  "id name status created_at updated_at monitoring_at resolved_at impact shortlink started_at page_id incident_updates components reminder_intervals";
const update =
  "id status body incident_id created_at updated_at display_at affected_components deliver_notifications custom_tweet tweet_id";
const affected = "code name old_status new_status";

const managePage =
  "id created_at updated_at name page_description headline branding subdomain domain url support_url hidden_from_search allow_page_subscribers allow_incident_subscribers allow_email_subscribers allow_sms_subscribers allow_rss_atom_feeds allow_webhook_subscribers notifications_from_email notifications_email_footer activity_score twitter_username viewers_must_be_team_members ip_restrictions city state country time_zone css_body_background_color css_font_color css_light_font_color css_greens css_yellows css_oranges css_blues css_reds css_border_color css_graph_color css_link_color css_no_data favicon_logo transactional_logo hero_cover email_logo twitter_logo";
const manageComponent =
  "id page_id group_id created_at updated_at group name description position status showcase only_show_if_degraded automation_email start_date";
const manageGroup = "id page_id name description components position created_at updated_at";
const manageIncident =
  "id components created_at impact impact_override incident_updates metadata monitoring_at name page_id postmortem_body postmortem_body_last_updated_at postmortem_ignored postmortem_notified_subscribers postmortem_notified_twitter postmortem_published_at resolved_at scheduled_auto_completed scheduled_auto_in_progress scheduled_for scheduled_until auto_transition_deliver_notifications_at_start auto_transition_deliver_notifications_at_end auto_transition_to_maintenance_state auto_transition_to_operational_state scheduled_remind_prior scheduled_reminded_at shortlink status updated_at reminder_intervals";
const manageUpdate =
  "id incident_id affected_components body created_at custom_tweet deliver_notifications display_at status tweet_id twitter_updated_at updated_at wants_twitter_update";
const subscriber =
  "id skip_confirmation_notification mode email endpoint phone_number phone_country display_phone_number obfuscated_channel_name workspace_name quarantined_at purge_at components page_access_user_id created_at";

const keysOf = (value: object) => Object.keys(value).join(" ");

let house: House;
let base: string;
before(async () => {
  house = await openTestHouse();
  base = `/v1/pages/${house.page.id}`;
  const open = (incident: object) => house.operate("POST", `${base}/incidents`, { incident });
  const components = { [house.parts.Checkout]: "partial_outage" };
  await open({ name: "Payments fail", body: "We look.", components });
  const span = { scheduled_for: "2026-11-30T08:00:00Z", scheduled_until: "2026-11-30T09:00:00Z" };
  await open({ name: "Upgrade", component_ids: [house.parts.API], ...span });
  await open({ name: "Move", status: "in_progress", ...span });
});
after(() => house.close());

test("every document of the public API has the keys that were recorded, in their order", async () => {
  const read = async (path: string) => (await house.visit(`/api/v2/${path}.json`)).json();
  const expected: Record<string, string> = {
    summary: "page components incidents scheduled_maintenances status",
    status: "page status",
    components: "page components",
    incidents: "page incidents",
    "incidents/unresolved": "page incidents",
    "scheduled-maintenances": "page scheduled_maintenances",
    "scheduled-maintenances/active": "page scheduled_maintenances",
    "scheduled-maintenances/upcoming": "page scheduled_maintenances",
  };
  for (const [path, keys] of Object.entries(expected)) {
    const document = await read(path);
    assert.equal(keysOf(document), keys, path);
    assert.equal(keysOf(document.page), page, path);
    for (const one of document.components ?? [])
      assert.equal(keysOf(one), one.group ? `${component} components` : component);
    for (const one of document.incidents ?? []) assert.equal(keysOf(one), incident, path);
    for (const one of document.scheduled_maintenances ?? []) {
      assert.equal(keysOf(one), `${incident} scheduled_for scheduled_until`, path);
    }
  }
  const summary = await read("summary");
  assert.equal(keysOf(summary.status), "indicator description");
  const [shown] = summary.incidents;
  assert.equal(keysOf(shown.incident_updates[0]), update);
  assert.equal(keysOf(shown.incident_updates[0].affected_components[0]), affected);
  assert.equal(shown.incident_updates[0].affected_components[0].name, "Shop - Checkout");
  assert.equal(keysOf(shown.components[0]), component);
  assert.deepEqual(
    summary.scheduled_maintenances.map((one: any) => one.name),
    ["Move", "Upgrade"],
  );
  assert.equal(summary.scheduled_maintenances[0].incident_updates[0].affected_components, null);
});

test("every type of the Manage API has the keys of its specification, in their order", async () => {
  const read = async (path: string) => (await house.operate("GET", path)).json();
  assert.equal(keysOf((await read("/v1/pages"))[0]), managePage);
  assert.equal(keysOf(await read(base)), managePage);
  const components = await read(`${base}/components`);
  assert.deepEqual(
    components.map((one: any) => [one.name, one.group]),
    [
      ["API", false],
      ["Shop", true],
      ["Checkout", false],
      ["Search", false],
    ],
  );
  for (const one of components) {
    assert.equal(keysOf(one), manageComponent);
    assert.deepEqual(await read(`${base}/components/${one.id}`), one);
  }
  const [group] = await read(`${base}/component-groups`);
  assert.equal(keysOf(group), manageGroup);
  assert.deepEqual(group.components, [house.parts.Checkout, house.parts.Search]);
  const incidents = await read(`${base}/incidents`);
  assert.equal(incidents.length, 3);
  for (const one of incidents) {
    assert.equal(keysOf(one), manageIncident);
    assert.equal(keysOf(one.incident_updates[0]), manageUpdate);
    for (const part of one.components) assert.equal(keysOf(part), manageComponent);
    assert.deepEqual(await read(`${base}/incidents/${one.id}`), one);
  }
  const added = await house.operate("POST", `${base}/subscribers`, { subscriber: { email: "keys@example.com" } });
  assert.equal(keysOf(added.json()), subscriber);
  assert.equal(keysOf(await read(`${base}/subscribers/count`)), "email sms webhook integration_partner slack teams");
  const histogram = await read(`${base}/subscribers/histogram_by_state`);
  assert.equal(keysOf(histogram), "email sms webhook integration_partner slack teams");
  assert.equal(keysOf(histogram.email), "active unconfirmed quarantined total");
  assert.deepEqual(histogram.email, { active: 0, unconfirmed: 1, quarantined: 0, total: 1 });
});

test("ids have twelve letters or digits and times an offset", async () => {
  const [one] = (await house.operate("GET", `${base}/incidents`)).json();
  assert.match(one.id, /^[a-z0-9]{12}$/);
  assert.match(one.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.equal(one.shortlink, `https://status.example.com/incidents/${one.id}`);
});
