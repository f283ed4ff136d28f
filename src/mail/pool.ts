/**
 * Connections to the mail server, kept open between letters and closed when idle. Whoever calls bounds how many letters
 * are under way at once.
 */
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
import { type Connection, openConnection } from "./smtp.ts";

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
  connection: Connection;
  dead: boolean;
  letters: number;
  idleSince: number;
  /** Fails what is under way: nodemailer forgets a send whose socket is gone already. */
  onEnd: ((fault: SmtpFault) => void) | undefined;
};

/** `onOpen` is called when one more connection stands, and so one more letter may be under way. */
export function createPool(relay: Relay, onOpen = () => {}): Pool {
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
    onOpen();
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
