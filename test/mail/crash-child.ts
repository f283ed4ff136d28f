/** A process that sends until it is killed: folder and port are its arguments. */
import { join } from "node:path";
import { systemClock } from "../../src/clock.ts";
import { openConfig } from "../../src/config.ts";
import { openKeyring } from "../../src/crypto/keyring.ts";
import { openStore } from "../../src/db.ts";
import { createLog } from "../../src/log.ts";
import { composeLetter } from "../../src/mail/compose.ts";
import { createMailer } from "../../src/mail/mailer.ts";

const [folder = "", port = ""] = process.argv.slice(2);
const keys = openKeyring(join(folder, "keyring.json"), Buffer.alloc(32, 7));
const store = openStore({ where: join(folder, "data"), keys, clock: systemClock });
const environment = { CANDOR_MAIL_SMTP_URL: `smtp://127.0.0.1:${port}` };
const config = openConfig({ db: store.db, keys, environment });
const log = createLog({ clock: systemClock, write: (line) => process.stderr.write(line) });
const from = { name: "Page", address: "status@example.com" };
const form = composeLetter({ from, subject: "Broken", text: "Broken.", html: "<p>Broken.</p>", date: 0, links: [] });
const mailer = createMailer({
  ...{ db: store.db, keys, config, clock: systemClock, log },
  letters: ({ id }) => {
    const address = `person-${id}@example.com`;
    const message = () => form.splice({ address, messageId: `<${id}@example.com>`, links: {} });
    return { outcome: "send", envelope: { from: from.address, to: address }, message };
  },
  onBounce: () => {},
});
await mailer.idle();
await mailer.stop();
store.close();
