/** What the settings say about the mail server, read anew whenever a connection is made. */
import { isIP } from "node:net";
import type { Config } from "../config.ts";

export type Relay = {
  host: string;
  port: number;
  /** TLS from the first byte (smtps). */
  implicitTls: boolean;
  tls: "required" | "optional";
  /** The server is this machine: what goes to it crosses no network. */
  loopback: boolean;
  caFile: string | undefined;
  signIn: { user: string; password: string } | undefined;
};

/** @returns undefined when no mail server is configured, so that letters are kept */
export function readRelay(config: Config): Relay | undefined {
  const given = config.text("mail.smtp_url");
  if (given === "") return undefined;
  const url = new URL(given);
  const host = url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  const implicitTls = url.protocol === "smtps:";
  const user = decode(url.username);
  return {
    host,
    port: url.port === "" ? (implicitTls ? 465 : 587) : Number(url.port),
    implicitTls,
    tls: config.text("mail.tls") === "optional" ? "optional" : "required",
    loopback: isLoopback(host),
    caFile: config.text("mail.ca_file") || undefined,
    signIn: user === "" ? undefined : { user, password: decode(url.password) },
  };
}

/** Changes when a setting does that a connection depends on. Cheap enough to ask before each letter; holds the password. */
export function relayKey(config: Config): string {
  return `${config.text("mail.smtp_url")}\n${config.text("mail.tls")}\n${config.text("mail.ca_file")}`;
}

function isLoopback(host: string): boolean {
  if (isIP(host) === 4) return host.startsWith("127.");
  return host === "localhost" || host === "::1";
}

/** A password with a bare % is taken as it stands. */
function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
