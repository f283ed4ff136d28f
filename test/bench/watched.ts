/** The program, which on SIGUSR2 writes how late its event loop came round since the last time, and begins anew. */
import { renameSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import "../../cli/candor.ts";

const resolution = 10;
const delay = monitorEventLoopDelay({ resolution });
delay.enable();
const file = process.env.BENCH_DELAYS ?? "";
process.on("SIGUSR2", () => {
  // The monitor counts its own interval in.
  const lateMs = delay.count === 0 ? 0 : Math.max(0, delay.percentile(99) / 1e6 - resolution);
  delay.reset();
  writeFileSync(`${file}.unfinished`, String(lateMs));
  renameSync(`${file}.unfinished`, file);
});
