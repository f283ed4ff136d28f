import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createPace } from "../../src/mail/pace.ts";
import { isRecipientGone, plainWords, withoutAddresses } from "../../src/mail/replies.ts";

describe("A server's words", () => {
  it("are one line, bounded, and lose their addresses before they are logged", () => {
    assert.equal(plainWords("550-no\r\n550 \u001b[31mreally"), "550-no 550  [31mreally");
    assert.equal(plainWords("x".repeat(9000)).length, 400);
    assert.equal(plainWords(new Error("connect ECONNREFUSED")), "connect ECONNREFUSED");
    const tangled =
      "40035E8A477F0000:error:0A00010B:SSL routines:tls_validate_record_header:wrong version number:x.c:78:";
    assert.match(plainWords(new Error(tangled)), /^The mail server speaks no TLS on this port/);
    const words = "550 5.1.1 <ada@example.com>: Recipient ada+x@example.com unknown; see ops@[10.0.0.1]";
    assert.ok(!/@/.test(withoutAddresses(words).replace("@[10", "")));
    assert.equal(withoutAddresses("550 <ada@example.com> unknown"), "550 <…> unknown");
  });

  it("mean that the recipient is gone for four enhanced codes, or three bare ones at RCPT", () => {
    for (const code of ["5.1.1", "5.1.6", "5.1.10", "5.2.1"]) assert.ok(isRecipientGone({ code, atRecipient: false }));
    for (const code of ["550", "551", "553"]) {
      assert.ok(isRecipientGone({ code, atRecipient: true }));
      assert.ok(!isRecipientGone({ code, atRecipient: false }));
    }
    for (const code of ["5.7.1", "5.2.2", "5.1.8", "552", "554", undefined]) {
      assert.ok(!isRecipientGone({ code, atRecipient: true }));
    }
  });
});

describe("The pace", () => {
  it("grants no more than a rate and its twentieth in any second, and all of it over time", () => {
    let now = 0;
    const pace = createPace(() => now);
    const granted: number[] = [];
    while (now < 10_000) {
      const wait = pace.take(100);
      if (wait === 0) granted.push(now);
      now += wait;
    }
    for (const from of granted) assert.ok(granted.filter((at) => at >= from && at < from + 1000).length <= 105);
    assert.ok(granted.length >= 990, String(granted.length));
  });

  it("is endless at 0", () => {
    const pace = createPace(() => 0);
    for (let i = 0; i < 1000; i++) assert.equal(pace.take(0), 0);
  });
});
