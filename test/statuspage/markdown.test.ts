import assert from "node:assert/strict";
import { test } from "node:test";
import { firstWords, markdownToText } from "../../src/statuspage/markdown.ts";

test("the first words of an update are words without marks, on one line", () => {
  const said: [string, string][] = [
    ["**Retry** _failed_ `uploads`, please.", "Retry failed uploads, please."],
    ["See [our notes](https://example.com/n) or <https://example.com>.", "See our notes or https://example.com."],
    [
      "We will:\n\n- move the **database**\n- restart it\n\nExpect a pause.",
      "We will: move the database; restart it. Expect a pause.",
    ],
    ["1. First.\n2. Second.\n   - inner\n   - more", "First. Second. inner; more"],
    ["No full stop\n\nNext one\nsame paragraph", "No full stop. Next one same paragraph"],
    ["> quoted\n\n```\ncode  here\n```\n\n---\n\nend", "quoted. code here. end"],
    ["a\\*b & <b>c</b> &amp; 2 * 3", "a*b & <b>c</b> & 2 * 3"],
    ["", ""],
  ];
  for (const [text, words] of said) assert.equal(firstWords(text, 200), words);
});

test("words that are too many end at a word", () => {
  assert.equal(firstWords("**Retry failed** uploads", 15), "Retry failed…");
  assert.equal(firstWords("x".repeat(20), 10), `${"x".repeat(10)}…`);
});

test("as text an update keeps its paragraphs and lists, and says where its links lead", () => {
  const text = [
    "**Bold**, *slanted* and a [link](https://example.com/a?b=1), to [us](mailto:a@example.com).",
    "line two, https://example.com and [https://example.com](https://example.com)",
    "",
    "* one",
    "* two",
    "  with more",
    "  - inner",
    "",
    "3. three",
    "4. four",
    "",
    "> said",
    "",
    "    code  **here**",
  ].join("\n");
  assert.equal(
    markdownToText(text),
    [
      "Bold, slanted and a link (https://example.com/a?b=1), to us (a@example.com).",
      "line two, https://example.com and https://example.com",
      "",
      "- one",
      "- two",
      "  with more",
      "  - inner",
      "",
      "3. three",
      "4. four",
      "",
      "> said",
      "",
      "    code  **here**",
    ].join("\n"),
  );
});

test("what is no Markdown stays as it was written", () => {
  for (const text of ["5 * 3 = 15", "<script>alert(1)</script>", "# not a title", "a_b_c"])
    assert.equal(markdownToText(text), text);
});
