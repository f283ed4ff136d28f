/** How long the executable takes to its first answer, side by side with a bare node:http server. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { median, serve, startPinned, type World } from "./world.ts";

const rounds = 9;

export async function measureStart(world: World): Promise<{ candorMs: number; bareMs: number }> {
  const bodyFile = join(world.data, "..", "no-body");
  const headersFile = join(world.data, "..", "no-headers.json");
  writeFileSync(bodyFile, "");
  writeFileSync(headersFile, "[]");
  const port = world.port + 1;
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = -1; round < rounds; round++) {
    const candor = await serve(world);
    await candor.stop();
    const bare = await startPinned(
      process.execPath,
      [join(import.meta.dirname, "bare.mjs"), String(port), bodyFile, headersFile],
      port,
    );
    await bare.stop();
    // The first one reads the file, so that the others find it in memory.
    if (round < 0) continue;
    ours.push(candor.firstAnswerMs);
    theirs.push(bare.firstAnswerMs);
  }
  return { candorMs: median(ours), bareMs: median(theirs) };
}
