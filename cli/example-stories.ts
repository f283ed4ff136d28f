/**
 * What happened at the example's company. Minutes count from the beginning of a story; `{+45}` in a text becomes the time
 * of day 45 minutes after its update. Parts that a story touched are operational again with its last update.
 */
import type { ComponentStatus } from "../src/schema.ts";

export type Telling = { after: number; status: string; body: string; parts?: Record<string, ComponentStatus> };
export type Tale = {
  title: string;
  updates: Telling[];
  concerns?: string[];
  impact?: "none";
  planned?: { from: number; until: number };
};
/** `at` is the time of day in the page's zone. */
export type PastTale = Tale & { daysAgo: number; at: string };
/** `begun` is minutes before now. */
export type OpenTale = Tale & { begun: number };

const degraded = "degraded_performance" as const;
const partial = "partial_outage" as const;
const major = "major_outage" as const;
const planned = "under_maintenance" as const;

/** Announced `days` before, worked on from minute 0 until `until`. */
function maintenance(
  part: string,
  words: { announced: string; begun: string; done: string; days: number; until: number },
) {
  const { announced, begun, done, days, until } = words;
  return {
    concerns: [part],
    planned: { from: 0, until },
    updates: [
      { after: -days * 1440, status: "scheduled", body: announced },
      { after: 0, status: "in_progress", body: begun, parts: { [part]: planned } },
      { after: until - 12, status: "completed", body: done },
    ],
  };
}

export const openTales: OpenTale[] = [
  {
    begun: 134,
    title: "Uploads to object storage fail in eu-west",
    updates: [
      {
        after: 0,
        status: "investigating",
        body: "About a third of uploads to buckets in eu-west fail with a 503. Reading works. We look for the cause and write again by {+30}.",
        parts: { "Object storage": partial },
      },
      {
        after: 27,
        status: "identified",
        body: "One of the three storage clusters in eu-west refuses writes since its index filled a disk. We move its index to larger disks, which takes about two hours. Until then, **retry failed uploads**: two of three attempts reach a healthy cluster.\n\nNothing that was stored is lost. Next word by {+60}.",
        parts: { "Object storage": partial },
      },
      {
        after: 71,
        status: "identified",
        body: "40 % of the index has moved. Nightly backups in eu-west write to the same cluster, so those due now start late; none is skipped. Next word by {+45}.",
        parts: { Backups: degraded },
      },
      {
        after: 112,
        status: "identified",
        body: "75 % has moved, and failures are down from a third of uploads to one in ten. We expect all writes to work by {+50} and write again then.",
      },
    ],
  },
  {
    begun: 47,
    title: "Webhooks arrive up to ten minutes late",
    updates: [
      {
        after: 0,
        status: "investigating",
        body: "Webhooks wait up to ten minutes before they are sent. None is lost, and they keep their order. Next word by {+30}.",
        parts: { Webhooks: degraded },
      },
      {
        after: 24,
        status: "identified",
        body: "One customer’s receiver answers after 30 seconds instead of at once, and its queue held up others. We gave it a queue of its own; the backlog is going down. Next word by {+30}.",
      },
    ],
  },
  {
    begun: 74,
    title: "Custom domains get their certificates late",
    updates: [
      {
        after: 0,
        status: "investigating",
        body: "A new custom domain waits up to an hour for its certificate. Domains that have one are fine. Next word by {+30}.",
        parts: { "Custom domains": degraded },
      },
      {
        after: 31,
        status: "monitoring",
        body: "Our certificate authority slowed us down; orders go to a second one now. New domains get theirs within two minutes again. We watch it and write by {+60}.",
      },
    ],
  },
  {
    begun: 35,
    title: "Managed Redis moves to new hardware",
    concerns: ["Managed Redis"],
    planned: { from: 0, until: 120 },
    updates: [
      {
        after: -6 * 1440,
        status: "scheduled",
        body: "We move all Redis instances to new machines. Each is unreachable for up to 30 seconds once; clients that reconnect notice a pause. You need to do nothing.",
      },
      {
        after: 0,
        status: "in_progress",
        body: "The move has begun. Instances go one by one, oldest first.",
        parts: { "Managed Redis": planned },
      },
    ],
  },
];

