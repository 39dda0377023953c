import { type Command, Option } from 'commander'
import type { Lazily } from './context.js'
import { list, positiveInteger } from './option-kinds.js'

const showKeys = ['--show-keys', 'show the service key, the admin token and passwords too'] as const

/** dev, start, doctor, status. */
export const describeProject = (program: Command, lazily: Lazily): void => {
  program
    .command('dev')
    .description('start a server for trying things out, with its own Postgres (and Redis, where one is installed)')
    .argument(
      '[command...]',
      'after --, a command to run beside it, with the variables by which it finds its Postgres, Redis and keys',
    )
    .option('--sample <file>', 'a SQLite file to move in on the first run, into a schema of its own')
    .option(...showKeys)
    .action(lazily(async () => (await import('./commands/dev.js')).dev))
  program
    .command('start')
    .description('start the server as it runs in production')
    .option(...showKeys)
    .action(lazily(async () => (await import('./commands/start.js')).start))
  program
    .command('status')
    .description('what runs in this project: addresses, keys, Postgres, Redis')
    .option(...showKeys)
    .action(lazily(async () => (await import('./commands/status.js')).status))
  program
    .command('doctor')
    .description('check the machine, Postgres and Redis, and say what to do about what is wrong')
    .action(lazily(async () => (await import('./commands/doctor.js')).doctor))
}

export const describeSchema = (program: Command, lazily: Lazily): void => {
  const schema = program
    .command('schema')
    .description('SQL migrations, in the layout of Supabase: supabase/migrations/<time>_<name>.sql')
  schema
    .command('new')
    .description('write an empty migration')
    .argument('<name>', 'what it does, in a few words')
    .action(lazily(async () => (await import('./commands/schema.js')).schemaNew))
  schema
    .command('up')
    .description('apply what is pending')
    .argument('[version]', 'the last migration to apply (default: all)')
    .option('--allow-out-of-order', 'also apply migrations older than the newest applied one')
    .action(lazily(async () => (await import('./commands/schema.js')).schemaUp))
  schema
    .command('status')
    .description('which migrations are applied, pending, changed or missing')
    .action(lazily(async () => (await import('./commands/schema.js')).schemaStatus))
  schema
    .command('diff')
    .description('how the database differs from the migrations; exit code 6 where it does')
    .option('--schema <names>', 'schemas to compare (repeat, or separate by commas)', list)
    .action(lazily(async () => (await import('./commands/schema.js')).schemaDiff))
  schema
    .command('check')
    .description('what anon and authenticated reach and should not, with the SQL that closes it; exit code 6 on errors')
    .option('--schema <names>', 'schemas to look at (repeat, or separate by commas; default: those that the API serves)', list)
    .action(lazily(async () => (await import('./commands/schema.js')).schemaCheck))
  schema
    .command('types')
    .description('TypeScript types of the live database')
    .option('--schema <names>', 'schemas to describe (repeat, or separate by commas; default: public)', list)
    .option('--out <file>', 'write them to a file')
    .action(lazily(async () => (await import('./commands/schema.js')).schemaTypes))
}

export const describeFeed = (program: Command, lazily: Lazily): void => {
  const feed = program.command('feed').description('the ordered feed of changes that everything else follows')
  feed
    .command('tail')
    .description('print changes as they come, until Ctrl-C; with --json one object a line')
    .option(
      '--tables <names>',
      'only these, as schema.table (repeat, or separate by commas; default: every table with a key)',
      list,
    )
    .option('--from <position>', 'go on from a position of the feed, as far as Redis still keeps it')
    .action(lazily(async () => (await import('./commands/feed.js')).feedTail))
  feed
    .command('lag')
    .description('how far the feed is: slots, followers, the stream; exit code 6 where a slot is lost or soon will be')
    .action(lazily(async () => (await import('./commands/feed.js')).feedLag))
  feed
    .command('slots')
    .description("the feed's replication slots, and what they keep")
    .option('--drop <name>', 'remove one; what only it held back can never be read again')
    .action(lazily(async () => (await import('./commands/feed.js')).feedSlots))
  describeOutbox(feed, lazily)
}

