/** Publishing to many: the publisher's wait, the longest pause of the event loop, and what visitors feel meanwhile. */
import { type ChildProcess, spawn } from "node:child_process";
import { get, request } from "node:http";
import { load, median, serve, type World } from "./world.ts";

export type PublishSpeed = {
  answerMs: number;
  worstPauseMs: number;
  p99Ratio: number;
  idleP99Ms: number;
  busyP99Ms: number;
  letters: number;
};

export async function measurePublishing(world: World): Promise<PublishSpeed> {
  const sinkPort = world.port + 7;
  // The receiver shares a core with the meter, and must not be what the meter measures.
  const sink = spawn(
    "taskset",
    ["-c", "1", "chrt", "--idle", "0", "smtp-sink", ...asUser(), `127.0.0.1:${sinkPort}`, "512"],
    {
      stdio: "ignore",
    },
  );
  const server = await serve(world, {
    CANDOR_MAIL_SMTP_URL: `smtp://127.0.0.1:${sinkPort}`,
    CANDOR_MAIL_LETTERS_PER_SECOND: "1000",
  });
  try {
    await new Promise((resolve) => setTimeout(resolve, 3000));
    load(world.port, 3, ["accept-encoding: gzip"]);
    const idle = [1, 2, 3].map(() => load(world.port, 4, ["accept-encoding: gzip"]).p99Ms);
    const ready = await health(world.port);
    const began = performance.now();
    const status = await publish(world);
    const answerMs = performance.now() - began;
    if (status !== 201) throw new Error(`Publishing was answered with ${status}.`);
    const busy = [1, 2, 3].map(() => load(world.port, 4, ["accept-encoding: gzip"]).p99Ms);
    const after = await health(world.port);
    if (ready.worstPauseMs > after.worstPauseMs) throw new Error("The pause can't have shrunk.");
    return {
      answerMs,
      worstPauseMs: after.worstPauseMs,
      idleP99Ms: median(idle),
      busyP99Ms: median(busy),
      p99Ratio: median(busy) / median(idle),
      letters: after.mail.queued,
    };
  } finally {
    await server.stop();
    await ended(sink);
  }
}

/** smtp-sink wants to drop root's rights. */
function asUser(): string[] {
  return process.getuid?.() === 0 ? ["-u", "postfix"] : [];
}

function publish(world: World): Promise<number> {
  const incident = {
    name: "Sign-in fails",
    body: "Nobody can sign in. We look into it.",
    components: { [world.componentId]: "major_outage" },
  };
  return new Promise((resolve, reject) => {
    const headers = { authorization: `OAuth ${world.token}`, "content-type": "application/json" };
    const call = request(
      {
        host: "127.0.0.1",
        port: world.port,
        method: "POST",
        path: `/v1/pages/${world.pageId}/incidents`,
        headers,
        agent: false,
      },
      (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode ?? 0));
      },
    );
    call.on("error", reject);
    call.end(JSON.stringify({ incident }));
  });
}

/** Each time on a connection of its own: while wrk runs, nobody here would see that one was closed. */
function health(port: number): Promise<{ worstPauseMs: number; mail: { queued: number } }> {
  return new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", port, path: "/healthz", agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve(JSON.parse(text)));
    }).on("error", reject);
  });
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGTERM");
  });
}
