/**
 * What every door shares: the request's context, how a route declares who may enter, and how bodies are read.
 */
import type { Context, Handler, Hono } from "hono";
import type { Actor } from "./audit/audit.ts";
import { UserError } from "./errors.ts";
import type { Host, Page } from "./pages/pages.ts";
import { type Pressure, tryAgainAfterSeconds } from "./pressure.ts";
import type { Role } from "./schema.ts";
import type { Grant, Member } from "./team/members.ts";
import type { Session } from "./team/sessions.ts";

export type Env = {
  Bindings: {
    /** The address of who is connected, or of whom a trusted proxy speaks for. */
    peer: string;
    /** True on the UNIX socket in the data folder: whoever may open that is the operator. */
    operator: boolean;
  };
  Variables: {
    host: Host;
    page: Page;
    actor: Actor;
    member: Member;
    grants: Grant[];
    session: Session;
    /** The form's fields, parsed once by the guard that checks the CSRF token. */
    form: Form;
  };
};
export type Ctx = Context<Env>;

/**
 * Who may enter a route. `anyone`: no cookie is read. `link`: whoever has the link in the path; the rule checks it.
 * `member`: a signed-in member, with the role (or `any`) on the request's page where one is named. `program`: an API token with the
 * role, or the operator. `operator`: the UNIX socket alone.
 */
export type Enter =
  | { who: "link" | "operator" }
  /** `fromAnySite`: a page elsewhere may send it from the visitor's browser; no cookie of ours is involved. */
  | { who: "anyone"; fromAnySite?: true }
  | { who: "member"; role?: Role | "any" }
  | { who: "program"; role: Role | "any" };

export type Route = {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  enter: Enter;
  run: Handler<Env>;
  /**
   * From which strain on it is refused: 1 what is only looked up, 2 new subscriptions, 3 what changes settings, parts,
   * subscribers and letters. Left out: never, as for public pages, leaving, signing in and all that publishing takes.
   */
  givesWay?: 1 | 2 | 3;
};

/** Mounts routes behind the guard of each. @throws Error at start when a route doesn't say who may enter */
export function mount(
  app: Hono<Env>,
  routes: Route[],
  guards: (enter: Enter) => Handler<Env>,
  pressure: Pressure,
): void {
  /** The operator's own commands never give way: they may be what ends the strain. */
  const yielding =
    (from: number, guard: Handler<Env>): Handler<Env> =>
    (c, next) => {
      if (c.env.operator || pressure.strain() < from) return guard(c, next);
      const words = "The server has more to do than it can. Nothing was changed; try again in a few seconds.";
      throw new UserError("busy", words, { retryAfterSeconds: tryAgainAfterSeconds });
    };
  for (const route of routes) {
    const who: unknown = (route.enter as Enter | undefined)?.who;
    if (!["anyone", "link", "member", "program", "operator"].includes(String(who))) {
      throw new Error(`Route ${route.method} ${route.path} doesn't declare who may enter.`);
    }
    const guard = guards(route.enter);
    const { givesWay } = route;
    app.on(route.method, route.path, givesWay === undefined ? guard : yielding(givesWay, guard), route.run);
  }
}

/** Whether the route's pattern, like `/v1/pages/:page` or `/mail/:id{[0-9]+}`, is this path. */
export function isAt(route: Route, path: string): boolean {
  const parts = path.split("/");
  const pattern = route.path.split("/");
  return pattern.length === parts.length && pattern.every((part, index) => isPart(part, parts[index] as string));
}

function isPart(pattern: string, part: string): boolean {
  const [named, form] = /^:\w+(?:\{(.+)\})?$/.exec(pattern) ?? [];
  if (named === undefined) return pattern === part;
  return form === undefined ? part !== "" : new RegExp(`^(?:${form})$`).test(part);
}

/** Form fields in the order given. Repeated names are kept; a field that must be single is read by `one`. */
export class Form {
  readonly entries: [string, string][];
  constructor(entries: [string, string][]) {
    this.entries = entries;
  }
  one(name: string): string {
    return this.entries.find(([key]) => key === name)?.[1] ?? "";
  }
  all(name: string): string[] {
    return this.entries.filter(([key]) => key === name).map(([, value]) => value);
  }
  has(name: string): boolean {
    return this.entries.some(([key]) => key === name);
  }
  /** `status[ID]` fields as a record by ID. */
  record(name: string): Record<string, string> {
    const found: Record<string, string> = Object.create(null);
    for (const [key, value] of this.entries) {
      if (key.startsWith(`${name}[`) && key.endsWith("]")) found[key.slice(name.length + 1, -1)] = value;
    }
    return found;
  }
}

/** RFC 9110, 15.5.14. */
export class TooLarge extends UserError {
  constructor() {
    super("invalid", "This is too large: send at most 512 kB.");
  }
}

/** Bytes. The longest update (25,000 characters) fits in its widest encoding. */
const mostBody = 512 * 1024;
const mostFields = 2_000;

/** @throws UserError too large, or not text */
export async function readText(c: Ctx): Promise<string> {
  const tooLarge = new TooLarge();
  if (Number(c.req.header("content-length") ?? 0) > mostBody) throw tooLarge;
  const chunks: Uint8Array[] = [];
  let size = 0;
  if (c.req.raw.body) {
    try {
      for await (const chunk of c.req.raw.body as unknown as AsyncIterable<Uint8Array>) {
        size += chunk.byteLength;
        if (size > mostBody) throw tooLarge;
        chunks.push(chunk);
      }
    } catch (error) {
      if (error instanceof UserError) throw error;
      throw new UserError("invalid", "The request broke off. Send it again.");
    }
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new UserError("invalid", "The body isn't UTF-8 text.");
  }
}

export function isFormType(c: Ctx): boolean {
  return (c.req.header("content-type") ?? "").toLowerCase().startsWith("application/x-www-form-urlencoded");
}

export async function readForm(c: Ctx): Promise<Form> {
  if (!isFormType(c) && Number(c.req.header("content-length") ?? 0) > 0) {
    throw new UserError("invalid", "Send the form as application/x-www-form-urlencoded.");
  }
  return parseForm(await readText(c));
}

export function parseForm(text: string): Form {
  const entries = [...new URLSearchParams(text)];
  if (entries.length > mostFields) throw new UserError("invalid", "This form has too many fields.");
  return new Form(entries);
}

/** Where a member goes after a deed: 303 (RFC 9110, 15.4.4), so that a reload repeats nothing. */
export function seeOther(c: Ctx, path: string): Response {
  return c.body(null, 303, { location: path });
}
