/**
 * Every table, on one page.
 *
 * Ids of things that clients see are 12 characters of [a-z0-9]. Times are UTC milliseconds and end in `At`. Columns
 * of type `sealed` hold field-encrypted bytes (crypto/fields.ts) whose associated data is table, column and primary
 * key; columns that end in `Index` hold blind indexes (HMAC), columns that end in `Hash` the SHA-256 of a secret.
 * Migrations only add before they remove, so that the previous program runs on the next schema.
 */
import { sql } from "drizzle-orm";
import { blob, index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";

const sealed = (name: string) => blob(name, { mode: "buffer" });
const flag = (name: string) => integer(name, { mode: "boolean" });

export const componentStatuses = [
  "operational",
  "degraded_performance",
  "partial_outage",
  "major_outage",
  "under_maintenance",
] as const;
export type ComponentStatus = (typeof componentStatuses)[number];

export const incidentStatuses = [
  "investigating",
  "identified",
  "monitoring",
  "resolved",
  "scheduled",
  "in_progress",
  "verifying",
  "completed",
] as const;
export type IncidentStatus = (typeof incidentStatuses)[number];

export const impacts = ["none", "minor", "major", "critical", "maintenance"] as const;
export type Impact = (typeof impacts)[number];

export const roles = ["owner", "page_admin", "page_config", "team", "publisher"] as const;
export type Role = (typeof roles)[number];

export const challengeTypes = ["http-01", "tls-alpn-01", "dns-01"] as const;
export type ChallengeType = (typeof challengeTypes)[number];

export const pages = sqliteTable("pages", {
  id: text("id").primaryKey(),
  name: text("name").notNull(),
  description: text("description"),
  timeZone: text("time_zone").notNull(),
  locale: text("locale").notNull().default("en"),
  supportUrl: text("support_url"),
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
});

/** `name` is what the Host header must say, without a port; `origin` is what absolute URLs begin with. */
export const hosts = sqliteTable(
  "hosts",
  {
    name: text("name").primaryKey(),
    pageId: text("page_id")
      .notNull()
      .references(() => pages.id, { onDelete: "cascade" }),
    origin: text("origin").notNull(),
    purpose: text("purpose", { enum: ["public", "admin"] }).notNull(),
    createdAt: integer("created_at").notNull(),
    /** When it was first served over https by this server. */
    secureSince: integer("secure_since"),
  },
  (t) => [index("hosts_page").on(t.pageId)],
);

/** Certificates and their keys; the chain is public, the key sealed. */
export const certificates = sqliteTable("certificates", {
  id: text("id").primaryKey(),
  /** PEM, the server's own first, without the root. */
  chain: text("chain").notNull(),
  privateKey: sealed("private_key").notNull(),
  /** Host names, * included, as JSON. */
  names: text("names", { mode: "json" }).$type<string[]>().notNull(),
  issuer: text("issuer").notNull(),
  notBefore: integer("not_before").notNull(),
  notAfter: integer("not_after").notNull(),
  createdAt: integer("created_at").notNull(),
  /** The ACME directory that it was ordered from; null for one that a person brought. */
  directory: text("directory"),
  /** How the authority knows it in its renewal information (RFC 9773, 4.1). */
  renewalId: text("renewal_id"),
  /** When the next one is ordered: drawn once, and again when the authority moves its window. */
  renewAt: integer("renew_at"),
  /** The authority's window as it was last told, "start/end" in UTC milliseconds. */
  renewalWindow: text("renewal_window"),
  /** When the authority is asked for its window again. */
  askWindowAt: integer("ask_window_at"),
});

/** One account with each ACME directory. The key comes first, the account's URL when the authority knows it. */
export const acmeAccounts = sqliteTable("acme_accounts", {
  directory: text("directory").primaryKey(),
  privateKey: sealed("private_key").notNull(),
  url: text("url"),
  /** The address that the authority was told. */
  contact: sealed("contact"),
  /** When it was registered, as JSON: authorities limit how often. */
  registeredAt: text("registered_at", { mode: "json" }).$type<number[]>().notNull(),
  createdAt: integer("created_at").notNull(),
});

/**
 * Orders of certificates, open and ended: what is under way survives a crash, and what was asked of an authority in the
 * past days is counted against its limits.
 */
export const acmeOrders = sqliteTable(
  "acme_orders",
  {
    id: text("id").primaryKey(),
    /** A host's name, or a wildcard over hosts. */
    name: text("name").notNull(),
    /** The registered domain that it belongs to: authorities count by it. */
    domain: text("domain").notNull(),
    directory: text("directory").notNull(),
    /** A test's certificate is thrown away. */
    purpose: text("purpose", { enum: ["serve", "test"] }).notNull(),
    /** Dropped: nobody wanted it any more, which is no failure. */
    state: text("state", { enum: ["open", "done", "failed", "dropped"] }).notNull(),
    /** The key of the certificate to be; made before anything is asked, gone when the order ends. */
    privateKey: sealed("private_key"),
    /** Null until the authority has answered. */
    url: text("url"),
    openedAt: integer("opened_at"),
    /** How often the authority was asked to open it: a crash may hide its answer. */
    asked: integer("asked").notNull(),
    /** The certificate that it replaces, by its renewal id (RFC 9773, 5). */
    replaces: text("replaces"),
    /** The row number of the newest certificate of all when it began: one that came later may make it needless. */
    begunAfter: integer("begun_after"),
    challenge: text("challenge", { enum: challengeTypes }),
    token: text("token"),
    /** What the authority reads at the token (RFC 8555, 8.1). */
    keyAuthorization: text("key_authorization"),
    /** Failures in a row that may pass by themselves, and when the order is gone on with. */
    stumbles: integer("stumbles").notNull(),
    goOnAt: integer("go_on_at").notNull(),
    /** What the authority, or the network, said last: the problem's type without its prefix, and its words. */
    problem: text("problem"),
    detail: text("detail"),
    /** Until when the authority wants to be left alone with the name. */
    leaveUntil: integer("leave_until"),
    /** When its certificate was asked for, or had by a slow clock, whatever became of it: authorities count it. */
    issuedAt: integer("issued_at"),
    /** How long that lives, in milliseconds, also where it couldn't be served. */
    lifeMs: integer("life_ms"),
    certificateId: text("certificate_id"),
    createdAt: integer("created_at").notNull(),
    endedAt: integer("ended_at"),
  },
  (t) => [
    uniqueIndex("acme_orders_one_open").on(t.name, t.purpose).where(sql`${t.state} = 'open'`),
    index("acme_orders_name").on(t.name, t.createdAt),
    index("acme_orders_domain").on(t.domain, t.endedAt),
    index("acme_orders_created").on(t.createdAt),
  ],
);

/** When an authority was asked to open an order, kept for as long as it may count it. */
export const acmeAsks = sqliteTable(
  "acme_asks",
  {
    directory: text("directory").notNull(),
    at: integer("at").notNull(),
  },
  (t) => [index("acme_asks_directory").on(t.directory, t.at)],
);

/** TXT records that the operator's program was told to put into the DNS, until it has taken them out. */
export const dnsRecords = sqliteTable(
  "dns_records",
  {
    name: text("name").notNull(),
    value: text("value").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.name, t.value] })],
);

