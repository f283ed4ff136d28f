/**
 * HTTPS. The name that a client asks for is read before the handshake: one that no certificate covers gets the alert that
 * says so (RFC 6066, 3), and learns nothing of the names that are served. What can't be read is left to OpenSSL to refuse.
 */
import { randomBytes } from "node:crypto";
import type { ServerOptions } from "node:http";
import { createServer, type Server } from "node:https";
import type { Socket } from "node:net";
import { createServer as createChallengeServer } from "node:tls";
import type { Challenges } from "./challenges.ts";
import { readHello } from "./hello.ts";
import { posture } from "./posture.ts";
import type { CertificateShelf } from "./shelf.ts";

/** A fatal alert in a TLS record: unrecognized_name (RFC 8446, 6.2). */
const unrecognizedName = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x70]);
const challengeProtocol = "acme-tls/1";
const handshakeMs = 5_000;
/** Tickets let clients come back without a full handshake; their key is forgotten so that old ones open nothing. */
const ticketKeyMs = 6 * 3_600_000;

export function createTlsServer(input: {
  shelf: CertificateShelf;
  challenges: Challenges;
  limits: ServerOptions;
}): Server {
  const { shelf, challenges } = input;
  const server = createServer({
    ...input.limits,
    ...posture,
    handshakeTimeout: handshakeMs,
    ALPNProtocols: ["http/1.1"],
    ticketKeys: randomBytes(48),
    SNICallback: (name, done) => done(null, shelf.find(name.toLowerCase())),
  });
  // Node leaves a handshake that failed or came to nothing to its listener, and https's own would answer it in words that wait
  // for the handshake to end.
  server.removeAllListeners("tlsClientError");
  server.on("tlsClientError", letGo);
  const rotation = setInterval(() => server.setTicketKeys(randomBytes(48)), ticketKeyMs);
  rotation.unref();
  server.once("close", () => clearInterval(rotation));

  // The handshake is all that an authority wants of it (RFC 8737, 3). acme-client's certificate says that its key signs
  // certificates only, which clients of TLS 1.2 refuse; every authority that looks this way speaks 1.3.
  const challengeServer = createChallengeServer(
    {
      minVersion: "TLSv1.3",
      handshakeTimeout: handshakeMs,
      ALPNProtocols: [challengeProtocol],
      SNICallback: (name, done) => done(null, challenges.contextFor(name.toLowerCase())),
    },
    (socket) => {
      socket.on("error", () => socket.destroy());
      const late = setTimeout(() => socket.destroy(), handshakeMs);
      socket.on("close", () => clearTimeout(late));
      socket.end();
    },
  );
  challengeServer.on("tlsClientError", letGo);

  // Node's own listener begins the handshake; it gets the socket once the name is known to be ours.
  const [shakeHands] = server.listeners("connection") as [(socket: Socket) => void];
  server.removeListener("connection", shakeHands);
  server.on("connection", (socket: Socket) => {
    const late = setTimeout(() => socket.destroy(), handshakeMs);
    // For good: a client may break off at any time, and nobody else listens for it while the alert is on its way.
    socket.on("error", () => socket.destroy());
    void readHello(socket).then(({ name, protocols }) => {
      clearTimeout(late);
      if (socket.destroyed) return;
      const isChallenge = protocols.length === 1 && protocols[0] === challengeProtocol;
      if (isChallenge && name && challenges.contextFor(name)) {
        challengeServer.emit("connection", socket);
        return;
      }
      if (name !== undefined && !shelf.find(name)) return void socket.end(unrecognizedName, () => socket.destroy());
      shakeHands.call(server, socket);
    });
  });
  return server;
}

function letGo(_error: Error, socket: Socket): void {
  socket.destroy();
}
