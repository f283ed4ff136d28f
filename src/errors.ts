/**
 * What a caller did wrong, in one sentence that says what to do. Anything else that is thrown is our bug.
 * Mapped once to HTTP (app.ts) and once to exit codes (cli/candor.ts).
 */
export type Fault = "invalid" | "not_found" | "forbidden" | "conflict" | "too_many" | "busy";

export class UserError extends Error {
  readonly fault: Fault;
  /** The form field that the sentence belongs beside. */
  readonly field: string | undefined;
  /** For `too_many` and `busy`: whole seconds until it is worth trying again. */
  readonly retryAfterSeconds: number | undefined;

  constructor(fault: Fault, message: string, at: { field?: string; retryAfterSeconds?: number } = {}) {
    super(message);
    this.name = "UserError";
    this.fault = fault;
    this.field = at.field;
    this.retryAfterSeconds = at.retryAfterSeconds;
  }
}

/** Database and file system each have their own word for it. */
export function isDiskFull(error: unknown): boolean {
  return codesOf(error).some((code) => ["SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "ENOSPC", "EDQUOT"].includes(code));
}

/** A page of the database that isn't what was written there. */
export function isDamaged(error: unknown): boolean {
  return codesOf(error).some((code) => code.startsWith("SQLITE_CORRUPT"));
}

/** What wraps an error keeps it as the cause. */
function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) codes.push(String((at as { code?: unknown }).code));
  return codes;
}
