/**
 * What is asked of a certificate authority, over ACME (RFC 8555) with renewal information (RFC 9773) and profiles. Each
 * call is one question with one answer or one failure; nothing waits or tries again in here, because whatever waits must
 * survive a crash and so stands in a row (orders.ts). The only user of acme-client.
 */
import { readFileSync } from "node:fs";
import { Agent } from "node:https";
import { getCACertificates } from "node:tls";
import type { Client } from "acme-client";
import type { ChallengeType } from "../schema.ts";

export type Authority = {
  describe(): Promise<Description>;
  /** Makes the account, or finds it by its key. @returns its URL */
  register(input: { contact: string }): Promise<string>;
  changeContact(input: { contact: string }): Promise<void>;
  /** Whether it still takes our account (RFC 8555, 7.3.6). */
  isAccountOpen(): Promise<boolean>;
  openOrder(input: { name: string; profile?: string | undefined; replaces?: string | undefined }): Promise<OrderView>;
  viewOrder(url: string): Promise<OrderView>;
  viewAuthorization(url: string): Promise<AuthorizationView>;
  /** What the authority shall find, by the kind of challenge (RFC 8555, 8.1; its digest for dns-01). */
  keyAuthorization(challenge: ChallengeView): Promise<string>;
  accept(challenge: ChallengeView): Promise<void>;
  finalize(order: OrderView, input: { name: string; privateKey: string }): Promise<void>;
  /** @returns the chain in PEM, as it came */
  download(order: OrderView): Promise<string>;
  /** The window in UTC milliseconds, as the authority says it. */
  renewalWindow(id: string): Promise<{ start: number; end: number; retryAfter: string | undefined }>;
};

export type Description = {
  termsUrl: string | undefined;
  /** The domains that a CAA record must name (RFC 8659). */
  caaIdentities: string[];
  profiles: string[];
  needsBinding: boolean;
  tellsWindows: boolean;
};

export type OrderView = {
  url: string;
  status: "pending" | "ready" | "processing" | "valid" | "invalid";
  authorizations: string[];
  finalize: string;
  certificate: string | undefined;
  error: Problem | undefined;
  retryAfter: string | undefined;
};

export type AuthorizationView = {
  status: string;
  name: string;
  challenges: ChallengeView[];
};

export type ChallengeView = {
  type: ChallengeType;
  url: string;
  token: string;
  status: string;
  error: Problem | undefined;
};

/** A problem document (RFC 7807), its type without urn:ietf:params:acme:error:. */
export type Problem = { type: string; detail: string };