/** The source of changes for databases that give no replication slot. A server installs it by itself on what it follows. */
const describeOutbox = (feed: Command, lazily: Lazily): void => {
  const tables = ['[tables...]', 'as schema.table'] as const
  const outbox = feed.command('outbox').description('the table that triggers fill, for databases that give no replication slot')
  outbox
    .command('status')
    .description('which tables it is on, and what it holds for whom')
    .action(lazily(async () => (await import('./commands/feed-outbox.js')).feedOutbox))
  outbox
    .command('install')
    .description('put its triggers on tables (default: feed.tables); a server does so by itself for what it follows')
    .argument(...tables)
    .action(lazily(async () => (await import('./commands/feed-outbox.js')).feedOutboxInstall))
  outbox
    .command('remove')
    .description('take its triggers off tables (default: all, and then everything that was not read)')
    .argument(...tables)
    .action(lazily(async () => (await import('./commands/feed-outbox.js')).feedOutboxRemove))
  outbox
    .command('prune')
    .description('delete what nobody waits for; a server that reads does so by itself')
    .option('--forget <reader>', 'first forget a reader that will not come back')
    .action(lazily(async () => (await import('./commands/feed-outbox.js')).feedOutboxPrune))
}

export const describeCache = (program: Command, lazily: Lazily): void => {
  const cache = program.command('cache').description('cached values: what they do, what is in them, and away with them')
  cache
    .command('stats')
    .description('hits, loads, memory and age, for each entry and node')
    .action(lazily(async () => (await import('./commands/cache.js')).cacheStats))
  cache
    .command('get')
    .argument('<key>', 'such as chat:messages:42, with or without cache.prefix')
    .description('what Redis holds under a key: how old it is, until when, and its value')
    .action(lazily(async () => (await import('./commands/cache.js')).cacheGet))
  cache
    .command('evict')
    .argument('[key]', 'such as chat:messages:42, with or without cache.prefix')
    .description('take values away, on all nodes')
    .option('--tag <tag>', 'every value that carries the tag')
    .option('--table <table>', 'every value of the entries that follow a table')
    .option('--entry <name>', 'every value of an entry')
    .option('--all', 'everything')
    .action(lazily(async () => (await import('./commands/cache.js')).cacheEvict))
}

const breakerCommands = () => import('./commands/breakers.js')

export const describeBreakers = (program: Command, lazily: Lazily): void => {
  const breakers = program.command('breakers').description('circuit breakers: what they keep from being called, and why')
  const held = (command: Command): Command =>
    command
      .argument('<service>', 'as the list names it')
      .option('--reason <text>', 'kept with the transition, for those who ask later')
      .option('--for <time>', 'hold it there so long, such as 30m (default: until it is reset)')
  breakers
    .command('list', { isDefault: true })
    .description('every service that a breaker stands before, as all processes see it')
    .action(lazily(async () => (await breakerCommands()).breakersList))
  held(breakers.command('open'))
    .description('refuse all calls to a service')
    .action(lazily(async () => (await breakerCommands()).breakersOpen))
  held(breakers.command('close'))
    .description('let all calls through, whatever becomes of them')
    .action(lazily(async () => (await breakerCommands()).breakersClose))
  breakers
    .command('reset')
    .argument('<service>', 'as the list names it')
    .option('--reason <text>', 'kept with the transition')
    .description('let go of a breaker, with nothing counted')
    .action(lazily(async () => (await breakerCommands()).breakersReset))
}

