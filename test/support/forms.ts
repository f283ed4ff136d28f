/** What a browser would send back from a form: every hidden field as it was printed. */
export function hiddenIn(text: string): Record<string, string> {
  const plain = (words: string) =>
    words
      .replaceAll("&lt;", "<")
      .replaceAll("&gt;", ">")
      .replaceAll("&quot;", '"')
      .replaceAll("&#x27;", "'")
      .replaceAll("&amp;", "&");
  const found = [...text.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)">/g)];
  return Object.fromEntries(found.map(([, name = "", value = ""]) => [name, plain(value)]));
}