/** Settings changed by `candor config set`; a secret one is sealed, any other stands in `value`. */
export const settings = sqliteTable("settings", {
  name: text("name").primaryKey(),
  value: text("value"),
  secret: sealed("secret"),
  updatedAt: integer("updated_at").notNull(),
});

export const members = sqliteTable("members", {
  id: text("id").primaryKey(),
  address: sealed("address").notNull(),
  addressIndex: blob("address_index", { mode: "buffer" }).notNull().unique(),
  name: sealed("name"),
  /** A PHC string of argon2id, sealed; null until the member chooses a password. */
  password: sealed("password"),
  suspendedAt: integer("suspended_at"),
  createdAt: integer("created_at").notNull(),
});

/** A role without a page holds for every page. */
export const memberRoles = sqliteTable(
  "member_roles",
  {
    memberId: text("member_id")
      .notNull()
      .references(() => members.id, { onDelete: "cascade" }),
    role: text("role", { enum: roles }).notNull(),
    pageId: text("page_id").references(() => pages.id, { onDelete: "cascade" }),
  },
  (t) => [uniqueIndex("member_roles_once").on(t.memberId, t.role, t.pageId)],
);

/** `id` is the SHA-256 of the cookie's value, in hex. */
export const sessions = sqliteTable(
  "sessions",
  {
    id: text("id").primaryKey(),
    memberId: text("member_id")
      .notNull()
      .references(() => members.id, { onDelete: "cascade" }),
    expiresAt: integer("expires_at", { mode: "timestamp_ms" }).notNull(),
    createdAt: integer("created_at").notNull(),
    lastSeenAt: integer("last_seen_at").notNull(),
    method: text("method", { enum: ["link", "password"] }).notNull(),
  },
  (t) => [index("sessions_member").on(t.memberId)],
);

