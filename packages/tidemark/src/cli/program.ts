import { Command, Option } from 'commander'
import { readVersion } from '../server/version.js'
import {
  describeAlerts,
  describeAuth,
  describeBreakers,
  describeCache,
  describeConnections,
  describeDatabase,
  describeFeed,
  describeHooks,
  describeProject,
  describeSchema,
} from './command-tree.js'
import type { CommandContext, GlobalFlags, Lazily, Run } from './context.js'
import { describeMove } from './describe-move.js'
import type { Io } from './terminal/terminal.js'

/** Runs a parsed command: its flags, and what to call. */
export type Execute = (flags: GlobalFlags, run: (context: CommandContext) => Promise<number | undefined>) => Promise<void>

const pathOf = (command: Command): readonly string[] => {
  const names: string[] = []
  for (let at: Command | null = command; at?.parent; at = at.parent) names.unshift(at.name())
  return names
}

const addGlobalFlags = (program: Command): Command =>
  program
    .option('--json', 'print the result as JSON on stdout, all else on stderr')
    .option('-y, --yes', 'do not ask before something is replaced')
    .option('--dry-run', 'say what would be done, and change nothing')
    .option('-q, --quiet', 'print results and errors only')
    .option('-v, --verbose', 'print more, and the causes of errors')
    .option('--no-color', 'no colours; NO_COLOR does the same')
    .option('--config <file>', 'the configuration file (default: tidemark.config.ts beside you)')

const belongsTo = (key: string, path: readonly string[]): boolean => {
  const [first] = path
  if (key.startsWith('server.')) return first === 'dev' || first === 'start'
  if (key.startsWith('move.')) return first === 'move'
  if (key.startsWith('schema.')) return first === 'schema'
  return true
}

/**
 * Gives a command the flags of the options table. They are added when the command is about to be parsed:
 * the table brings its validators along, and `--help` of the program should not wait for them.
 */
const addConfigFlags = async (command: Command): Promise<void> => {
  const { configFlags } = await import('../config/config.js')
  const path = pathOf(command)
  for (const { key, syntax, help, attribute } of configFlags) {
    if (!belongsTo(key, path)) continue
    command.addOption(new Option(syntax, help).helpGroup('Configuration:'))
    // For `--no-x` commander would report x as given and true, which would hide the environment.
    command.setOptionValue(attribute, undefined)
  }
}

/** Leaves get the flags; what only groups others hands on. */
const addFlagsBeforeParsing = (parent: Command): void => {
  parent.hook('preSubcommand', async (_parent, command) => {
    if (command.commands.length > 0) addFlagsBeforeParsing(command)
    if (command.registeredArguments.length > 0 || command.commands.length === 0) await addConfigFlags(command)
  })
}

/** The tree of commands. Nothing that a command needs is loaded before it runs. */
export const createProgram = (io: Io, execute: Execute): Command => {
  const program = new Command('tidemark')
  const lazily: Lazily =
    <Flags>(load: () => Promise<Run<Flags>>) =>
    async (...parsed) => {
      const command = parsed.at(-1) as Command
      const operands = parsed.slice(0, -2).flat() as (string | undefined)[]
      const flags = command.optsWithGlobals<Flags & GlobalFlags>()
      await execute(flags, async (context) => (await load())(context, operands, flags))
    }
  addGlobalFlags(program)
    .description('Moves a SQLite application onto Postgres and keeps every copy of its data in step.')
    .version(readVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      // main prints errors in one form, whoever raised them.
      outputError: () => {},
    })
    .exitOverride()
    .showSuggestionAfterError()
  for (const describe of [
    describeProject,
    describeSchema,
    describeMove,
    describeFeed,
    describeCache,
    describeBreakers,
    describeConnections,
    describeAlerts,
    describeHooks,
    describeAuth,
    describeDatabase,
  ])
    describe(program, lazily)
  program.addHelpText(
    'after',
    `\nStart here:\n  tidemark dev           a server with its own Postgres, for trying things out\n  tidemark move app.db   copy a SQLite file into Postgres, and prove it`,
  )
  addFlagsBeforeParsing(program)
  return program
}
