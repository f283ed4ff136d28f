import { createServer } from "node:net";
import { connect } from "node:tls";

/** What a client says first when it wants this host. */
export async function helloFor(servername: string, protocols?: string[]): Promise<Buffer> {
  const ear = createServer();
  await new Promise<void>((resolve) => ear.listen(0, "127.0.0.1", resolve));
  const heard = new Promise<Buffer>((resolve) =>
    ear.once("connection", (socket) => socket.on("error", () => {}).once("data", resolve)),
  );
  const { port } = ear.address() as { port: number };
  const wish = protocols ? { ALPNProtocols: protocols } : {};
  const socket = connect({ port, host: "127.0.0.1", servername, ...wish }).on("error", () => {});
  const hello = await heard;
  socket.destroy();
  ear.close();
  return hello;
}