/** The authority said no. */
export class AuthorityProblem extends Error {
  readonly type: string;
  readonly status: number;
  /** As it came, for `waitSaid`. */
  readonly retryAfter: string | undefined;
  /** @param status 0 for what we found out ourselves */
  constructor(problem: Problem, status: number, retryAfter?: string) {
    super(problem.detail);
    this.type = problem.type;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Said of a question; of a host it is said without one, in its challenge. */
export function isAboutAccount(error: AuthorityProblem): boolean {
  return error.type === "unauthorized" && error.status > 0;
}

/** The order has come to nothing, for whatever reason: it is never gone on with (RFC 8555, 7.1.6). */
export class OrderRefused extends AuthorityProblem {
  /** @param problem left out: the authority doesn't say why */
  constructor(problem: Problem = { type: "ended", detail: "" }) {
    super(problem, 0);
  }
}

/** The authority didn't answer, or not in a way that could be understood. */
export class AuthorityUnreachable extends Error {}

export type Account = {
  directory: string;
  privateKey: string;
  url: string | undefined;
  binding: { kid: string; key: string } | undefined;
};

/** The longest time that one question may take, and the longest answer. */
const patienceMs = 30_000;
const longestAnswer = 512 * 1024;

export async function openAuthority(account: Account, caFiles: string[]): Promise<Authority> {
  const acme = await loadClient(caFiles);
  const client: Client = new acme.Client({
    directoryUrl: account.directory,
    accountKey: account.privateKey,
    ...(account.url === undefined ? {} : { accountUrl: account.url }),
    ...(account.binding ? { externalAccountBinding: { kid: account.binding.kid, hmacKey: account.binding.key } } : {}),
  });
  let directory: Record<string, unknown> | undefined;
  const readDirectory = async () => {
    directory ??= requireObject((await acme.axios.get(account.directory)).data, "directory");
    return directory;
  };
  const contacts = (contact: string) => (contact === "" ? [] : [`mailto:${contact}`]);

  const authority: Authority = {
    describe: async () => {
      const fields = await readDirectory();
      const meta =
        typeof fields.meta === "object" && fields.meta !== null ? (fields.meta as Record<string, unknown>) : {};
      return {
        termsUrl: typeof meta.termsOfService === "string" ? meta.termsOfService : undefined,
        caaIdentities: Array.isArray(meta.caaIdentities)
          ? meta.caaIdentities.map((identity) => plain(String(identity), 253))
          : [],
        profiles: typeof meta.profiles === "object" && meta.profiles !== null ? Object.keys(meta.profiles) : [],
        needsBinding: meta.externalAccountRequired === true,
        tellsWindows: typeof fields.renewalInfo === "string",
      };
    },
    register: async ({ contact }) => {
      // Not the client's own way, which asks without end where an answer names no account.
      const { api } = client as unknown as { api: { createAccount(fields: object): Promise<AxiosAnswer> } };
      const { status, headers } = await api.createAccount({ termsOfServiceAgreed: true, contact: contacts(contact) });
      const url = textOf(headers.location);
      if (url === undefined) throw new AuthorityUnreachable("The authority's answer names no account.");
      // It was there before, with the address of then.
      if (status === 200) await authority.changeContact({ contact });
      return url;
    },
    changeContact: async ({ contact }) => {
      await client.updateAccount({ contact: contacts(contact) });
    },
    isAccountOpen: async () => {
      try {
        // Any resource of ours is read this way (RFC 8555, 6.3).
        const account: unknown = await client.getOrder({ url: client.getAccountUrl() } as Parameters<
          Client["getOrder"]
        >[0]);
        return requireObject(account, "account").status === "valid";
      } catch (error) {
        if (error instanceof AuthorityProblem && error.type === "unauthorized") return false;
        throw error;
      }
    },
    openOrder: async ({ name, profile, replaces }) => {
      const wish = {
        identifiers: [{ type: "dns", value: name }],
        ...(profile === undefined ? {} : { profile }),
        ...(replaces === undefined ? {} : { replaces }),
      };
      return orderView(await client.createOrder(wish));
    },
    viewOrder: async (url) => orderView(await client.getOrder({ url } as Parameters<Client["getOrder"]>[0])),
    viewAuthorization: async (url) => {
      const order = { authorizations: [url] } as unknown as Parameters<Client["getAuthorizations"]>[0];
      const [found] = await client.getAuthorizations(order);
      return authorizationView(found);
    },
    keyAuthorization: (challenge) => client.getChallengeKeyAuthorization(foreign(challenge)),
    accept: async (challenge) => {
      await client.completeChallenge(foreign(challenge));
    },
    finalize: async (order, { name, privateKey }) => {
      const [, request] = await acme.crypto.createCsr({ commonName: "", altNames: [name] }, privateKey);
      await client.finalizeOrder(order as unknown as Parameters<Client["finalizeOrder"]>[0], request);
    },
    download: async (order) => {
      const chain: unknown = await client.getCertificate(order as unknown as Parameters<Client["getCertificate"]>[0]);
      if (typeof chain !== "string") throw new AuthorityUnreachable("The authority's answer holds no certificate.");
      return chain;
    },
    renewalWindow: async (id) => {
      const { renewalInfo } = await readDirectory();
      const answer = await acme.axios.get(`${renewalInfo}/${id}`);
      const fields = requireObject(answer.data, "renewal information");
      const window = requireObject(fields.suggestedWindow, "renewal information");
      return {
        start: Date.parse(String(window.start)),
        end: Date.parse(String(window.end)),
        retryAfter: textOf(answer.headers["retry-after"]),
      };
    },
  };
  return inOwnWords(authority);
}

/** acme-client says what went wrong in plain Errors; whatever isn't the authority's own problem is taken as no answer. */
function inOwnWords(authority: Authority): Authority {
  const said = (error: unknown): Error => {
    if (error instanceof AuthorityProblem || error instanceof AuthorityUnreachable) return error;
    const { message, code } = error as NodeJS.ErrnoException;
    return new AuthorityUnreachable(code ? `${message} (${code})` : message);
  };
  const wrapped = Object.entries(authority).map(([name, call]) => [
    name,
    async (...given: unknown[]) => {
      try {
        return await (call as (...input: unknown[]) => Promise<unknown>)(...given);
      } catch (error) {
        throw said(error);
      }
    },
  ]);
  return Object.fromEntries(wrapped) as Authority;
}

type AxiosAnswer = { status: number; headers: Record<string, unknown> };

let loaded: Promise<typeof import("acme-client")> | undefined;

/** One instance of its HTTP client serves every directory, so the roots of all of them are given together. */
async function loadClient(caFiles: string[]): Promise<typeof import("acme-client")> {
  loaded ??= import("acme-client").then((module) => {
    const acme = "default" in module ? (module.default as typeof module) : module;
    const { interceptors, defaults } = acme.axios;
    // Its own retry sleeps in memory for as long as an answer says, and a network error in its last round becomes a
    // TypeError. Ours are rows.
    interceptors.request.clear();
    interceptors.response.clear();
    interceptors.request.use((config) => ({ ...config, signal: AbortSignal.timeout(patienceMs) }));
    interceptors.response.use((answer) => {
      const { status, data, headers } = answer;
      const retryAfter = textOf(headers["retry-after"]);
      if (status >= 400) {
        const problem = problemOf(data);
        // acme-client tries again by itself with the nonce that came along (RFC 8555, 6.5).
        if (problem?.type === "badNonce") return answer;
        throw new AuthorityProblem(
          problem ?? { type: status === 429 ? "rateLimited" : "serverInternal", detail: `It answered HTTP ${status}.` },
          status,
          retryAfter,
        );
      }
      if (retryAfter !== undefined && typeof data === "object" && data !== null) data.retryAfter = retryAfter;
      return answer;
    });
    Object.assign(defaults, {
      timeout: patienceMs,
      maxContentLength: longestAnswer,
      maxRedirects: 0,
      proxy: false,
      validateStatus: null,
    });
    return acme;
  });
  const acme = await loaded;
  const own = caFiles.map((file) => readFileSync(file, "latin1"));
  acme.axios.defaults.httpsAgent = new Agent({ ca: [...getCACertificates("bundled"), ...own], keepAlive: false });
  return acme;
}

function foreign(challenge: ChallengeView): Parameters<Client["completeChallenge"]>[0] {
  return challenge as unknown as Parameters<Client["completeChallenge"]>[0];
}

/** @returns undefined for what isn't a problem document */
function problemOf(data: unknown): Problem | undefined {
  if (typeof data !== "object" || data === null) return undefined;
  const { type, detail, subproblems } = data as { type?: unknown; detail?: unknown; subproblems?: unknown };
  if (typeof type !== "string") return undefined;
  // Of an order with one name there is at most one, and it says more.
  const below = Array.isArray(subproblems) ? problemOf(subproblems[0]) : undefined;
  if (below) return below;
  const short = plain(type.replace(/^urn:ietf:params:acme:error:/, ""), 100);
  return { type: short, detail: typeof detail === "string" ? plain(detail, 500) : short };
}

/** In one line, and without what moves a terminal's cursor. */
function plain(words: string, longest: number): string {
  return words.replace(/[\s\p{C}]+/gu, " ").slice(0, longest);
}

/** @returns milliseconds that a Retry-After asks for: seconds or a date (RFC 9110, 10.2.3) */
export function waitSaid(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function orderView(data: unknown): OrderView {
  const fields = requireObject(data, "order");
  const { url, status, finalize, authorizations, certificate } = fields;
  const known = ["pending", "ready", "processing", "valid", "invalid"];
  if (
    typeof url !== "string" ||
    typeof finalize !== "string" ||
    typeof status !== "string" ||
    !known.includes(status) ||
    !Array.isArray(authorizations)
  )
    throw new AuthorityUnreachable("The authority's answer isn't an order.");
  return {
    url,
    status: status as OrderView["status"],
    finalize,
    authorizations: authorizations.map(String),
    certificate: typeof certificate === "string" ? certificate : undefined,
    error: problemOf(fields.error),
    retryAfter: textOf(fields.retryAfter),
  };
}

function authorizationView(data: unknown): AuthorizationView {
  const { status, identifier, challenges } = requireObject(data, "authorization");
  if (typeof status !== "string" || !Array.isArray(challenges))
    throw new AuthorityUnreachable("The authority's answer isn't an authorization.");
  return {
    status,
    name: String((identifier as { value?: unknown } | undefined)?.value),
    challenges: challenges.map((challenge) => ({
      type: plain(String(challenge.type), 100) as ChallengeType,
      url: String(challenge.url),
      token: String(challenge.token),
      status: String(challenge.status),
      error: problemOf(challenge.error),
    })),
  };
}

function requireObject(data: unknown, what: string): Record<string, unknown> {
  if (typeof data !== "object" || data === null || Array.isArray(data))
    throw new AuthorityUnreachable(`The authority's ${what} can't be read.`);
  return data as Record<string, unknown>;
}
