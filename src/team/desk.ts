/**
 * The frame that every page of the admin stands in: who is signed in, where they may go, the CSRF token of their forms,
 * and the sentence that says what was just done. That sentence is chosen by name from a fixed list, so that no link can
 * put words of its own on a page.
 */
import type { Deps } from "../deps.ts";
import { UserError } from "../errors.ts";
import { type Ctx, seeOther } from "../http.ts";
import type { Role } from "../schema.ts";
import { csrfToken } from "./guard.ts";
import { mayAct } from "./members.ts";

/** `also` are the paths beside its own that belong to an entry. */
const doors: { href: string; words: string; role?: Role; also?: string[] }[] = [
  { href: "/admin", words: "Now" },
  { href: "/admin/incidents", words: "Incidents", role: "publisher", also: ["/admin/maintenance"] },
  { href: "/admin/components", words: "Components", role: "page_config", also: ["/admin/component-groups"] },
  { href: "/admin/subscribers", words: "Subscribers", role: "publisher" },
  { href: "/admin/mail", words: "Mail", role: "publisher" },
  { href: "/admin/settings", words: "Settings", also: ["/admin/audit", "/admin/account"] },
];

const doneWords = {
  published: "Published. The page shows it now.",
  silent: "Published. The page shows it now. Nobody is told by mail.",
  told: "Published. The page shows it now, and the letters are on their way.",
  waiting: "Published. The page shows it now. The mail server can’t be reached, so the letters wait until it is back.",
  held: "Published. The page shows it now, but nobody is told yet: decide about the letters below.",
  unchanged: "Nothing was changed: the words are as they were.",
  corrected:
    "Corrected. The earlier words are kept, and nobody was told again; letters that still wait say the new ones.",
  changed: "Saved.",
  deleted: "Deleted. It is off the page.",
  sent: "Released. The letters are on their way.",
  dropped: "Dropped. Nobody will be told by mail; the update stays on the page.",
  created: "Created.",
  moved: "Moved.",
  archived: "Archived. It is off the page; its past is kept.",
  restored: "Back on the page.",
  grouped: "Group removed. Its components stay on the page.",
  invited: "Added. A confirmation letter is on its way.",
  vouched: "Added. They are told from the next update on.",
  left: "Unsubscribed. The address is erased.",
  resent: "A new confirmation letter is on its way.",
  reactivated: "Reactivated. Letters go to this address again.",
  retried: "Back in the queue; it is tried now.",
  removed: "Taken out of the queue. It will not be sent.",
  tested: "The test letter was written. What became of it stands below.",
  password: "Your password is set. Your other sessions were ended.",
  ended: "Ended. Whoever used that session must sign in again.",
} as const;
export type Done = keyof typeof doneWords;

/** What went wrong in a form: the sentence, and the field that it belongs beside. */
export type Fault = { message: string; field: string; at: Record<string, string>; more?: FieldFault[] };
type FieldFault = { message: string; field: string };

export type Desk = {
  page(c: Ctx, template: string, view: object, status?: 200 | 409 | 422 | 429): Response;
  /** For doors without a session: no navigation, no token. */
  bare(c: Ctx, template: string, view: object, status?: 200 | 409 | 422 | 429): Response;
  may(c: Ctx, role: Role): boolean;
};

export function createDesk(deps: Deps): Desk {
  const may = (c: Ctx, role: Role) => mayAct(c.get("grants"), role, c.get("page").id);
  const common = (c: Ctx) => ({
    pageName: c.get("page").name,
    timeZone: c.get("page").timeZone,
    origin: c.get("host").origin,
    assets: { admin: deps.press.assetPath("admin") },
  });
  const answer = (c: Ctx, template: string, view: object, status: 200 | 409 | 422 | 429) => {
    c.header("cache-control", "no-store");
    return c.html(deps.render(`admin/${template}`, view), status);
  };
  return {
    may,
    page: (c, template, view, status = 200) => {
      const frame = {
        ...common(c),
        csrf: csrfToken(deps, c),
        signedInAs: c.get("member").address,
        nav: navigation(c, may),
        may: { publish: may(c, "publisher"), configure: may(c, "page_config"), own: may(c, "owner") },
        done: c.req.method === "GET" ? doneSentence(c.req.query("done")) : undefined,
      };
      return answer(c, template, { ...frame, ...view }, status);
    },
    bare: (c, template, view, status = 200) => answer(c, template, { ...common(c), bare: true, ...view }, status),
  };
}

function doneSentence(name: string | undefined): string | undefined {
  return name !== undefined && Object.hasOwn(doneWords, name) ? doneWords[name as Done] : undefined;
}

function navigation(c: Ctx, may: Desk["may"]) {
  const { path } = c.req;
  return doors
    .filter((door) => !door.role || may(c, door.role))
    .map(({ href, words, also = [] }) => {
      const below =
        href !== "/admin" && [href, ...also].some((start) => path === start || path.startsWith(`${start}/`));
      return { href, words, current: path === href ? "page" : below ? "true" : "" };
    });
}

/** What a form may answer for; anything else is thrown on, to become an error page. */
export function faultOf(error: unknown): Fault {
  if (!(error instanceof UserError) || error.fault === "forbidden") throw error;
  if (error.fault === "not_found" && !error.field) throw error;
  const field = error.field ?? "";
  return { message: error.message, field, at: field ? { [field]: error.message } : {} };
}

/** All that is wrong at once: what the checks find, in their order, and what was thrown. */
export function faultsOf(error: unknown, checks: (() => unknown)[]): Fault {
  const thrown = faultOf(error);
  const found = checks.flatMap((check): FieldFault[] => {
    try {
      check();
      return [];
    } catch (wrong) {
      const { message, field } = faultOf(wrong);
      return [{ message, field }];
    }
  });
  const [first = thrown, ...more] = found.some(({ field }) => field === thrown.field) ? found : [...found, thrown];
  const at = Object.fromEntries([first, ...more].map(({ message, field }) => [field, message]));
  return { message: first.message, field: first.field, at, more };
}

/** `to` is where to go on after signing in: a path of the admin and nothing else, whoever wrote the link. */
export function pathAfterSignIn(to: string | undefined): string {
  return to !== undefined && /^\/admin(\/[\w-]+)*$/.test(to) ? to : "/admin";
}

export function signInPath(to: string | undefined): string {
  const path = pathAfterSignIn(to);
  return path === "/admin" ? "/admin/sign-in" : `/admin/sign-in?to=${path}`;
}

export function goOn(c: Ctx, path: string, done: Done): Response {
  const [place = "", mark] = path.split("#");
  return seeOther(c, `${place}${place.includes("?") ? "&" : "?"}done=${done}${mark ? `#${mark}` : ""}`);
}
