import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";

export type Received = {
  from: string;
  to: string[];
  raw: Buffer;
  encrypted: boolean;
  user: string | undefined;
  session: string;
};
export type MailServer = {
  port: number;
  received: Received[];
  connections: () => number;
  stop(): Promise<void>;
};

/** A refusal with a code, as the server's handlers give it. */
export function refusal(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode });
}

type Answer = Error | undefined | Promise<Error | undefined>;
export type Script = {
  port?: number;
  options?: SMTPServerOptions;
  onMail?: (from: string) => Answer;
  onRecipient?: (to: string) => Answer;
  onLetter?: (letter: Received) => Answer;
};

/** A real SMTP server (npm smtp-server) on all of this machine's addresses; without STARTTLS and AUTH unless asked for. */
export async function startMailServer(t: TestContext, script: Script = {}): Promise<MailServer> {
  const received: Received[] = [];
  let connections = 0;
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS", "AUTH"],
    logger: false,
    closeTimeout: 200,
    onConnect: (_session, done) => {
      connections += 1;
      done();
    },
    onMailFrom: async ({ address }, _session, done) => done((await script.onMail?.(address)) ?? null),
    onRcptTo: async ({ address }, _session, done) => done((await script.onRecipient?.(address)) ?? null),
    onData: async (stream, session, done) => {
      const chunks: Buffer[] = [];
      try {
        for await (const chunk of stream) chunks.push(chunk);
      } catch {
        return; // The client was killed in the middle of its letter, so nothing arrived.
      }
      const { mailFrom, rcptTo } = session.envelope;
      const letter = {
        from: mailFrom ? mailFrom.address : "",
        to: rcptTo.map((to) => to.address),
        raw: Buffer.concat(chunks),
        encrypted: session.secure,
        user: session.user as string | undefined,
        session: session.id,
      };
      const refused = await script.onLetter?.(letter);
      if (!refused) received.push(letter);
      done(refused ?? null);
    },
    ...script.options,
  });
  server.on("error", () => {});
  await new Promise<void>((resolve) => server.listen(script.port ?? 0, "0.0.0.0", () => resolve()));
  let stopped: Promise<void> | undefined;
  const stop = () => (stopped ??= new Promise<void>((resolve) => server.close(() => resolve())));
  t.after(stop);
  return { port: (server.server.address() as AddressInfo).port, received, connections: () => connections, stop };
}

export type Certificate = { key: Buffer; cert: Buffer; file: string };

/**
 * A self-signed certificate for localhost and for 0.0.0.0, which on this machine leads home and yet isn't a loopback
 * address: it stands for a mail server elsewhere.
 */
export function makeCertificate(names = "DNS:localhost,IP:127.0.0.1,IP:0.0.0.0"): Certificate {
  const folder = mkdtempSync(join(tmpdir(), "candor-cert-"));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const subject = ["-subj", "/CN=mail test", "-addext", `subjectAltName=${names}`, "-days", "2"];
  execFileSync("openssl", ["req", "-x509", ...curve, ...subject, "-keyout", key, "-out", cert], { stdio: "ignore" });
  return { key: readFileSync(key), cert: readFileSync(cert), file: cert };
}
