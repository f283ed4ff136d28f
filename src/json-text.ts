/**
 * JSON that steers no terminal it is read on. JSON escapes the control characters of ASCII by itself, but not U+007F to U+009F, of
 * which some begin sequences too.
 */
export function jsonText(
  value: unknown,
  form: { replacer?: (key: string, value: unknown) => unknown; indent?: number } = {},
): string {
  return JSON.stringify(value, form.replacer, form.indent).replaceAll(
    /[\x7f-\x9f]/g,
    (control) => `\\u00${control.charCodeAt(0).toString(16)}`,
  );
}
