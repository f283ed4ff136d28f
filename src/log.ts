import type { Clock } from "./clock.ts";
import { jsonText } from "./json-text.ts";

export type Level = "debug" | "info" | "warn" | "error";
export type Log = Record<Level, (event: string, detail?: Record<string, unknown>) => void>;

const order: Level[] = ["debug", "info", "warn", "error"];

/**
 * One JSON line per event. JSON escapes control characters, so a name with a line break can't forge a line. Details are
 * ids, counts and codes: never addresses, names, tokens or bodies.
 */
export function createLog(input: { clock: Clock; write: (line: string) => void; least?: () => Level }): Log {
  const at =
    (level: Level) =>
    (event: string, detail: Record<string, unknown> = {}) => {
      if (order.indexOf(level) < order.indexOf(input.least?.() ?? "info")) return;
      const time = new Date(input.clock.now()).toISOString();
      input.write(`${jsonText({ time, level, event, ...detail }, { replacer: plainErrors })}\n`);
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

function plainErrors(_key: string, value: unknown): unknown {
  return value instanceof Error ? (value.stack ?? value.message) : value;
}