export const describeConnections = (program: Command, lazily: Lazily): void => {
  const commands = () => import('./commands/connections.js')
  const connections = program
    .command('connections')
    .description('clients of realtime: who is connected to which server, and to what')
  connections
    .command('list', { isDefault: true })
    .description('connections of all servers, in the order in which they came')
    .option('--node <name>', 'of one server, as the list names it')
    .addOption(new Option('--protocol <name>', 'of one protocol').choices(['supabase', 'pusher']))
    .option('--user <id>', 'of one user')
    .option('--channel <name>', 'those that listen to it')
    .option('--after <id>', 'those behind this one')
    .option('--limit <number>', 'how many, at most 500 (default: 100)', positiveInteger)
    .action(lazily(async () => (await commands()).connectionsList))
  connections
    .command('close')
    .argument('<id>', 'as the list names it')
    .description('end a connection, on whichever server it is; its client is told why')
    .action(lazily(async () => (await commands()).connectionsClose))
}

const alertCommands = () => import('./commands/alerts.js')

export const describeAlerts = (program: Command, lazily: Lazily): void => {
  const alerts = program.command('alerts').description('what is wrong, who looks after it, and who is told')
  const by = ['--by <name>', 'who says so (default: the user of this machine)'] as const
  alerts
    .command('list', { isDefault: true })
    .description('alerts that are open, silences, channels')
    .addOption(new Option('--status <status>', 'which alerts').choices(['open', 'active', 'acknowledged', 'resolved', 'all']))
    .action(lazily(async () => (await alertCommands()).alertsList))
  alerts
    .command('ack')
    .argument('<id>', 'its id, or the beginning of it')
    .description('say that somebody looks after an alert: it is told no more')
    .option(...by)
    .action(lazily(async () => (await alertCommands()).alertsAck))
  alerts
    .command('resolve')
    .argument('<id>', 'its id, or the beginning of it')
    .description('end an alert; who still sees the trouble opens another')
    .option(...by)
    .action(lazily(async () => (await alertCommands()).alertsResolve))
  alerts
    .command('silence')
    .argument('[matchers...]', 'such as alert_type=disk entity_id=~eu-*; all have to hold')
    .description('tell nobody of what matches, for a time')
    .option('--for <time>', 'how long (default: 1h)')
    .option('--comment <text>', 'why')
    .option('--end <id>', 'end this silence now')
    .option(...by)
    .action(lazily(async () => (await alertCommands()).alertsSilence))
  alerts
    .command('test')
    .argument('<channel>', 'its name')
    .description('send a test by a channel')
    .action(lazily(async () => (await alertCommands()).alertsTest))
}

const addEventOptions = (command: Command): Command =>
  command
    .option('--provider <name>', 'of one provider')
    .option('--type <type>', 'of one type, such as contact.created')
    .option('--status <names>', 'accepted, processing, processed, failed, dead (repeat, or separate by commas)', list)
    .option('--reason <name>', 'why they are dead: attempts, refused, unparseable, crash_loop, no_handler')
    .option('--entity <id>', "about one thing, by the provider's id of it")
    .option('--since <time>', 'received since then: a time, or how long ago, such as 2h')
    .option('--until <time>', 'received before that')

const collect = (text: string, before: readonly string[] = []): readonly string[] => [...before, text]

const hooks = () => import('./commands/hooks.js')

export const describeHooks = (program: Command, lazily: Lazily): void => {
  const events = program.command('hooks').description('events that came by webhook: what became of them, and sending them again')
  const limit = ['--limit <number>', 'how many, the newest first (default: 50)', positiveInteger] as const
  addEventOptions(events.command('list', { isDefault: true }))
    .description('events, the newest first, and how many there are of each status')
    .option(...limit)
    .action(lazily(async () => (await hooks()).hooksList))
  events
    .command('show')
    .argument('<id>', 'of the event')
    .description('everything that is known of an event, and what was received')
    .action(lazily(async () => (await hooks()).hooksShow))
  events
    .command('send')
    .argument('<provider>', 'as it is configured')
    .argument('<file>', 'the body')
    .description("deliver a body to the project's server, signed as the provider would")
    .option('--header <line>', 'send this header instead of signing (repeat)', collect)
    .action(lazily(async () => (await hooks()).hooksSend))
  addEventOptions(events.command('dlq'))
    .description('dead letters, the newest first')
    .option(...limit)
    .action(lazily(async () => (await hooks()).hooksDlq))
  addEventOptions(events.command('replay'))
    .argument('[ids...]', 'of the events')
    .description('send events through again: dead letters, unless --status says otherwise; --dry-run counts them')
    .option('--all', 'every dead letter')
    .option('--body <file>', 'send one event through with the body in this file; what came is kept')
    .option('--wait', 'show how far it is, until it is over')
    .action(lazily(async () => (await hooks()).hooksReplay))
  events
    .command('replays')
    .description('what was sent again, by whom, and how far that is')
    .action(lazily(async () => (await hooks()).hooksReplays))
}

