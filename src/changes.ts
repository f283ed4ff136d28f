/**
 * What a request changes. Programs send whole things back to change one field of them, so a rule looks before it writes:
 * what stands there already is no change, leaves the time of the last change alone and is no deed for the audit log.
 */
export function changesTo<Row extends object>(row: Row, wanted: Partial<Row>): Partial<Row> | undefined {
  const differing = Object.entries(wanted).filter(([name, value]) => row[name as keyof Row] !== value);
  return differing.length > 0 ? (Object.fromEntries(differing) as Partial<Row>) : undefined;
}