/** In `daysAhead` days at `at`. */
export const upcomingTale: Tale & { daysAhead: number; at: string } = {
  daysAhead: 3,
  at: "02:00",
  title: "Managed Postgres: minor version upgrade",
  concerns: ["Managed Postgres"],
  planned: { from: 0, until: 120 },
  updates: [
    {
      after: 0,
      status: "scheduled",
      body: "We bring all Postgres instances to the latest minor version. Each restarts once and is unreachable for about 20 seconds. Instances with a standby fail over instead, which takes 5 seconds.\n\nTo choose your own moment before that, press **Upgrade now** on the instance’s page.",
    },
  ],
};

export const pastTales: PastTale[] = [
  {
    daysAgo: 88,
    at: "03:00",
    title: "Edge network: certificates are renewed",
    ...maintenance("Edge network", {
      announced:
        "We renew the edge network’s certificates, city by city. You should notice nothing. If you pin our intermediate certificate, add the new one from our documentation before.",
      begun: "The renewal has begun.",
      done: "All 14 cities serve the new certificates.",
      days: 7,
      until: 60,
    }),
  },
  {
    daysAgo: 85,
    at: "10:20",
    title: "The dashboard loads slowly",
    updates: [
      {
        after: 0,
        status: "investigating",
        body: "Pages of the dashboard take up to 15 seconds. The API and what you run aren’t affected. Next word by {+30}.",
        parts: { Dashboard: degraded },
      },
      {
        after: 22,
        status: "identified",
        body: "A query on the start page reads far more than it needs since this morning’s release. We are taking the release back.",
      },
      {
        after: 38,
        status: "resolved",
        body: "The release is back out and pages load in under a second again. The query gets its missing index before it returns.",
      },
    ],
  },
  {
    daysAgo: 81,
    at: "14:05",
    title: "Builds fail while they fetch base images",
    updates: [
      {
        after: 0,
        status: "investigating",
        body: 'Most builds fail with "image not found". Apps that run go on running; only new deploys are affected. Next word by {+30}.',
        parts: { "Builds and deploys": partial },
      },
      {
        after: 31,
        status: "identified",
        body: "Our mirror of public images lost its upstream credentials when they were rotated. We put the new ones in place.",
      },
      {
        after: 55,
        status: "monitoring",
        body: "Builds succeed again. We watch them for half an hour.",
        parts: { "Builds and deploys": "operational" },
      },
      {
        after: 88,
        status: "resolved",
        body: "All builds since {-30} succeeded. Please start those again that failed; they aren’t repeated by themselves.",
      },
    ],
  },
  {
    daysAgo: 78,
    at: "08:40",
    title: "Logs arrive late",
    updates: [
      {
        after: 0,
        status: "identified",
        body: "Logs reach your log service up to 20 minutes late, after an upgrade halved the number of senders. None is lost. We add senders now.",
        parts: { "Log delivery": degraded },
      },
      { after: 64, status: "resolved", body: "The backlog is delivered, and logs arrive within seconds again." },
    ],
  },
  {
    daysAgo: 74,
    at: "12:15",
    title: "E-mail to one large provider is delayed",
    updates: [
      {
        after: 0,
        status: "investigating",
        body: "A large mailbox provider accepts our mail only slowly. Letters to it are up to an hour late; letters to everybody else aren’t affected.",
        parts: { "Outgoing e-mail": degraded },
      },
      {
        after: 95,
        status: "monitoring",
        body: "The provider limited one of our addresses after a customer’s account was abused. We closed the account and moved everybody else to other addresses. Delays are under five minutes now.",
      },
      {
        after: 210,
        status: "resolved",
        body: "No letter waits longer than a minute. All delayed letters were delivered.",
      },
    ],
  },
  {
    daysAgo: 70,
    at: "19:30",
    title: "Apps in us-east restart",
    updates: [
      {
        after: 0,
        status: "investigating",
        body: "About one in five apps in us-east restarted and was unreachable for a minute or two. We look for the cause. Next word by {+20}.",
        parts: { "Apps in us-east": partial },
      },
      {
        after: 18,
        status: "identified",
        body: "A rack lost one of its two power feeds, and its machines didn’t all survive the switch. Apps were started elsewhere. We leave that rack empty until it is repaired.",
      },
      {
        after: 41,
        status: "resolved",
        body: "Every app runs on a healthy machine. Apps with two instances or more were never down, because we never put both in one rack.",
      },
    ],
  },
  {
    daysAgo: 66,
    at: "04:00",
    title: "Managed Redis: version upgrade",
    ...maintenance("Managed Redis", {
      announced: "Redis instances are upgraded one by one. Each is unreachable for up to 30 seconds.",
      begun: "The upgrade has begun.",
      done: "All instances run the new version.",
      days: 5,
      until: 90,
    }),
  },
  {
    daysAgo: 63,
    at: "09:10",
    title: "Search finds nothing that is newer than an hour",
    updates: [
      {
        after: 0,
        status: "investigating",
        body: "What was added within the last hour doesn’t show in search. Older results are right. Next word by {+45}.",
        parts: { Search: degraded },
      },
      {
        after: 40,
        status: "identified",
        body: "The indexer stopped on a document that it couldn’t read and waited. It now sets such documents aside and goes on.",
      },
      { after: 70, status: "resolved", body: "The index has caught up. The document that stopped it belonged to us." },
    ],
  },
  {
    daysAgo: 60,
    at: "06:50",
    title: "Downloads of the command-line tool are slow in Asia",
    updates: [
      {
        after: 0,
        status: "identified",
        body: "From parts of Asia our tool downloads at a few kB a second, because a carrier sends traffic to Singapore by way of Europe. We told them. The mirror in the installation guide is fast.",
        parts: { "CLI downloads": degraded },
      },
      { after: 300, status: "resolved", body: "The carrier repaired its routes. Downloads are as fast as before." },
    ],
  },
  {
    daysAgo: 55,
    at: "13:05",
    title: "Nobody can sign in",
    updates: [
      {
        after: 0,
        status: "investigating",
        body: "Sign-in fails for everybody, by every method. What you run isn’t affected, and API tokens work. Next word by {+15}.",
        parts: { "Sign-in": major, Dashboard: partial },
      },
      {
        after: 14,
        status: "identified",
        body: "The certificate between our sign-in service and its database ran out at 13:00. A new one is being rolled out. Next word by {+15}.",
      },
      {
        after: 29,
        status: "monitoring",
        body: "Sign-in works again. We watch it for half an hour.",
        parts: { "Sign-in": degraded, Dashboard: "operational" },
      },
      {
        after: 62,
        status: "resolved",
        body: "Sign-in works for everybody since {-33}. The certificate was one of two that our expiry alarm didn’t know. It knows them both now, and we look for others.",
      },
    ],
  },
  {
    daysAgo: 52,
    at: "16:30",
    title: "Some webhooks are sent twice",
    updates: [
      {
        after: 0,
        status: "identified",
        body: "Since 16:10 about 2 % of webhooks are sent twice, with the same `id`. Receivers that check the `id` notice nothing. We are taking today’s change to retries back.",
        parts: { Webhooks: degraded },
      },
      { after: 25, status: "resolved", body: "Each webhook is sent once again. 3,180 were sent twice." },
    ],
  },
  {
    daysAgo: 48,
    at: "11:00",
    title: "Reports of failing DNS lookups",
    concerns: ["DNS"],
    impact: "none",
    updates: [
      {
        after: 0,
        status: "investigating",
        body: "Three customers can’t resolve their domains. We see nothing wrong on our side and look at what they have in common. Next word by {+30}.",
      },
      {
        after: 26,
        status: "resolved",
        body: "A false alarm on our side: all three use one internet provider whose resolvers failed from 10:40 to 11:15. Our name servers answered every question throughout.",
      },
    ],
  },
  {
    daysAgo: 45,
    at: "07:45",
    title: "New custom domains get no certificate",
    updates: [
      {
        after: 0,
        status: "investigating",
        body: "Domains added since midnight are served without a certificate, so browsers warn. Domains that were added before aren’t affected. Next word by {+45}.",
        parts: { "Custom domains": partial },
      },
      {
        after: 40,
        status: "identified",
        body: "The authority that we get certificates from is down. We switch new domains to our second one.",
      },
      {
        after: 75,
        status: "monitoring",
        body: "New domains get their certificate within a minute again, from the second authority.",
        parts: { "Custom domains": degraded },
      },
      {
        after: 190,
        status: "resolved",
        body: "All 212 domains that waited have their certificate. The switch is automatic from now on.",
      },
    ],
  },
  {
    daysAgo: 41,
    at: "02:20",
    title: "Background jobs start late",
    updates: [
      {
        after: 0,
        status: "investigating",
        body: "Scheduled jobs start up to six minutes late. They all run. Next word by {+40}.",
        parts: { "Background jobs": degraded },
      },
      {
        after: 37,
        status: "identified",
        body: "Many schedules say 02:00, and one more large customer’s did since today. We spread the start within the minute and add workers for the night.",
      },
      { after: 58, status: "resolved", body: "Jobs start within five seconds of their time." },
    ],
  },
  {
    daysAgo: 38,
    at: "03:30",
    title: "Network equipment is replaced in eu-west",
    ...maintenance("Apps in eu-west", {
      announced:
        "We replace two switches in eu-west, one after the other. Traffic takes the other path meanwhile; expect a few seconds with lost packets, twice.",
      begun: "The first switch is being replaced.",
      done: "Both switches are in place. Packets were lost for 4 and for 3 seconds.",
      days: 10,
      until: 100,
    }),
  },
  {
    daysAgo: 35,
    at: "15:40",
    title: "Postgres instances in eu-west are read-only",
    updates: [
      {
        after: 0,
        status: "investigating",
        body: "About 40 Postgres instances in eu-west refuse to write. Reading works. Next word by {+15}.",
        parts: { "Managed Postgres": partial },
      },
      {
        after: 11,
        status: "monitoring",
        body: "A storage server failed, and its instances waited for a lock that the failed server held. We released it by hand; writes work again since {-2}.",
        parts: { "Managed Postgres": degraded },
      },
      {
        after: 66,
        status: "resolved",
        body: "All instances write. Nothing that was committed is lost. A failover should have taken 5 seconds and took 11 minutes: we will publish here why, and what we change, within a week.",
      },
    ],
  },
  {
    daysAgo: 31,
    at: "09:55",
    title: "The API limits some clients too early",
    updates: [
      {
        after: 0,
        status: "identified",
        body: "Clients behind IPv6 are counted together by network and get 429 answers that they shouldn’t. We are correcting the count.",
        parts: { "Public API": degraded },
      },
      {
        after: 33,
        status: "resolved",
        body: "Each client is counted by itself again. If you got 429 between 09:30 and now, you did nothing wrong.",
      },
    ],
  },
  {
    daysAgo: 28,
    at: "17:15",
    title: "Autoscaling reacts late",
    updates: [
      {
        after: 0,
        status: "investigating",
        body: "New instances are added five minutes after the load rises, instead of within 30 seconds. If you expect a peak, raise the minimum by hand. Next word by {+30}.",
        parts: { Autoscaling: degraded },
      },
      {
        after: 28,
        status: "identified",
        body: "The measurements that scaling is decided on arrive late since a database of ours is rebuilding. We read them from its copy instead.",
      },
      { after: 49, status: "resolved", body: "Instances are added within 30 seconds again." },
    ],
  },
  {
    daysAgo: 25,
    at: "20:10",
    title: "Downloads from object storage are slow",
    updates: [
      {
        after: 0,
        status: "investigating",
        body: "Downloads in us-east take three times as long as usual, and about 1 % end early. Next word by {+30}.",
        parts: { "Object storage": partial },
      },
      {
        after: 29,
        status: "identified",
        body: "A cache in front of storage was emptied by mistake during a clean-up, so every download goes to the disks. It fills again by itself; we slow our own jobs down to leave it room.",
      },
      {
        after: 70,
        status: "monitoring",
        body: "Downloads end as they should, and are nearly as fast as usual.",
        parts: { "Object storage": degraded },
      },
      {
        after: 130,
        status: "resolved",
        body: "Downloads are as fast as before. The clean-up now asks before it touches a cache that is in use.",
      },
    ],
  },
  {
    daysAgo: 21,
    at: "08:05",
    title: "The dashboard shows yesterday’s usage",
    updates: [
      {
        after: 0,
        status: "identified",
        body: "Usage graphs end at midnight. Bills are made from other numbers and aren’t affected. We run the night’s count again.",
        parts: { Dashboard: degraded },
      },
      { after: 52, status: "resolved", body: "The graphs are complete again." },
    ],
  },
  {
    daysAgo: 18,
    at: "05:30",
    title: "Backups of large databases end late",
    updates: [
      {
        after: 0,
        status: "identified",
        body: "Backups of databases over 500 GB take longer than the night. Each still ends, and restoring works. We give them more bandwidth from tonight.",
        parts: { Backups: degraded },
      },
      { after: 260, status: "resolved", body: "All backups of the night are complete." },
    ],
  },
  {
    daysAgo: 14,
    at: "18:25",
    title: "The edge network drops connections in Frankfurt",
    updates: [
      {
        after: 0,
        status: "investigating",
        body: "Visitors who reach us through Frankfurt see about one in six connections fail. Other cities aren’t affected. Next word by {+15}.",
        parts: { "Edge network": partial },
      },
      {
        after: 9,
        status: "monitoring",
        body: "We took Frankfurt out of service; its visitors reach Amsterdam and Zurich, about 8 ms further. No connection fails any more.",
        parts: { "Edge network": degraded },
      },
      {
        after: 205,
        status: "resolved",
        body: "A line card was broken and is replaced. Frankfurt serves again since {-20}, without errors.",
      },
    ],
  },
  {
    daysAgo: 11,
    at: "02:00",
    title: "Managed Postgres: storage is extended",
    ...maintenance("Managed Postgres", {
      announced:
        "We add disks to the storage of Managed Postgres. Writes may be slower for some minutes; nothing is interrupted.",
      begun: "The disks are being added.",
      done: "The storage is extended. Writes were up to 20 ms slower for six minutes.",
      days: 4,
      until: 60,
    }),
  },
  {
    daysAgo: 8,
    at: "15:50",
    title: "Builds wait up to twenty minutes",
    updates: [
      {
        after: 0,
        status: "investigating",
        body: "Builds wait up to twenty minutes before they start. Once started they run as fast as usual. Next word by {+30}.",
        parts: { "Builds and deploys": degraded },
      },
      {
        after: 24,
        status: "identified",
        body: "Half of the build machines don’t come back after their nightly clean-up, because a disk isn’t released. We restart them.",
      },
      { after: 51, status: "resolved", body: "All machines build, and nothing waits." },
    ],
  },
  {
    daysAgo: 5,
    at: "10:40",
    title: "Webhooks to some servers fail",
    updates: [
      {
        after: 0,
        status: "investigating",
        body: "Webhooks to servers that only speak TLS 1.2 fail since this morning’s update. They are kept and will be sent. Next word by {+30}.",
        parts: { Webhooks: degraded },
      },
      {
        after: 21,
        status: "monitoring",
        body: "The update is taken back. Kept webhooks are being sent, oldest first.",
      },
      {
        after: 48,
        status: "resolved",
        body: "All kept webhooks were sent, the last at {-5}. The update comes back once it speaks TLS 1.2 too.",
      },
    ],
  },
  {
    daysAgo: 2,
    at: "09:25",
    title: "Sign-in with Google is slow",
    updates: [
      {
        after: 0,
        status: "identified",
        body: "Signing in with Google takes up to 20 seconds, because Google answers us slowly. Passwords and single sign-on aren’t affected.",
        parts: { "Sign-in": degraded },
      },
      { after: 44, status: "resolved", body: "Google answers as fast as usual again." },
    ],
  },
];