const authCommands = () => import('./commands/auth.js')

export const describeAuth = (program: Command, lazily: Lazily): void => {
  const auth = program.command('auth').description("the project's own users: its keys, and one-time codes")
  const showSecret = ['--show-keys', 'show secret keys too'] as const
  const keys = auth.command('keys').description('the keys that open the API, and those that sign tokens')
  keys
    .command('list', { isDefault: true })
    .description('the keys, and until when old ones count')
    .option(...showSecret)
    .action(lazily(async () => (await authCommands()).authKeys))
  keys
    .command('rotate')
    .argument('<kind>', 'jwt-secret, es256, publishable or secret')
    .description('put a new key in the place of one; running servers notice')
    .option('--grace <time>', 'how long the old one still counts; 0 for one that has leaked', '7d')
    .option(...showSecret)
    .action(lazily(async () => (await authCommands()).authKeysRotate))
  keys
    .command('add')
    .argument('<kind>', 'es256')
    .description('sign sessions with a key pair, so that anyone can verify their tokens')
    .option(...showSecret)
    .action(lazily(async () => (await authCommands()).authKeysAdd))
  auth
    .command('codes')
    .argument('[to]', 'an email address or a phone number')
    .description('one-time codes under way, in development: nothing is sent there')
    .action(lazily(async () => (await authCommands()).authCodes))
}

export const describeDatabase = (program: Command, lazily: Lazily): void => {
  const db = program.command('db').description("the project's Postgres")
  const role = () =>
    new Option('--role <role>', 'whose connection').choices(['migrator', 'app', 'authenticator', 'feed']).default('migrator')
  db.command('url')
    .description('print its connection string; the password shows with --show-keys, and where stdout is not a terminal')
    .addOption(role())
    .option('--show-keys', 'show the password on a terminal')
    .action(lazily(async () => (await import('./commands/db.js')).dbUrl))
  db.command('psql')
    .description('open psql on it, or a small SQL prompt where psql is not installed')
    .addOption(role())
    .option('-c, --command <sql>', 'run this and end')
    .action(lazily(async () => (await import('./commands/db.js')).dbPsql))
  const backup = () => import('./commands/backup.js')
  db.command('backup')
    .description('copy the embedded Postgres into a folder of its own below this one, while it works')
    .argument('<folder>', 'where backups are kept')
    .option('--keep <number>', 'remove all but so many of the newest, and the archived log that only they need', positiveInteger)
    .action(lazily(async () => (await backup()).dbBackup))
  db.command('backups')
    .description('the backups of a folder')
    .argument('<folder>', 'where backups are kept')
    .action(lazily(async () => (await backup()).dbBackups))
  db.command('restore')
    .description('bring the embedded Postgres back from a backup, up to a moment; what was there is kept beside it')
    .argument('<folder>', 'where backups are kept')
    .option('--to-time <time>', 'nothing that was committed after it, such as 2026-01-31T12:00:00Z (default: all there is)')
    .option('--backup <name>', 'which backup to begin from (default: the newest before that moment)')
    .option('--timeline <which>', 'where there were restores before: a number, current or latest (default: latest)')
    .action(lazily(async () => (await backup()).dbRestore))
}
