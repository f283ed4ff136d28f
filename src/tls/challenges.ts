/**
 * What the server shows to an authority that looks whether a name is ours: a text under a path (RFC 8555, 8.3), or a
 * certificate of its own for the protocol acme-tls/1 (RFC 8737). The texts are in the rows of open orders, so they are
 * there again right after a crash, before the authority looks.
 */
import { createSecureContext, type SecureContext } from "node:tls";
import type { Db } from "../db.ts";
import { listOpenOrders } from "./orders.ts";

export type Challenges = {
  /** For a token of /.well-known/acme-challenge/. */
  answerFor(token: string): string | undefined;
  /** For a host name in a handshake for acme-tls/1. */
  contextFor(name: string): SecureContext | undefined;
  show(input: { name: string; token: string; keyAuthorization: string }): void;
  showInHandshake(input: { name: string; keyAuthorization: string }): Promise<void>;
  /** What is shown for another token of the name stays. */
  takeDown(input: { name: string; token: string | null }): void;
};

export const challengePath = "/.well-known/acme-challenge/";

export function createChallenges(db: Db): Challenges {
  const texts = new Map<string, string>();
  const contexts = new Map<string, { keyAuthorization: string; context: SecureContext }>();
  for (const { token, keyAuthorization } of listOpenOrders(db)) {
    if (token && keyAuthorization) texts.set(token, keyAuthorization);
  }
  return {
    answerFor: (token) => texts.get(token),
    contextFor: (name) => contexts.get(name)?.context,
    show: ({ token, keyAuthorization }) => void texts.set(token, keyAuthorization),
    showInHandshake: async ({ name, keyAuthorization }) => {
      if (contexts.get(name)?.keyAuthorization === keyAuthorization) return;
      const { crypto } = await import("acme-client");
      const key = await crypto.createPrivateEcdsaKey();
      const authorization = { identifier: { type: "dns", value: name } } as Parameters<
        typeof crypto.createAlpnCertificate
      >[0];
      const [, cert] = await crypto.createAlpnCertificate(authorization, keyAuthorization, key);
      contexts.set(name, { keyAuthorization, context: createSecureContext({ cert, key }) });
    },
    takeDown: ({ name, token }) => {
      if (token === null) return;
      texts.delete(token);
      // A key authorization begins with its token (RFC 8555, 8.1).
      if (contexts.get(name)?.keyAuthorization.startsWith(`${token}.`)) contexts.delete(name);
    },
  };
}
