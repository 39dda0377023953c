import { type Command, Option } from 'commander'
import type { Lazily } from './context.js'
import { list, positiveInteger } from './option-kinds.js'

/** What shapes a plan, and so belongs to plan, copy and verify alike. */
const addPlanOptions = (command: Command): Command =>
  command
    .option('--to <url>', "the Postgres to move into (default: the project's)")
    .option('--schema <name>', 'the schema to move into (default: public)')
    .addOption(new Option('--into <where>', 'new tables, or tables that exist').choices(['new', 'existing']))
    .option('--map <file>', 'how the file maps to tables that exist')
    .option('--choices <file>', 'types and policies per column, as `move plan` writes them (default: ./<name>.move.json)')
    .addOption(new Option('--names <form>', 'identifiers as they are, or in lower case').choices(['exact', 'lower']))
    .option('--exclude <tables>', 'tables to leave out (repeat, or separate by commas)', list)

const addCopyOptions = (command: Command): Command =>
  command.addOption(
    new Option(
      '--on-existing <how>',
      'where the target is not empty: refuse, go on with an unfinished copy, or drop and copy anew',
    )
      .choices(['refuse', 'resume', 'replace'])
      .default('refuse'),
  )

const addVerifyOptions = (command: Command): Command =>
  command.option('--max-differences <number>', 'how many differing rows to show per table', positiveInteger)

/** Which move is meant. */
const addWhichOptions = (command: Command): Command =>
  command
    .argument('<file>', 'the SQLite file')
    .option('--to <url>', "the Postgres that is moved into (default: the project's)")
    .option('--schema <name>', 'where the file is moved into several schemas')

const addSwitchOptions = (command: Command): Command =>
  command
    .option('--max-pause <time>', 'how long writes may be refused; beyond it the switch undoes itself (default: 2s)')
    .option('--on-cutover <command>', 'a command to run when the switch is done; it finds DATABASE_PROVIDER in its environment')

const live = () => import('./commands/live-move.js')

const describeLiveMove = (move: Command, lazily: Lazily): void => {
  addWhichOptions(move.command('follow'))
    .description('go on with a move: follow SQLite before the cutover, mirror Postgres back after it')
    .option('--until-ready', 'end when the cutover could begin')
    .action(lazily(async () => (await live()).moveFollow))
  addWhichOptions(move.command('reads'))
    .argument('<share>', 'from 0% to 100%')
    .description('let Postgres answer a share of the reads before the cutover')
    .action(lazily(async () => (await live()).moveReads))
  addSwitchOptions(addWhichOptions(move.command('cutover')))
    .description('switch writes from SQLite to Postgres, then keep the file in step')
    .option('--no-mirror', 'end after the switch; `move follow` mirrors')
    .action(lazily(async () => (await live()).moveCutover))
  addSwitchOptions(addWhichOptions(move.command('rollback')))
    .description('switch writes back to SQLite, with everything that Postgres took')
    .option('--without-postgres', 'open the file although Postgres is dead, as far as it is mirrored')
    .action(lazily(async () => (await live()).moveRollback))
  addWhichOptions(move.command('finish'))
    .description('end the move for good; refused within 7 days of the cutover unless --yes')
    .action(lazily(async () => (await live()).moveFinish))
  addWhichOptions(move.command('abort'))
    .description('take the move back: the file and Postgres are as before')
    .option('--keep-tables', 'leave the copy in Postgres')
    .action(lazily(async () => (await live()).moveAbort))
  addWhichOptions(move.command('export'))
    .description('write what Postgres holds into a new SQLite file')
    .requiredOption('--out <file>', 'the file to make')
    .action(lazily(async () => (await live()).moveExport))
}

export const describeMove = (program: Command, lazily: Lazily): void => {
  const move = program
    .command('move')
    .description('move a SQLite file into Postgres: copy it, follow its changes and compare, up to the cutover')
    .argument('[file]', 'the SQLite file')
    // Options before a subcommand are those of the whole move; after it they are the subcommand's.
    .enablePositionalOptions()
  addVerifyOptions(addCopyOptions(addPlanOptions(move)))
    .option('--once', 'plan, copy and verify, and end: for a file that nobody writes to')
    .option('--until-ready', 'end when the cutover could begin')
    .action(lazily(async () => (await import('./commands/move.js')).moveAll))
  addPlanOptions(move.command('plan').argument('<file>', 'the SQLite file'))
    .description('read the file, and say what would become of every table, column and value')
    .option('--out <file>', 'where to write the report (default: ./<name>.move.md)')
    .action(lazily(async () => (await import('./commands/move.js')).movePlan))
  addCopyOptions(addPlanOptions(move.command('copy').argument('<file>', 'the SQLite file')))
    .description('copy the file into Postgres; can be interrupted and resumed')
    .action(lazily(async () => (await import('./commands/move.js')).moveCopy))
  addVerifyOptions(addPlanOptions(move.command('verify').argument('<file>', 'the SQLite file')))
    .description('compare every row of the file with Postgres; exit code 5 where they differ')
    .option('--tables <names>', 'only these tables (repeat, or separate by commas)', list)
    .action(lazily(async () => (await import('./commands/move.js')).moveVerify))
  describeLiveMove(move, lazily)
  move
    .command('status')
    .description('the moves into this database, and how far they are')
    .argument('[file]', 'only the move of this file')
    .option('--to <url>', "the Postgres that was moved into (default: the project's)")
    .option('--rejects', 'list the values that were not carried as they are')
    .option('--limit <number>', 'how many rejects to list (default: 100)', positiveInteger)
    .action(lazily(async () => (await import('./commands/move.js')).moveStatus))
}