export const signInLinks = sqliteTable("sign_in_links", {
  tokenHash: text("token_hash").primaryKey(),
  memberId: text("member_id")
    .notNull()
    .references(() => members.id, { onDelete: "cascade" }),
  createdAt: integer("created_at").notNull(),
  expiresAt: integer("expires_at").notNull(),
  usedAt: integer("used_at"),
});

export const apiTokens = sqliteTable("api_tokens", {
  id: text("id").primaryKey(),
  tokenHash: text("token_hash").notNull().unique(),
  name: text("name").notNull(),
  role: text("role", { enum: roles }).notNull(),
  pageId: text("page_id").references(() => pages.id, { onDelete: "cascade" }),
  createdAt: integer("created_at").notNull(),
  lastUsedAt: integer("last_used_at"),
  revokedAt: integer("revoked_at"),
});

export const componentGroups = sqliteTable(
  "component_groups",
  {
    id: text("id").primaryKey(),
    pageId: text("page_id")
      .notNull()
      .references(() => pages.id, { onDelete: "cascade" }),
    name: text("name").notNull(),
    description: text("description"),
    position: integer("position").notNull(),
    archivedAt: integer("archived_at"),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (t) => [index("component_groups_page").on(t.pageId)],
);

export const components = sqliteTable(
  "components",
  {
    id: text("id").primaryKey(),
    pageId: text("page_id")
      .notNull()
      .references(() => pages.id, { onDelete: "cascade" }),
    groupId: text("group_id").references(() => componentGroups.id, { onDelete: "set null" }),
    name: text("name").notNull(),
    description: text("description"),
    status: text("status", { enum: componentStatuses }).notNull().default("operational"),
    position: integer("position").notNull(),
    showcase: flag("showcase").notNull().default(true),
    onlyShowIfDegraded: flag("only_show_if_degraded").notNull().default(false),
    /** The first day, YYYY-MM-DD in the page's zone, that the component's history speaks of. */
    startDate: text("start_date"),
    archivedAt: integer("archived_at"),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (t) => [index("components_page").on(t.pageId), index("components_group").on(t.groupId)],
);

/** Each change of a component's status; the days of the public page are drawn from these. */
export const statusChanges = sqliteTable(
  "status_changes",
  {
    id: integer("id").primaryKey({ autoIncrement: true }),
    pageId: text("page_id")
      .notNull()
      .references(() => pages.id, { onDelete: "cascade" }),
    componentId: text("component_id")
      .notNull()
      .references(() => components.id, { onDelete: "cascade" }),
    oldStatus: text("old_status", { enum: componentStatuses }).notNull(),
    newStatus: text("new_status", { enum: componentStatuses }).notNull(),
    at: integer("at").notNull(),
  },
  (t) => [index("status_changes_component").on(t.componentId, t.at), index("status_changes_page").on(t.pageId, t.at)],
);

export const incidents = sqliteTable(
  "incidents",
  {
    id: text("id").primaryKey(),
    pageId: text("page_id")
      .notNull()
      .references(() => pages.id, { onDelete: "cascade" }),
    kind: text("kind", { enum: ["incident", "maintenance"] })
      .notNull()
      .default("incident"),
    name: text("name").notNull(),
    status: text("status", { enum: incidentStatuses }).notNull(),
    impact: text("impact", { enum: impacts }).notNull(),
    impactOverride: text("impact_override", { enum: impacts }),
    metadata: text("metadata").notNull().default("{}"),
    backfilled: flag("backfilled").notNull().default(false),
    startedAt: integer("started_at").notNull(),
    monitoringAt: integer("monitoring_at"),
    resolvedAt: integer("resolved_at"),
    scheduledFor: integer("scheduled_for"),
    scheduledUntil: integer("scheduled_until"),
    /** A maintenance that begins, and ends, by the clock; whether its components change with it, and who is told. */
    autoBegin: flag("auto_begin").notNull().default(false),
    autoEnd: flag("auto_end").notNull().default(false),
    autoMaintenance: flag("auto_maintenance").notNull().default(false),
    autoOperational: flag("auto_operational").notNull().default(false),
    tellAtBegin: flag("tell_at_begin").notNull().default(false),
    tellAtEnd: flag("tell_at_end").notNull().default(false),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (t) => [index("incidents_page").on(t.pageId, t.startedAt), index("incidents_open").on(t.pageId, t.resolvedAt)],
);

export const incidentComponents = sqliteTable(
  "incident_components",
  {
    incidentId: text("incident_id")
      .notNull()
      .references(() => incidents.id, { onDelete: "cascade" }),
    componentId: text("component_id")
      .notNull()
      .references(() => components.id, { onDelete: "cascade" }),
  },
  (t) => [
    primaryKey({ columns: [t.incidentId, t.componentId] }),
    index("incident_components_component").on(t.componentId),
  ],
);

export const incidentUpdates = sqliteTable(
  "incident_updates",
  {
    id: text("id").primaryKey(),
    incidentId: text("incident_id")
      .notNull()
      .references(() => incidents.id, { onDelete: "cascade" }),
    pageId: text("page_id")
      .notNull()
      .references(() => pages.id, { onDelete: "cascade" }),
    status: text("status", { enum: incidentStatuses }).notNull(),
    body: text("body").notNull(),
    deliverNotifications: flag("deliver_notifications").notNull(),
    displayAt: integer("display_at").notNull(),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (t) => [index("incident_updates_incident").on(t.incidentId, t.displayAt)],
);

/** What an update did to each component it names; old and new may be the same. */
export const updateComponents = sqliteTable(
  "update_components",
  {
    updateId: text("update_id")
      .notNull()
      .references(() => incidentUpdates.id, { onDelete: "cascade" }),
    componentId: text("component_id")
      .notNull()
      .references(() => components.id, { onDelete: "cascade" }),
    oldStatus: text("old_status", { enum: componentStatuses }).notNull(),
    newStatus: text("new_status", { enum: componentStatuses }).notNull(),
  },
  (t) => [primaryKey({ columns: [t.updateId, t.componentId] })],
);

/** The earlier text of an update that was corrected. */
export const updateRevisions = sqliteTable(
  "update_revisions",
  {
    id: integer("id").primaryKey({ autoIncrement: true }),
    updateId: text("update_id")
      .notNull()
      .references(() => incidentUpdates.id, { onDelete: "cascade" }),
    body: text("body").notNull(),
    replacedAt: integer("replaced_at").notNull(),
  },
  (t) => [index("update_revisions_update").on(t.updateId)],
);

export const subscriberStates = ["unconfirmed", "active", "paused", "quarantined", "unsubscribed"] as const;
export type SubscriberState = (typeof subscriberStates)[number];

/** Whoever has left keeps a row without an address: only the blind index remains, so that nobody signs them up again unasked. */
export const subscribers = sqliteTable(
  "subscribers",
  {
    /** Rises with time, so that an announcement can be expanded in slices by number. */
    seq: integer("seq").primaryKey({ autoIncrement: true }),
    id: text("id").notNull().unique(),
    pageId: text("page_id")
      .notNull()
      .references(() => pages.id, { onDelete: "cascade" }),
    channel: text("channel", { enum: ["email"] }).notNull(),
    address: sealed("address"),
    addressIndex: blob("address_index", { mode: "buffer" }).notNull(),
    state: text("state", { enum: subscriberStates }).notNull(),
    /** True when the subscriber wants every component, those to come included. */
    wholePage: flag("whole_page").notNull(),
    /** Where they came from. */
    source: text("source", { enum: ["form", "api", "cli", "example", "admin"] }).notNull(),
    /** The consent sentence that the person agreed to. */
    consent: text("consent").notNull(),
    createdAt: integer("created_at").notNull(),
    confirmationSentAt: integer("confirmation_sent_at"),
    confirmedAt: integer("confirmed_at"),
    quarantinedAt: integer("quarantined_at"),
    unsubscribedAt: integer("unsubscribed_at"),
  },
  (t) => [
    uniqueIndex("subscribers_address").on(t.pageId, t.channel, t.addressIndex),
    index("subscribers_state").on(t.pageId, t.state, t.seq),
    // Counts the audience of 100,000 without touching a row.
    index("subscribers_audience").on(t.pageId, t.state, t.wholePage),
  ],
);

export const subscriberComponents = sqliteTable(
  "subscriber_components",
  {
    subscriberSeq: integer("subscriber_seq")
      .notNull()
      .references(() => subscribers.seq, { onDelete: "cascade" }),
    componentId: text("component_id")
      .notNull()
      .references(() => components.id, { onDelete: "cascade" }),
  },
  (t) => [
    primaryKey({ columns: [t.subscriberSeq, t.componentId] }),
    index("subscriber_components_component").on(t.componentId, t.subscriberSeq),
  ],
);

/** How many confirmation letters an address was sent; outlives the subscriber, so that list bombing stays bounded. */
export const confirmationCounts = sqliteTable(
  "confirmation_counts",
  {
    pageId: text("page_id")
      .notNull()
      .references(() => pages.id, { onDelete: "cascade" }),
    addressIndex: blob("address_index", { mode: "buffer" }).notNull(),
    sent: integer("sent").notNull(),
    lastSentAt: integer("last_sent_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.pageId, t.addressIndex] })],
);

/** The decision to tell people about one update. `cursor` is the last subscriber number that was expanded. */
export const announcements = sqliteTable(
  "announcements",
  {
    id: integer("id").primaryKey({ autoIncrement: true }),
    pageId: text("page_id")
      .notNull()
      .references(() => pages.id, { onDelete: "cascade" }),
    updateId: text("update_id")
      .notNull()
      .references(() => incidentUpdates.id, { onDelete: "cascade" }),
    state: text("state", { enum: ["expanding", "expanded", "held", "dropped"] }).notNull(),
    /** Why it is held, in words for the publisher. */
    reason: text("reason"),
    audience: integer("audience").notNull(),
    cursor: integer("cursor").notNull().default(0),
    /** The highest subscriber number at the time of the decision: who comes later isn't told about the past. */
    lastSeq: integer("last_seq").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [index("announcements_state").on(t.state), index("announcements_page").on(t.pageId, t.createdAt)],
);

export const deliveryStates = [
  "queued",
  "leased",
  "sent",
  "kept",
  "deferred",
  "bounced",
  "suppressed",
  "superseded",
  "held",
] as const;
export type DeliveryState = (typeof deliveryStates)[number];

/**
 * One letter to one person: the queue while it waits, the ledger afterwards. `kind` says which letter; a letter about
 * an update names its announcement, a confirmation its subscriber, a sign-in or test letter carries its address.
 * `kept` is a letter written while no mail server was configured: it can be read in the admin and was sent to nobody.
 */
export const deliveries = sqliteTable(
  "deliveries",
  {
    id: integer("id").primaryKey({ autoIncrement: true }),
    pageId: text("page_id")
      .notNull()
      .references(() => pages.id, { onDelete: "cascade" }),
    kind: text("kind", { enum: ["update", "confirmation", "test"] }).notNull(),
    announcementId: integer("announcement_id").references(() => announcements.id, { onDelete: "cascade" }),
    subscriberSeq: integer("subscriber_seq").references(() => subscribers.seq, { onDelete: "cascade" }),
    /** The recipient of a test letter. */
    address: sealed("address"),
    state: text("state", { enum: deliveryStates }).notNull(),
    attempts: integer("attempts").notNull().default(0),
    nextAttemptAt: integer("next_attempt_at").notNull(),
    leasedUntil: integer("leased_until"),
    sentAt: integer("sent_at"),
    /** The server's last words, sealed: servers like to repeat the address. */
    reply: sealed("reply"),
    createdAt: integer("created_at").notNull(),
  },
  (t) => [
    uniqueIndex("deliveries_once").on(t.announcementId, t.subscriberSeq),
    index("deliveries_due").on(t.state, t.nextAttemptAt),
    index("deliveries_subscriber").on(t.subscriberSeq),
    index("deliveries_page").on(t.pageId, t.id),
  ],
);

/** The whole text of a letter that was kept, sealed under its delivery. */
export const keptLetters = sqliteTable("kept_letters", {
  deliveryId: integer("delivery_id")
    .primaryKey()
    .references(() => deliveries.id, { onDelete: "cascade" }),
  letter: sealed("letter").notNull(),
});

export const auditEntries = sqliteTable(
  "audit_entries",
  {
    id: integer("id").primaryKey({ autoIncrement: true }),
    at: integer("at").notNull(),
    pageId: text("page_id"),
    actorKind: text("actor_kind", {
      enum: ["member", "token", "operator", "subscriber", "system", "stranger"],
    }).notNull(),
    actorId: text("actor_id"),
    action: text("action").notNull(),
    subject: text("subject"),
    detail: text("detail"),
  },
  (t) => [index("audit_entries_at").on(t.at)],
);
