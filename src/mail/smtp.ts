/**
 * One connection to the mail server, on nodemailer's SMTP client: encrypted, verified and signed in as the settings say,
 * or not at all.
 */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import type SmtpConnection from "nodemailer/lib/smtp-connection";
import type { SMTPConnectionOptions } from "nodemailer/lib/smtp-connection";
import type { Relay } from "./relay.ts";
import { plainWords, Unreachable } from "./replies.ts";

const connectMs = 15_000;
const greetingMs = 15_000;
const socketMs = 60_000;

export type Connection = SmtpConnection;

/** @throws Unreachable with the server's or the system's words */
export async function openConnection(relay: Relay): Promise<Connection> {
  // Brings node's TLS along, which no visitor should wait for at the start.
  const { default: Client } = await import("nodemailer/lib/smtp-connection");
  const connection = new Client(connectionOptions(relay));
  try {
    await new Promise<void>((resolve, reject) => {
      connection.once("error", reject);
      connection.once("end", () => reject(new Unreachable("The mail server closed the connection.")));
      connection.connect((error) => (error ? reject(error) : resolve()));
    });
    if (relay.signIn) await signIn(connection, relay, relay.signIn);
  } catch (error) {
    connection.on("error", () => {});
    connection.close();
    throw error;
  }
  connection.removeAllListeners("error");
  connection.removeAllListeners("end");
  return connection;
}

async function signIn(
  connection: SmtpConnection,
  relay: Relay,
  given: { user: string; password: string },
): Promise<void> {
  // With TLS optional somebody on the road can strip it; the password isn't theirs to have.
  if (!connection.secure && !relay.loopback) {
    throw new Unreachable("The mail server offers no TLS, and the password isn't sent in clear.");
  }
  if (!connection.allowsAuth)
    throw new Unreachable("The mail server takes no sign-in. Leave user and password out of mail.smtp_url.");
  await new Promise<void>((resolve, reject) => {
    connection.once("error", reject);
    connection.once("end", () => reject(new Unreachable("The mail server closed the connection at sign-in.")));
    connection.login({ user: given.user, pass: given.password }, (error) => (error ? reject(error) : resolve()));
  });
}

function connectionOptions(relay: Relay): SMTPConnectionOptions {
  let ca: Buffer | undefined;
  if (relay.caFile !== undefined) {
    try {
      ca = readFileSync(relay.caFile);
    } catch (error) {
      throw new Unreachable(`The file of mail.ca_file can't be read (${(error as NodeJS.ErrnoException).code}).`);
    }
  }
  return {
    host: relay.host,
    port: relay.port,
    secure: relay.implicitTls,
    requireTLS: relay.tls === "required" && !relay.loopback && !relay.implicitTls,
    connectionTimeout: connectMs,
    greetingTimeout: greetingMs,
    dnsTimeout: connectMs,
    socketTimeout: socketMs,
    socketCloseTimeout: 2_000,
    tls: {
      minVersion: "TLSv1.2",
      ...(isIP(relay.host) ? {} : { servername: relay.host }),
      ...(ca ? { ca } : {}),
      rejectUnauthorized: isVerified(relay),
    },
  };
}

/** A mail server on this machine usually has a self-signed certificate, and might as well be spoken to in clear. */
function isVerified(relay: Relay): boolean {
  return !relay.loopback || relay.caFile !== undefined;
}

export type RelayCheck =
  | { outcome: "reached"; encrypted: boolean; verified: boolean; signedIn: boolean }
  | { outcome: "unreachable"; reply: string };

/** Connects, signs in and says goodbye, for `candor mail test`. */
export async function checkRelay(relay: Relay): Promise<RelayCheck> {
  try {
    const connection = await openConnection(relay);
    connection.on("error", () => {});
    const { secure: encrypted, authenticated: signedIn } = connection;
    connection.quit();
    return { outcome: "reached", encrypted, verified: encrypted && isVerified(relay), signedIn };
  } catch (error) {
    return { outcome: "unreachable", reply: plainWords(error) };
  }
}
