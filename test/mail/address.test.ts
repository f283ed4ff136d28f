import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { canonicalAddress, maskAddress, parseAddress, requireAddress } from "../../src/mail/address.ts";

describe("An address", () => {
  it("is taken as written, with its domain in lower case", () => {
    assert.equal(parseAddress("Ada.Lovelace+x@Mail.Example.COM"), "Ada.Lovelace+x@mail.example.com");
    assert.equal(
      parseAddress("a!#$%&'*+/=?^_`{|}~-b@xn--bcher-kva.example"),
      "a!#$%&'*+/=?^_`{|}~-b@xn--bcher-kva.example",
    );
  });

  it("is refused when a mail library could find a second recipient in it", () => {
    const tricks = [
      "a@example.com\r\nBcc: evil@evil.test",
      "a@example.com\nRCPT TO:<evil@evil.test>",
      "a@example.com\r",
      "a@example.com\u0000",
      "a@example.com,b@example.com",
      "a@example.com;b@example.com",
      "a@example.com b@example.com",
      '"a b"@example.com',
      '"a@evil.test"@example.com',
      "<a@example.com>",
      "Ada <a@example.com>",
      "a(comment)@example.com",
      "a@example.com(comment)",
      "a\\@b@example.com",
      "a@b@example.com",
      "@example.com",
      "a@",
      "a@localhost",
      "a@[127.0.0.1]",
      "a@127.0.0.1",
      "a@-x.example",
      "a@x-.example",
      "a@x..example",
      ".a@example.com",
      "a.@example.com",
      "a..b@example.com",
      "ä@example.com",
      "a@bücher.example",
      "a\u200b@example.com",
      "a@example.com\u2028",
      "a@exаmple.com",
      "a%0d%0a@example.com\t",
      "",
    ];
    for (const trick of tricks) assert.equal(parseAddress(trick), undefined, JSON.stringify(trick));
  });

  it("has at most 254 characters, 64 before the at sign", () => {
    const domain = (length: number) => `${"a".repeat(60)}.${"b".repeat(60)}.${"c".repeat(length - 122)}`;
    assert.ok(parseAddress(`${"x".repeat(64)}@${domain(183)}`));
    assert.equal(`${"x".repeat(70)}@${domain(184)}`.length, 255);
    assert.equal(parseAddress(`${"x".repeat(64)}@${domain(184)}.${"d".repeat(6)}`), undefined);
    assert.equal(parseAddress(`${"x".repeat(65)}@example.com`), undefined);
    assert.equal(parseAddress(`a@${"b".repeat(64)}.example`), undefined);
  });

  it("that a person mistyped is named at its field", () => {
    assert.equal(requireAddress(" ada@example.com "), "ada@example.com");
    assert.throws(() => requireAddress("ada@"), { name: "UserError", fault: "invalid", field: "email" });
  });

  it("may be given with a domain in any script, which becomes the form that mail servers know, and nothing else", () => {
    assert.equal(requireAddress("Ada@BÜCHER.example"), "Ada@xn--bcher-kva.example");
    assert.equal(requireAddress("ada@例え。テスト"), "ada@xn--r8jz45g.xn--zckzah");
    const tricks = [
      "a@bücher.example\r\nBcc: evil@evil.test",
      "a@bücher.example b@example.com",
      "a@bücher.example\tb",
      "a@bücher.example\nb",
      "a@bücher.example#b",
      "a@bücher.example?b",
      "a@x@bücher.example",
      "a@bücher.example,b.example",
      "a@bü<cher.example",
      "a@bücher",
      "a@é%40evil.test",
      "a@bücher.example:25",
      "a@é/evil.test",
      "bücher.example",
      "@bücher.example",
      "ö@bücher.example",
      "a@\u200b.example",
    ];
    for (const trick of tricks) assert.throws(() => requireAddress(trick), { fault: "invalid" }, JSON.stringify(trick));
  });

  it("is one whatever its letter case, and is shown masked", () => {
    assert.equal(canonicalAddress("Ada@example.com"), canonicalAddress("aDA@example.com"));
    assert.equal(maskAddress("ada@example.com"), "a…@example.com");
  });
});
