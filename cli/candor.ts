/**
 * The operator's door: every command, and what its outcome means to a shell. 0 is done, 1 the user's mistake in one line,
 * 70 (EX_SOFTWARE) a bug of ours.
 */
import { Command, CommanderError } from "commander";
import { version } from "../src/embedded.ts";
import { isDamaged, isDiskFull, UserError } from "../src/errors.ts";
import { addAnnouncementCommands } from "./announcement.ts";
import { addAuditCommand } from "./audit.ts";
import { addCertCommands } from "./cert.ts";
import { addComponentCommands } from "./component.ts";
import { addConfigCommands } from "./config.ts";
import { addExampleCommand } from "./example.ts";
import { addGroupCommands } from "./group.ts";
import { addHealthCommand } from "./health.ts";
import { addHostCommands } from "./host.ts";
import { addIncidentCommands } from "./incident.ts";
import { addInitCommand } from "./init.ts";
import { addKeyCommands } from "./key.ts";
import { addMailCommands } from "./mail.ts";
import { addMemberCommands } from "./member.ts";
import { addPageCommands } from "./page.ts";
import { harmless, note } from "./print.ts";
import { addServeCommand } from "./serve.ts";
import { addSnapshotCommand } from "./snapshot.ts";
import { addSubscriberCommands } from "./subscriber.ts";
import { addTokenCommands } from "./token.ts";

main(process.argv).then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    note(String(error instanceof Error ? error.stack : error));
    process.exitCode = 70;
  },
);

async function main(words: string[]): Promise<number> {
  // `candor audit | head` is no error.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 70));
  // Databases, locks and snapshots are their owner's alone, whatever the shell's umask says.
  process.umask(0o077);
  const program = listCommands();
  try {
    if (words.length <= 2) program.outputHelp();
    else
      await program.parseAsync(
        words[2] === "help" ? [...words.slice(0, 2), ...explained(program, words.slice(3))] : words,
      );
    // A command may have said 1 by itself, after it printed what it found.
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 1;
    if (error instanceof UserError) {
      note(error.message);
      return 1;
    }
    if (isDiskFull(error)) {
      note("The disk is full, so this wasn't finished. Make room and run it again.");
      return 1;
    }
    if (isDamaged(error)) {
      note("The database is damaged. Put a snapshot in its place; the README says how.");
      return 1;
    }
    note(`This is a bug in Candor ${version}. Please report it with these lines:`);
    note(String(error instanceof Error ? error.stack : error));
    return 70;
  }
}

/** `candor help incident open`, which commander takes for `candor help incident`. Nothing behind a command is kept: it would run. */
function explained(program: Command, names: string[]): string[] {
  const way: string[] = [];
  let at = program;
  for (const name of names) {
    const below = at.commands.find((command) => command.name() === name);
    // What isn't there is named by commander, with the nearest that is.
    if (!below) return at.commands.length > 0 ? [...way, name] : [...way, "--help"];
    way.push(name);
    at = below;
  }
  return [...way, "--help"];
}

function listCommands(): Command {
  const program = new Command("candor")
    .description("A self-hosted status page in one executable file.")
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "explain a command")
    .option("--data <folder>", "the data folder; default: CANDOR_DATA, then ./data")
    .option(
      "--key-file <file>",
      "the key; default: CANDOR_KEY_FILE, a systemd credential candor.key, then FOLDER.key beside the data folder",
    )
    .option("--page <id>", "the page that is meant, where there are several; default: the first")
    .option("--json", "print JSON for programs")
    .configureHelp({ showGlobalOptions: true })
    .exitOverride();

  program.commandsGroup("Set up and run:");
  addInitCommand(program);
  addServeCommand(program);
  addExampleCommand(program);
  addHealthCommand(program);
  addConfigCommands(program);
  addKeyCommands(program);
  addSnapshotCommand(program);

  program.commandsGroup("Publish:");
  addIncidentCommands(program);
  addComponentCommands(program);
  addGroupCommands(program);

  program.commandsGroup("Tell people:");
  addSubscriberCommands(program);
  addAnnouncementCommands(program);
  addMailCommands(program);

  program.commandsGroup("Who and where:");
  addPageCommands(program);
  addHostCommands(program);
  addCertCommands(program);
  addMemberCommands(program);
  addTokenCommands(program);
  addAuditCommand(program);

  program.commandsGroup("Help:").helpCommand("help [command]", "explain a command");
  program.addHelpText(
    "after",
    `
Commands talk to the running server through the socket in its data folder; while none runs they do the same by
themselves, and what they queue waits for the next server.

Exit status: 0 done, 1 your mistake (said in one line), 70 a bug of ours.

A first page, from nothing:
  $ candor init
  $ candor serve`,
  );
  pointToHelp(program, "candor");
  return program;
}

/** A mistake in a command's words is answered with that command's help, not with the whole program's. */
function pointToHelp(command: Command, name: string): void {
  command.configureOutput({ outputError: (text, write) => write(harmless(inOneLine(text, name))) });
  for (const below of command.commands) pointToHelp(below, `${name} ${below.name()}`);
}

/** "error: unknown command 'incdent'\n(Did you mean incident?)" as one sentence that begins like one. */
function inOneLine(text: string, command: string): string {
  const words = text
    .trim()
    .replace(/^error: /, "")
    .replaceAll(/\s*\n\s*/g, " ");
  const hint = /^(.*?)\.? \((Did you mean .*)\)$/.exec(words);
  const sentence = hint ? `${hint[1]}. ${hint[2]}` : `${words.replace(/\.$/, "")}. See ${command} --help.`;
  return `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}\n`;
}
