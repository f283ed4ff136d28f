import MarkdownIt from "markdown-it";

/**
 * The words of updates may carry emphasis, lists and links. Raw HTML and images stay text, links lead only to http,
 * https and mailto, and pass nothing on.
 */
const markdown = new MarkdownIt({ html: false, linkify: true, typographer: false, breaks: true }).disable([
  "image",
  "heading",
  "lheading",
  "table",
]);

// A full address becomes a link as it stands; what only looks like one (status.example, a@b.c) stays text.
markdown.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
markdown.validateLink = (url) => /^(https?:\/\/|mailto:)/i.test(url.trim());
markdown.renderer.rules.link_open = (tokens, index, options, _env, self) => {
  tokens[index]?.attrSet("rel", "nofollow noopener noreferrer");
  return self.renderToken(tokens, index, options);
};

export function markdownToHtml(text: string): string {
  return markdown.render(text);
}

/** The first words, for a list or a description, on one line. */
export function firstWords(text: string, most: number): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length <= most
    ? line
    : `${line.slice(0, line.lastIndexOf(" ", most) > 0 ? line.lastIndexOf(" ", most) : most)}…`;
}
