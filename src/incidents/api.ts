/**
 * Incidents, for programs: read with any token for the page, written with publisher. What Statuspage leaves open:
 * - a PATCH appends an update, and tells people, when it brings a text or another status; a client that sends back the
 *   status it read says nothing new. Component statuses that come without either are set quietly.
 * - reminders that Statuspage sends by itself (`scheduled_remind_prior`, `reminder_intervals`) aren't sent here; the fields
 *   are taken and come back false or null.
 * - the same request that comes again with its `Idempotency-Key` changes nothing and is answered with what the first one made, as
 *   it stands now; a POST makes one incident, a PATCH one update on it.
 * - `?dry_run=true`, or `dry_run` beside the incident, answers what would happen and writes nothing.
 */

import { updateWords } from "../announcements/words.ts";
import { type BodyRecord, readBody } from "../api-body.ts";
import { needText, takeFlag, takePart, takeText, takeTime } from "../api-fields.ts";
import { doing, isYes, onceId, paging, patchOrPut } from "../api-routes.ts";
import { listComponents, listGroups } from "../components/components.ts";
import type { Db } from "../db.ts";
import type { Deps } from "../deps.ts";
import type { Ctx, Route } from "../http.ts";
import { originOf } from "../pages/pages.ts";
import type { IncidentStatus } from "../schema.ts";
import { type ManageContext, manageIncidentShape, manageUpdateShape } from "../statuspage/manage-shapes.ts";
import { namesOf } from "../statuspage/shapes.ts";
import { nextTurn } from "../turns.ts";
import { changeIncident, correctUpdate, deleteIncident } from "./amendments.ts";
import { incidentInput, openingOf } from "./api-input.ts";
import { openIncident, postUpdate, recoveryOf } from "./incidents.ts";
import { type Rehearsal, rehearse } from "./rehearsal.ts";
import {
  findIncident,
  hasIncident,
  hasUpdate,
  type Incident,
  type IncidentUpdate,
  listIncidents,
  listOpenIncidents,
  listUpcoming,
  type Story,
  tellStories,
  tellStory,
} from "./stories.ts";

type Written = { incident: Incident; update: IncidentUpdate };

