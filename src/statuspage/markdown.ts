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

/** As plain text: the marks of emphasis go, links say where they lead, lists and paragraphs keep their lines. */
export function markdownToText(text: string): string {
  return linesOf(readBlocks(markdown.parse(text, {})));
}

/** The first words, for a list or a description, on one line and without marks. */
export function firstWords(text: string, most: number): string {
  const line = lineOf(readBlocks(markdown.parse(text, {})));
  return line.length <= most
    ? line
    : `${line.slice(0, line.lastIndexOf(" ", most) > 0 ? line.lastIndexOf(" ", most) : most)}…`;
}

type Token = ReturnType<typeof markdown.parse>[number];
type Block =
  | { kind: "words"; tokens: Token[]; isTight: boolean }
  | { kind: "code"; text: string }
  | { kind: "rule" }
  | { kind: "quote"; blocks: Block[] }
  | { kind: "list"; first: number | undefined; items: Block[][] };

/** The flat list of tokens as a tree. */
function readBlocks(tokens: Token[]): Block[] {
  const blocks: Block[] = [];
  for (let index = 0; index < tokens.length; index++) {
    const token = tokens[index] as Token;
    if (token.type === "inline")
      blocks.push({ kind: "words", tokens: token.children ?? [], isTight: tokens[index - 1]?.hidden ?? false });
    else if (token.type === "fence" || token.type === "code_block")
      blocks.push({ kind: "code", text: token.content.trimEnd() });
    else if (token.type === "hr") blocks.push({ kind: "rule" });
    else if (/^(blockquote|bullet_list|ordered_list)_open$/.test(token.type)) {
      let end = index + 1;
      while ((tokens[end]?.level ?? 0) > token.level) end++;
      const inner = tokens.slice(index + 1, end);
      if (token.type === "blockquote_open") blocks.push({ kind: "quote", blocks: readBlocks(inner) });
      else {
        const first = token.type === "ordered_list_open" ? Number(token.attrGet("start") ?? 1) : undefined;
        blocks.push({ kind: "list", first, items: readItems(inner, token.level + 1) });
      }
      index = end;
    }
  }
  return blocks;
}

function readItems(tokens: Token[], level: number): Block[][] {
  const starts = tokens.flatMap((token, at) => (token.type === "list_item_open" && token.level === level ? [at] : []));
  return starts.map((start, index) => readBlocks(tokens.slice(start + 1, starts[index + 1] ?? tokens.length)));
}

function linesOf(blocks: Block[]): string {
  return blocks
    .map((block, index) => {
      const isTight = block.kind === "list" && isTightWords(blocks[index - 1]);
      const gap = index === 0 ? "" : isTight ? "\n" : "\n\n";
      return gap + linesOfBlock(block);
    })
    .join("");
}

function linesOfBlock(block: Block): string {
  switch (block.kind) {
    case "words":
      return wordsOf(block.tokens, "with addresses");
    case "code":
      return indent(block.text, "    ");
    case "rule":
      return "* * *";
    case "quote":
      return linesOf(block.blocks).replaceAll(/^/gm, "> ");
    case "list":
      return block.items
        .map((item, index) => {
          const mark = block.first === undefined ? "- " : `${block.first + index}. `;
          return mark + indent(linesOf(item), " ".repeat(mark.length)).trimStart();
        })
        .join("\n");
  }
}

function isTightWords(block: Block | undefined): boolean {
  return block?.kind === "words" && block.isTight;
}

function indent(text: string, by: string): string {
  return text.replaceAll(/^(?=.)/gm, by);
}

/** What ends without a full stop gets one before the next begins; the items of a list are parted by semicolons. */
function lineOf(blocks: Block[]): string {
  return join(blocks.map(lineOfBlock), ".");
}

function lineOfBlock(block: Block): string {
  switch (block.kind) {
    case "words":
      return oneLine(wordsOf(block.tokens, "without addresses"));
    case "code":
      return oneLine(block.text);
    case "rule":
      return "";
    case "quote":
      return lineOf(block.blocks);
    case "list":
      return join(block.items.map(lineOf), ";");
  }
}

function join(texts: string[], stop: "." | ";"): string {
  return texts
    .filter((text) => text !== "")
    .reduce(
      (line, text) => (line === "" ? text : `${line}${/[.!?…:;,]["'”’)]?$/.test(line.slice(-2)) ? "" : stop} ${text}`),
      "",
    );
}

function wordsOf(tokens: Token[], links: "with addresses" | "without addresses"): string {
  let words = "";
  let opened = { from: 0, address: "" };
  for (const token of tokens) {
    if (token.type === "softbreak" || token.type === "hardbreak") words += "\n";
    // Words that are struck out would say the opposite without their marks.
    else if (token.type === "s_open" || token.type === "s_close") words += token.markup;
    else if (token.type === "link_open") {
      const address = token.info === "auto" || token.markup === "linkify" ? "" : String(token.attrGet("href") ?? "");
      opened = { from: words.length, address: address.replace(/^mailto:/i, "") };
    } else if (token.type === "link_close") {
      const isSaid = opened.address === "" || words.slice(opened.from) === opened.address;
      if (links === "with addresses" && !isSaid) words += ` (${opened.address})`;
    } else words += token.content;
  }
  return words;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}
