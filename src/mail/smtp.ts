/**
 * The road to the mail server, on nodemailer's SMTP connection: connections are kept open between letters, verified, and
 * closed when idle. Whoever calls bounds how many letters are under way at once.
 */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import SmtpConnection, { type SMTPConnectionOptions } from "nodemailer/lib/smtp-connection";
import { parseAddress } from "./address.ts";
import type { Relay } from "./relay.ts";
import {
  isConnectionTrouble,
  judgeRefusal,
  plainWords,
  type SendOutcome,
  type SmtpFault,
  Unreachable,
} from "./replies.ts";

const connectMs = 15_000;
const greetingMs = 15_000;
const socketMs = 60_000;
const idleMs = 10_000;

export type Envelope = { from: string; to: string };

export type Pool = {
  relay: Relay;
  /** Never rejects. The message is a whole RFC 5322 message with CRLF. */
  send(envelope: Envelope, message: Buffer): Promise<SendOutcome>;
  /** Open, signed-in connections. */
  open(): number;
  /** Says goodbye on idle connections; one under way closes after its letter. */
  close(): void;
  /** Cuts every connection, letters under way or not. */
  abort(): void;
};

type Line = {
  connection: SmtpConnection;
  dead: boolean;
  letters: number;
  idleSince: number;
  /** Fails what is under way: nodemailer forgets a send whose socket is gone already. */
  onEnd: ((fault: SmtpFault) => void) | undefined;
};

export function createPool(relay: Relay): Pool {
  const lines = new Set<Line>();
  const idle: Line[] = [];
  let closed = false;
  let sweep: NodeJS.Timeout | undefined;

  const hangUp = (line: Line, fault: SmtpFault = new Unreachable("The mail server closed the connection.")) => {
    if (line.dead) return;
    line.dead = true;
    lines.delete(line);
    const place = idle.indexOf(line);
    if (place >= 0) idle.splice(place, 1);
    if (lines.size === 0) {
      clearInterval(sweep);
      sweep = undefined;
    }
    line.onEnd?.(fault);
  };
  const quit = (line: Line) => {
    hangUp(line);
    line.connection.quit();
  };
  const dial = async (): Promise<Line> => {
    const connection = await openConnection(relay);
    const line: Line = { connection, dead: false, letters: 0, idleSince: 0, onEnd: undefined };
    connection.on("error", (error) => hangUp(line, error));
    connection.on("end", () => hangUp(line));
    lines.add(line);
    sweep ??= setInterval(() => {
      for (const waiting of [...idle]) if (performance.now() - waiting.idleSince > idleMs) quit(waiting);
    }, idleMs / 4).unref();
    return line;
  };
  const giveBack = (line: Line) => {
    if (line.dead) return;
    if (closed) return quit(line);
    line.idleSince = performance.now();
    idle.push(line);
  };

  const send = async (envelope: Envelope, message: Buffer): Promise<SendOutcome> => {
    const refused = checkEnvelope(envelope);
    if (refused) return refused;
    // The last one that was used, so that the rest may go idle and close.
    let line = idle.pop();
    for (;;) {
      if (!line) {
        try {
          line = await dial();
        } catch (error) {
          return { outcome: "unreachable", reply: plainWords(error) };
        }
      }
      const fault = await transmit(line, envelope, message);
      if (typeof fault === "string") {
        line.letters += 1;
        giveBack(line);
        return { outcome: "sent", reply: fault };
      }
      // A server may end a connection between two letters, or after so many of them; that says nothing about this one.
      const stale = line.letters > 0 && isConnectionTrouble(fault) && fault.code !== "ETIMEDOUT";
      if (!isConnectionTrouble(fault) && !line.dead && (await resetLine(line))) giveBack(line);
      else if (!line.dead) line.connection.close();
      if (!stale || closed) return judgeRefusal(fault);
      line = undefined;
    }
  };
  return {
    relay,
    send,
    open: () => lines.size,
    close: () => {
      closed = true;
      for (const line of [...idle]) quit(line);
    },
    abort: () => {
      closed = true;
      for (const line of [...lines]) line.connection.close();
    },
  };
}

/** The last look before the wire: nodemailer takes more apart than it should. */
function checkEnvelope(envelope: Envelope): SendOutcome | undefined {
  if (parseAddress(envelope.from) === undefined) {
    return { outcome: "deferred", reply: "The sender's address isn't one that mail can be sent from. Set mail.from." };
  }
  if (parseAddress(envelope.to) === undefined) {
    return {
      outcome: "bounced",
      reply: "The address isn't one that mail can be sent to.",
      code: undefined,
      atRecipient: false,
    };
  }
  return undefined;
}

function transmit(line: Line, envelope: Envelope, message: Buffer): Promise<string | SmtpFault> {
  return new Promise((resolve) => {
    line.onEnd = resolve;
    line.connection.send({ from: envelope.from, to: [envelope.to] }, message, (error, info) => {
      line.onEnd = undefined;
      resolve(error ? (error as SmtpFault) : plainWords(info?.response ?? ""));
    });
  });
}

/** After a refusal the server may still hold half a transaction. */
function resetLine(line: Line): Promise<boolean> {
  return new Promise((resolve) => {
    line.onEnd = () => resolve(false);
    line.connection.reset((error) => {
      line.onEnd = undefined;
      resolve(!error);
    });
  });
}

/** @throws Unreachable with the server's or the system's words */
async function openConnection(relay: Relay): Promise<SmtpConnection> {
  const connection = new SmtpConnection(connectionOptions(relay));
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
      // A mail server on this machine usually has a self-signed certificate, and might as well be spoken to in clear.
      rejectUnauthorized: !(relay.loopback && ca === undefined),
    },
  };
}

export type RelayCheck =
  | { outcome: "reached"; encrypted: boolean; signedIn: boolean }
  | { outcome: "unreachable"; reply: string };

/** Connects, signs in and says goodbye, for `candor mail test`. */
export async function checkRelay(relay: Relay): Promise<RelayCheck> {
  try {
    const connection = await openConnection(relay);
    connection.on("error", () => {});
    const { secure: encrypted, authenticated: signedIn } = connection;
    connection.quit();
    return { outcome: "reached", encrypted, signedIn };
  } catch (error) {
    return { outcome: "unreachable", reply: plainWords(error) };
  }
}
