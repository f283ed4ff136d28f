/** The company of the living example: its parts and its readers. Invented; every address is under example.com. */

export const company = {
  name: "Northwind Cloud",
  description: "App hosting, databases and storage for small teams.",
  timeZone: "Europe/London",
  owner: "owner@example.com",
  publisher: "publisher@example.com",
};

export const groups: { name: string; description: string; parts: { name: string; description?: string }[] }[] = [
  {
    name: "Console and API",
    description: "How you manage what you run",
    parts: [
      { name: "Dashboard", description: "console.northwind.example" },
      { name: "Sign-in", description: "Passwords, Google and single sign-on" },
      { name: "Public API" },
      { name: "CLI downloads" },
    ],
  },
  {
    name: "Compute",
    description: "Where your code runs",
    parts: [
      { name: "Apps in eu-west", description: "Dublin" },
      { name: "Apps in us-east", description: "Virginia" },
      { name: "Builds and deploys" },
      { name: "Background jobs", description: "Scheduled and queued work" },
      { name: "Autoscaling" },
    ],
  },
  {
    name: "Data",
    description: "Where your data lies",
    parts: [
      { name: "Managed Postgres" },
      { name: "Managed Redis" },
      { name: "Object storage", description: "Buckets, and the links to what is in them" },
      { name: "Backups" },
      { name: "Search" },
    ],
  },
  {
    name: "Network and messages",
    description: "How the world reaches you, and you it",
    parts: [
      { name: "Edge network", description: "TLS, caching and routing in 14 cities" },
      { name: "DNS" },
      { name: "Custom domains", description: "And their certificates" },
      { name: "Outgoing e-mail" },
      { name: "Webhooks" },
      { name: "Log delivery" },
    ],
  },
];

/** Who wants what; no parts means the whole page. */
export const readers: { address: string; parts: string[] }[] = [
  ...["ada", "alan", "annie", "barbara", "chidi", "claude", "dorothy", "edsger", "elena", "emmy", "farid", "frances"],
  ...["grace", "hedy", "ines", "jean", "joan", "kateryna", "ken", "lars", "leslie", "margaret", "mei", "niklaus"],
].map((name) => ({ address: `${name}@example.com`, parts: [] as string[] }));
readers.push(
  { address: "storage-alerts@example.com", parts: ["Object storage", "Backups"] },
  { address: "dba@example.com", parts: ["Managed Postgres", "Managed Redis", "Backups"] },
  { address: "platform@example.com", parts: ["Apps in eu-west", "Apps in us-east", "Autoscaling"] },
  { address: "releases@example.com", parts: ["Builds and deploys", "CLI downloads"] },
  { address: "integrations@example.com", parts: ["Webhooks", "Public API"] },
  { address: "helpdesk@example.com", parts: ["Dashboard", "Sign-in"] },
  { address: "newsletter-team@example.com", parts: ["Outgoing e-mail"] },
  { address: "webmaster@example.com", parts: ["Edge network", "DNS", "Custom domains"] },
  { address: "soc@example.com", parts: ["Sign-in", "Log delivery"] },
  { address: "search-squad@example.com", parts: ["Search"] },
  { address: "cron-watch@example.com", parts: ["Background jobs"] },
  { address: "olu@example.com", parts: ["Managed Redis"] },
  { address: "priya@example.com", parts: ["Object storage"] },
  { address: "rosa@example.com", parts: ["Object storage", "Webhooks"] },
  { address: "sam@example.com", parts: ["Managed Postgres"] },
  { address: "yusuf@example.com", parts: ["Webhooks"] },
);

/** Readers who have left, and one whose mail bounced: what an operator meets in a real list. */
export const gone = ["jean@example.com", "sam@example.com"];
export const bounced = "ken@example.com";