export function incidentApi(deps: Deps): Route[] {
  const { db, press, announcer, config, clock } = deps;
  const contextOf = (pageId: string): ManageContext => {
    const components = listComponents(db, pageId, "with");
    return {
      origin: originOf(db, pageId),
      names: namesOf(components, listGroups(db, pageId)),
      components: new Map(components.map((component) => [component.id, component])),
    };
  };
  const shapes = (c: Ctx, list: Incident[]) => {
    const context = contextOf(c.get("page").id);
    return tellStories(db, list).map((story) => manageIncidentShape(story, context));
  };
  const shape = (c: Ctx, id: string) => shapes(c, [findIncident(db, { pageId: c.get("page").id, id })])[0];
  const idOf = (c: Ctx) => c.req.param("id") ?? "";
  const told = async (c: Ctx, incidentId: string) => {
    await nextTurn();
    press.press(c.get("page").id, incidentId);
    announcer.wake();
  };

  /** Asked for beside the incident or in the address: whoever looks first must not publish by mistake. */
  const isRehearsal = (c: Ctx, body: BodyRecord) => isYes(c, "dry_run") || takeFlag(body, "dry_run") === true;

  const list = (c: Ctx) => {
    const saying = c.req.query("q")?.trim();
    const input = { pageId: c.get("page").id, ...paging(c, { size: "limit" }), ...(saying ? { saying } : {}) };
    return c.json(shapes(c, listIncidents(db, input)));
  };
  const maintenances = (statuses: IncidentStatus[]) => (c: Ctx) => {
    const input = {
      pageId: c.get("page").id,
      kind: "maintenance" as const,
      statuses,
      ...paging(c, { size: "per_page" }),
    };
    return c.json(shapes(c, listIncidents(db, input)));
  };
  const slice = (c: Ctx, found: Incident[]) => {
    const { limit, offset } = paging(c, { size: "per_page" });
    return c.json(shapes(c, found.slice(offset, offset + limit)));
  };
  const unresolved = (c: Ctx) => {
    const open = listOpenIncidents(db, c.get("page").id);
    return slice(
      c,
      open.filter((incident) => incident.kind === "incident"),
    );
  };

  const open = async (c: Ctx) => {
    const body = await readBody(c);
    const fields = takePart(body, "incident");
    const input = openingOf(incidentInput(fields, c.get("page").timeZone));
    const burstFactor = config.number("mail.burst_factor");
    const name = needText(fields, "name");
    const run = (stage: Db, id?: string): Written =>
      openIncident(stage, { ...input, ...doing(deps, c), id, name, burstFactor });
    if (isRehearsal(c, body)) return rehearsed(c, run, { posts: true, isNew: true });
    const id = onceId(c, "incidents", body);
    if (id && hasIncident(db, { pageId: c.get("page").id, id })) return c.json(shape(c, id), 201);
    const { incident } = run(db, id);
    await told(c, incident.id);
    return c.json(shape(c, incident.id), 201);
  };

  const change = async (c: Ctx) => {
    const { pageId } = doing(deps, c);
    const body = await readBody(c);
    const input = incidentInput(takePart(body, "incident"), c.get("page").timeZone);
    const before = findIncident(db, { pageId, id: idOf(c) });
    const posts = (input.body ?? "") !== "" || (input.status !== undefined && input.status !== before.status);
    const at = { ...doing(deps, c), incidentId: before.id };
    const updateId = posts ? onceId(c, before.id, body) : undefined;
    const run = (stage: Db): Written => {
      const { name, impactOverride, metadata, scheduledFor, scheduledUntil, componentIds, byTheClock } = input;
      const quiet = posts ? undefined : input.components;
      const own = { name, impactOverride, metadata, scheduledFor, scheduledUntil, componentIds };
      const touches = Object.values({ ...own, ...byTheClock }).some((value) => value !== undefined);
      if (touches || Object.keys(quiet ?? {}).length > 0)
        changeIncident(stage, { ...at, ...own, byTheClock, components: quiet });
      if (!posts) return { incident: findIncident(stage, { pageId, id: before.id }), update: latest(stage, before) };
      const { status, components, notify } = input;
      const burstFactor = config.number("mail.burst_factor");
      return postUpdate(stage, { ...at, updateId, body: input.body ?? "", status, components, notify, burstFactor });
    };
    if (isRehearsal(c, body)) return rehearsed(c, run, { posts, isNew: false });
    if (updateId && hasUpdate(db, { incidentId: before.id, id: updateId })) return c.json(shape(c, before.id));
    // The rules' own transactions are savepoints inside this one: all of the PATCH, or nothing.
    db.transaction((tx) => run(tx as unknown as Db), { behavior: "immediate" });
    await told(c, before.id);
    return c.json(shape(c, before.id));
  };
  const latest = (stage: Db, incident: Incident) =>
    tellStory(stage, { pageId: incident.pageId, id: incident.id }).updates[0] as Story["updates"][number];

  const rehearsed = (c: Ctx, run: (stage: Db) => Written, { posts, isNew }: { posts: boolean; isNew: boolean }) => {
    const seen = rehearse(db, clock.now(), run);
    const context = contextOf(c.get("page").id);
    return c.json({
      dry_run: true,
      audience: posts ? (seen.announcement?.audience ?? 0) : 0,
      held: posts ? (seen.announcement?.reason ?? null) : null,
      headline: seen.headline,
      letter: posts ? letterOf(c, seen, context, isNew) : null,
      incident: manageIncidentShape(seen.story, context),
    });
  };
  const letterOf = (c: Ctx, seen: Rehearsal, context: ManageContext, isNew: boolean) =>
    updateWords(deps.render, {
      page: c.get("page"),
      origin: context.origin,
      components: [...context.components.values()],
      // A rehearsed incident has no address yet, and no reader a link.
      incident: isNew ? { ...seen.story, id: "…" } : seen.story,
      update: seen.update,
      manageLink: `${context.origin}/subscription/…`,
    });

  const remove = async (c: Ctx) => {
    const gone = shape(c, idOf(c));
    deleteIncident(db, { ...doing(deps, c), incidentId: idOf(c) });
    await told(c, idOf(c));
    return c.json(gone);
  };
  const correct = async (c: Ctx) => {
    const fields = takePart(await readBody(c), "incident_update");
    const input = { body: takeText(fields, "body"), displayAt: takeTime(fields, "display_at") };
    const updateId = c.req.param("update") ?? "";
    correctUpdate(db, { ...doing(deps, c), incidentId: idOf(c), updateId, ...input });
    await told(c, idOf(c));
    const { pageId } = doing(deps, c);
    const story = tellStory(db, { pageId, id: idOf(c) });
    const update = story.updates.find((one) => one.id === updateId) as Story["updates"][number];
    return c.json(manageUpdateShape(update, contextOf(pageId).names));
  };

  const reading = { who: "program", role: "any" } as const;
  const writing = { who: "program", role: "publisher" } as const;
  const incidents = "/v1/pages/:page/incidents";
  const one = `${incidents}/:id`;
  return [
    { method: "GET", path: incidents, enter: reading, run: list, givesWay: 1 },
    { method: "POST", path: incidents, enter: writing, run: open },
    { method: "GET", path: `${incidents}/unresolved`, enter: reading, run: unresolved },
    {
      method: "GET",
      path: `${incidents}/upcoming`,
      enter: reading,
      run: (c) => slice(c, listUpcoming(db, c.get("page").id)),
      givesWay: 1,
    },
    {
      method: "GET",
      path: `${incidents}/scheduled`,
      enter: reading,
      run: maintenances(["scheduled", "in_progress", "verifying"]),
      givesWay: 1,
    },
    {
      method: "GET",
      path: `${incidents}/active_maintenance`,
      enter: reading,
      run: maintenances(["in_progress", "verifying"]),
      givesWay: 1,
    },
    { method: "GET", path: one, enter: reading, run: (c) => c.json(shape(c, idOf(c))) },
    // Ours: what `candor incident resolve` sets its components to.
    {
      method: "GET",
      path: `${one}/recovery`,
      enter: reading,
      run: (c) => c.json(recoveryOf(db, findIncident(db, { pageId: c.get("page").id, id: idOf(c) }))),
    },
    ...patchOrPut(one, writing, change),
    { method: "DELETE", path: one, enter: writing, run: remove },
    ...patchOrPut(`${one}/incident_updates/:update`, writing, correct),
  ];
}
