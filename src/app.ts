/**
 * The street map: every middleware and every mount, in order, and errors to HTTP. Public GETs don't come here: edge.ts
 * answers them from pressed bytes.
 */
import { Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { announcementAdmin } from "./announcements/admin.ts";
import { announcementApi } from "./announcements/api.ts";
import { MalformedRequest } from "./api-body.ts";
import { auditAdmin } from "./audit/admin.ts";
import { auditApi } from "./audit/api.ts";
import { backupApi } from "./backup/api.ts";
import { componentAdmin } from "./components/admin.ts";
import { componentApi } from "./components/api.ts";
import type { Deps } from "./deps.ts";
import { type Fault, isDamaged, isDiskFull, UserError } from "./errors.ts";
import { type Ctx, type Env, isAt, mount, type Route, TooLarge } from "./http.ts";
import { incidentAdmin } from "./incidents/admin.ts";
import { incidentApi } from "./incidents/api.ts";
import { rescueView } from "./incidents/rescue.ts";
import { mailAdmin } from "./mail/admin.ts";
import { mailApi } from "./mail/api.ts";
import { pageAdmin } from "./pages/admin.ts";
import { pageApi } from "./pages/api.ts";
import { listHosts, listPages } from "./pages/pages.ts";
import { htmlHeaders } from "./statuspage/press.ts";
import { answerWith } from "./statuspage/public.ts";
import { frame } from "./statuspage/words.ts";
import { subscriberAdmin } from "./subscribers/admin.ts";
import { subscriberApi } from "./subscribers/api.ts";
import { subscriberPublic } from "./subscribers/public.ts";
import { memberAdmin } from "./team/admin.ts";
import { memberApi } from "./team/api.ts";
import { signInPath } from "./team/desk.ts";
import { createGuard, UnknownToken } from "./team/guard.ts";
import { keepForm } from "./team/kept-form.ts";
import { certificateApi } from "./tls/api.ts";

export function createApp(deps: Deps): Hono<Env> {
  const app = new Hono<Env>();
  const guard = createGuard(deps);

  app.use(async (c, next) => {
    const path = asMounted(c);
    if (path) return app.fetch(new Request(path, c.req.raw), c.env);
    await next();
    return undefined;
  });
  app.use((c, next) => resolveHost(deps, c, next));
  app.use(async (c, next) => {
    await next();
    c.res.headers.set("x-content-type-options", "nosniff");
    // What isn't pressed was made for one reader; errors too, which may hold what somebody typed.
    if (!c.res.headers.has("cache-control")) c.res.headers.set("cache-control", "no-store");
    if (c.req.path.startsWith("/v1/")) return;
    for (const [name, value] of headerPairs([...htmlHeaders, ...deps.transport(c.get("host").origin)])) {
      if (!c.res.headers.has(name)) c.res.headers.set(name, value);
    }
  });

  app.use("/api/v2/*", answerOtherSites);

  mount(app, publicRoutes(deps), guard, deps.pressure);
  mount(app, adminRoutes(deps), guard, deps.pressure);
  const programs = programRoutes(deps);
  mount(app, programs, guard, deps.pressure);

  app.notFound((c) => answerMissing(deps, c, programs));
  app.onError((error, c) => answerError(deps, error, c as Ctx));
  return app;
}

export function publicRoutes(deps: Deps): Route[] {
  return subscriberPublic(deps);
}

export function adminRoutes(deps: Deps): Route[] {
  return [
    ...memberAdmin(deps),
    ...incidentAdmin(deps),
    ...announcementAdmin(deps),
    ...componentAdmin(deps),
    ...subscriberAdmin(deps),
    ...mailAdmin(deps),
    ...pageAdmin(deps),
    ...auditAdmin(deps),
  ];
}

export function programRoutes(deps: Deps): Route[] {
  return [
    ...pageApi(deps),
    ...componentApi(deps),
    ...incidentApi(deps),
    ...subscriberApi(deps),
    ...announcementApi(deps),
    ...mailApi(deps),
    ...memberApi(deps),
    ...auditApi(deps),
    ...backupApi(deps),
    ...certificateApi(deps),
  ];
}

/** Statuspage's clients write Manage paths with and without `.json`, and with and without a closing slash. */
function asMounted(c: Ctx): string | undefined {
  if (!c.req.path.startsWith("/v1/")) return undefined;
  // Once each: a path of a thousand `.json` would come back here a thousand times.
  const [end] = /(?<=[^/])\/$|(?<!\.json)\.json$/.exec(c.req.path.slice("/v1/".length)) ?? [];
  if (end === undefined) return undefined;
  const url = new URL(c.req.url);
  url.pathname = url.pathname.slice(0, -end.length);
  return url.href;
}

/** The edge let only known hosts through; the operator's socket needs none and means the first page. */
async function resolveHost(deps: Deps, c: Ctx, next: () => Promise<void>): Promise<Response | undefined> {
  // With or without the root's dot, as at the edge.
  const name = new URL(c.req.url).hostname.toLowerCase().replace(/\.$/, "");
  const hosts = listHosts(deps.db);
  const host = hosts.find((known) => known.name === name) ?? (c.env.operator ? hosts[0] : undefined);
  if (host) {
    c.set("host", host);
    const page = listPages(deps.db).find((known) => known.id === host.pageId);
    if (page) c.set("page", page);
  } else if (!c.env.operator) {
    return c.text("This server has no page under that host name.\n", 421);
  }
  await next();
  return undefined;
}

/** Status widgets ask from other sites' pages (Fetch standard, CORS). Nothing under this path reads a cookie. */
async function answerOtherSites(c: Ctx, next: () => Promise<void>): Promise<Response | undefined> {
  c.header("access-control-allow-origin", "*");
  if (c.req.method === "OPTIONS") {
    return c.body(null, 204, {
      "access-control-allow-methods": "GET, HEAD, POST",
      // The star is for whatever a page's tracing adds; browsers that don't know it go by the names.
      "access-control-allow-headers": "accept, content-type, if-none-match, *",
      "access-control-max-age": "86400",
    });
  }
  await next();
  // An error's answer was made anew.
  c.res.headers.set("access-control-allow-origin", "*");
  c.res.headers.set("access-control-expose-headers", "etag");
  return undefined;
}

function statusOf(error: UserError): ContentfulStatusCode {
  if (error instanceof UnknownToken) return 401;
  if (error instanceof MalformedRequest) return 400;
  return error instanceof TooLarge ? 413 : statusOfFault[error.fault];
}

const statusOfFault: Record<Fault, ContentfulStatusCode> = {
  invalid: 422,
  not_found: 404,
  forbidden: 403,
  conflict: 409,
  too_many: 429,
  busy: 503,
};

function answerMissing(deps: Deps, c: Ctx, programs: Route[]): Response {
  if (isProgram(c)) {
    const allow = methodsAt(deps, c, programs);
    if (allow === "") return c.json({ message: "There is nothing under this path." }, 404);
    return c.json({ message: `This path takes ${allow}, and not ${c.req.method}.` }, 405, { allow });
  }
  const meant = withoutSlash(deps, c);
  if (meant) return c.redirect(meant, 301);
  const missing = deps.press.missing(c.get("host")?.name ?? "");
  if (!missing) return c.text("There is nothing here.\n", 404);
  const { body } = answerWith(missing, { ifNoneMatch: undefined, acceptEncoding: undefined });
  return c.body(new Uint8Array(body ?? []), 404, { "content-type": "text/html; charset=utf-8" });
}

/** A page's address with a slash too many, as it is typed and as some programs write it. */
function withoutSlash(deps: Deps, c: Ctx): string | undefined {
  const { method, path } = c.req;
  if (method !== "GET" || path.length < 2 || !path.endsWith("/")) return undefined;
  const meant = path.slice(0, -1);
  // Only what is pressed for this host: no path can be made up that leads to another.
  return deps.press.find(c.get("host")?.name ?? "", meant) && meant;
}

function answerError(deps: Deps, error: Error, c: Ctx): Response {
  if (error instanceof UserError) {
    const status = statusOf(error);
    if (error.retryAfterSeconds) c.header("retry-after", String(error.retryAfterSeconds));
    if (status === 401) c.header("www-authenticate", "OAuth");
    if (isProgram(c)) return c.json({ message: error.message, ...(error.field ? { field: error.field } : {}) }, status);
    return answerPage(deps, c, status, error.message);
  }
  if (isDiskFull(error)) {
    const words = isOfTeam(c)
      ? "The server's disk is full, so nothing was changed. Make room and send this again."
      : apology;
    deps.log.error("request.disk_full", { method: c.req.method, path: routeOf(c) });
    return isProgram(c) ? c.json({ message: words }, 507) : answerPage(deps, c, 507, words);
  }
  deps.log.error("request.failed", { method: c.req.method, path: routeOf(c), error });
  if (isDamaged(error) && isProgram(c)) {
    const message = "The database is damaged. Stop the server and put a snapshot in its place; the README says how.";
    return c.json({ message }, 503);
  }
  const words = isOfTeam(c)
    ? "Something went wrong on our side. Nothing was changed; the log says what it was."
    : apology;
  return isProgram(c) ? c.json({ message: words }, 500) : answerPage(deps, c, 500, words);
}

/** To visitors, who know neither our disk nor our log. */
const apology = "Something went wrong on our side, and nothing was changed. Try again in a few minutes.";

function isOfTeam(c: Ctx): boolean {
  return isProgram(c) || c.req.path.startsWith("/admin");
}

/** The error in the frame of the door it came from: the admin's for members, the page's for visitors. */
function answerPage(deps: Deps, c: Ctx, status: ContentfulStatusCode, message: string): Response {
  if (!c.get("page")) return c.text(`${message}\n`, status);
  const admin = c.req.path.startsWith("/admin");
  const form = c.get("form");
  // Whoever's session ended while they wrote must not lose the words. They are shown to their sender alone.
  const typed = /^\/admin\/(incidents|maintenance)/.test(c.req.path)
    ? rescueView(deps.db, { pageId: c.get("page").id, form })
    : undefined;
  const view = {
    title: "That didn’t work",
    message,
    ...frame(c.get("page"), c.get("host").origin),
    assets: { candor: deps.press.assetPath("candor"), admin: deps.press.assetPath("admin") },
    bare: true,
    typed,
    kept: typed && form && !c.get("session") ? keepForm(c.req.path, form) : undefined,
    signIn: c.get("session") ? undefined : signInPath(formPath(c)),
    again: c.get("session") && status === 403 ? formPath(c) : undefined,
  };
  return c.html(deps.render(admin ? "admin/error" : "public/error", view), status);
}

/** Where the form stood that was sent here: a review, which has no address of its own, was made from one. */
function formPath(c: Ctx): string | undefined {
  if (!c.get("form")) return undefined;
  if (["/admin/incidents", "/admin/maintenance"].includes(c.req.path)) return `${c.req.path}/new`;
  const referer = c.req.header("referer");
  const origin = c.get("host").origin;
  return referer?.startsWith(`${origin}/admin/`) ? new URL(referer).pathname : undefined;
}

/** The pattern, not the path: links hold secrets that no log may see. */
function routeOf(c: Ctx): string {
  return c.req.routePath;
}

/** The methods that programs may use on this path, for Allow (RFC 9110, 15.5.6); the operator's paths aren't there for them. */
function methodsAt(deps: Deps, c: Ctx, programs: Route[]): string {
  const routes = programs.filter((route) => route.enter.who === "program" && isAt(route, c.req.path));
  const methods = routes.map((route) => route.method);
  const reads = methods.includes("GET") || deps.press.find(c.get("host")?.name ?? "", c.req.path) !== undefined;
  return [...new Set([...(reads ? ["GET", "HEAD"] : []), ...methods])].join(", ");
}

function isProgram(c: Ctx): boolean {
  return /^\/(?:v1|api)(?:\/|$)/.test(c.req.path);
}

function headerPairs(list: string[]): [string, string][] {
  return Array.from({ length: list.length / 2 }, (_, index) => [
    list[index * 2] as string,
    list[index * 2 + 1] as string,
  ]);
}
