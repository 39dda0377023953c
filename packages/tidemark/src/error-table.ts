/** Exit codes of the command line, by meaning. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  configuration: 3,
  unreachable: 4,
  differs: 5,
  gate: 6,
  timeout: 7,
  interrupted: 130,
} as const

export type ExitName = Exclude<keyof typeof exitCodes, 'ok'>

interface ErrorEntry {
  /** What happened. `{name}` is replaced by the parameter of that name. */
  readonly message: string
  /** What the reader can do about it. Takes the same parameters. */
  readonly fix: string
  /** True where the same call may succeed later with nothing changed. */
  readonly retryable: boolean
  readonly httpStatus: number
  readonly exit: ExitName
}

const entry = <M extends string, F extends string>(message: M, fix: F, exit: ExitName, httpStatus = 500, retryable = false) =>
  ({ message, fix, exit, httpStatus, retryable }) as const satisfies ErrorEntry

/** Every error Tidemark raises. `docs/errors.md` is generated from this table. */
export const errorTable = {
  TM_CONFIG_UNKNOWN_KEY: entry(
    'Unknown option "{option}" in {source}.',
    'Remove it or correct its name{suggestion}. docs/configuration.md lists every option.',
    'configuration',
  ),
  TM_CONFIG_BAD_VALUE: entry(
    'Option {option} has the value {value} (from {source}), which is not valid: {reason}.',
    'Give it {expected}.',
    'configuration',
  ),
  TM_CONFIG_MISSING: entry('Option {option} is not set.', '{fix}', 'configuration'),
  TM_CONFIG_FILE_UNREADABLE: entry(
    'The configuration file {path} cannot be read: {reason}.',
    'Correct the file, or name another with --config.',
    'configuration',
  ),
  TM_CLI_USAGE: entry('{reason}', 'Run `{command} --help` to see how the command is called.', 'usage', 400),
  TM_CLI_UNCONFIRMED: entry(
    '{action} needs a confirmation, and there is no terminal to ask on.',
    'Repeat the command with --yes.',
    'usage',
    400,
  ),
  TM_CLI_INTERRUPTED: entry('Interrupted: {state}', '{fix}', 'interrupted', 499),
  TM_INTERNAL: entry(
    'Something failed that should not have: {reason}',
    'This is a defect in Tidemark. Run again with --verbose and report the output.',
    'failed',
  ),
  TM_TIME_TIMEOUT: entry('{what} did not finish within {timeoutMs} ms.', '{fix}', 'timeout', 504, true),

  TM_STATE_FOLDER_UNUSABLE: entry(
    'The state folder {path} cannot be used: {reason}.',
    'Free the space or the permission, or choose another folder with TIDEMARK_STATE_DIR.',
    'configuration',
  ),
  TM_STATE_LOCKED: entry(
    'Another command holds the lock of {path} (pid {pid}) and did not release it within {timeoutMs} ms.',
    'Wait for it to finish, or end that process.',
    'timeout',
    503,
    true,
  ),

  TM_POSTGRES_UNREACHABLE: entry(
    'Postgres at {target} cannot be reached: {reason}.',
    'Check that the server runs and that the host, the port and the network allow a connection.',
    'unreachable',
    503,
    true,
  ),
  TM_POSTGRES_AUTHENTICATION: entry(
    'Postgres at {target} refused the login of "{user}": {reason}.',
    'Check the user name and the password in the connection string.',
    'unreachable',
    503,
  ),
  TM_POSTGRES_TLS: entry(
    'A secure connection to Postgres at {target} could not be made: {reason}.',
    'Set PGSSLMODE (disable, require, verify-ca, verify-full) to what the server offers.',
    'unreachable',
    503,
  ),
  TM_POSTGRES_PERMISSION: entry(
    'Postgres at {target} does not allow this: {reason}.',
    'Grant the right to "{user}", or use a role that has it.',
    'unreachable',
    503,
  ),
  TM_POSTGRES_VERSION: entry(
    'Postgres at {target} is version {version}; Tidemark works with 15 to 18.',
    'Use a supported server.',
    'configuration',
  ),
  TM_POSTGRES_POOL_TIMEOUT: entry(
    'No connection of the {pool} pool became free within {timeoutMs} ms ({inUse} of {maxConnections} in use).',
    'Raise the size of the pool, or find what holds its connections.',
    'timeout',
    503,
    true,
  ),
  TM_POSTGRES_POOL_CLOSED: entry(
    'The {pool} pool is closed.',
    'The process is shutting down; try again on another node.',
    'unreachable',
    503,
    true,
  ),
  TM_POSTGRES_DISK_FULL: entry(
    'Postgres at {target} has no space left: {reason}.',
    'Free space on its disk and run the command again; it goes on where it stopped.',
    'failed',
    507,
    true,
  ),
  TM_POSTGRES_QUERY: entry(
    'Postgres refused a statement ({sqlstate}): {reason}.',
    'The state is as it was before the statement.',
    'failed',
  ),
  TM_POSTGRES_URL: entry(
    'The connection string of Postgres is not valid: {reason}.',
    'Write it as postgres://user:password@host:5432/database; special characters of the password as %XX.',
    'configuration',
  ),
  TM_POSTGRES_NO_DATABASE: entry(
    'Postgres at {target} has no such database: {reason}.',
    'Create it, or correct the name at the end of the connection string.',
    'unreachable',
    503,
  ),
  TM_POSTGRES_CONNECTION_LOST: entry(
    'The connection to Postgres at {target} was lost while a statement ran: {reason}. Whether it took effect is not known.',
    'Look before running it again.',
    'unreachable',
    503,
  ),
  TM_POSTGRES_CONFLICT: entry(
    'Postgres gave up a transaction in favour of another one ({sqlstate}): {reason}.',
    'Run the whole transaction again.',
    'failed',
    409,
    true,
  ),
  TM_POSTGRES_TIMEOUT: entry(
    'Postgres ended a statement before it was done ({sqlstate}): {reason}.',
    'Allow it more time, or find out what it waits for.',
    'timeout',
    504,
    true,
  ),
  TM_POSTGRES_DRIVER_MISSING: entry(
    'The driver "{driver}" is asked for but its package is not installed.',
    'Install it: npm install {driver}',
    'configuration',
  ),
  TM_POSTGRES_EMBEDDED_START: entry('The embedded Postgres did not start: {reason}.', '{fix}', 'unreachable', 503),
  TM_POSTGRES_EMBEDDED_MISSING: entry(
    'There are no embedded Postgres binaries for {platform}.',
    'Set DATABASE_URL to a Postgres server.',
    'configuration',
  ),

  TM_REDIS_UNREACHABLE: entry(
    'Redis at {target} cannot be reached: {reason}.',
    'Check REDIS_URL or UPSTASH_REDIS_REST_URL. Tidemark goes on without it, more slowly.',
    'unreachable',
    503,
    true,
  ),
  TM_REDIS_ABSENT: entry(
    'There is no Redis.',
    'Set REDIS_URL or UPSTASH_REDIS_REST_URL, or install redis-server. Tidemark goes on without it, more slowly.',
    'unreachable',
    503,
    true,
  ),
  TM_REDIS_COMMAND: entry(
    'Redis refused a command: {reason}.',
    'See the reason; the data in Postgres is not affected.',
    'failed',
  ),
  TM_REDIS_AUTHENTICATION: entry(
    'Redis at {target} refused the login: {reason}.',
    'Check the user name and the password or token of the connection.',
    'unreachable',
    503,
  ),
  TM_REDIS_BAD_URL: entry('The address of Redis is not valid: {reason}.', 'Give {expected}.', 'configuration'),
  TM_REDIS_DRIVER_MISSING: entry(
    'Redis over Upstash REST is asked for, but the package @upstash/redis is not installed.',
    'Install it: npm install @upstash/redis',
    'configuration',
  ),
  TM_REDIS_UNSUPPORTED: entry(
    'Redis over {driver} cannot {what}.',
    'Use the TCP address of the same database (REDIS_URL, rediss://…).',
    'configuration',
    501,
  ),
  TM_REDIS_EMBEDDED_START: entry(
    'The private Redis server did not start: {reason}.',
    'Tidemark goes on without it; `tidemark doctor` says more.',
    'unreachable',
    503,
  ),

  TM_SCHEMA_CHECKSUM: entry(
    'The migration {version} was changed after it was applied.',
    'Restore the file to what was applied and put the change into a new migration (`tidemark schema new`).',
    'failed',
    409,
  ),
  TM_SCHEMA_MISSING_FILE: entry(
    'The database has applied the migration {version}, but no such file exists.',
    'Restore the file from version control.',
    'failed',
    409,
  ),
  TM_SCHEMA_OUT_OF_ORDER: entry(
    'The migration {version} is older than {latest}, which is already applied.',
    'Give it a newer version, or pass --allow-out-of-order.',
    'failed',
    409,
  ),
  TM_SCHEMA_BAD_NAME: entry(
    '"{file}" is not a migration file name.',
    'Name it <14-digit UTC time>_<name>.sql, as `tidemark schema new` does.',
    'failed',
    422,
  ),
  TM_SCHEMA_FAILED: entry(
    'The migration {version} failed{where} ({sqlstate}): {reason}.',
    'Correct the file and run `tidemark schema up` again; {state}.',
    'failed',
  ),
  TM_SCHEMA_LOCKED: entry(
    'Another process is migrating this database and did not finish within {timeoutMs} ms.',
    'Wait for it and run the command again.',
    'timeout',
    503,
    true,
  ),
  TM_SCHEMA_DRIFT: entry(
    'The database differs from its migrations in {count} place(s).',
    'Run `tidemark schema diff` to see them, and write a migration.',
    'gate',
    409,
  ),
  TM_SCHEMA_DUPLICATE: entry(
    'The files {first} and {second} have the same version {version}.',
    'Give one of them a newer version.',
    'failed',
    422,
  ),
  TM_SCHEMA_UNKNOWN_TARGET: entry(
    'There is no migration with the version {target}.',
    'Name one that `tidemark schema status` lists, or "head".',
    'usage',
    422,
  ),
  TM_SCHEMA_NO_SOURCE: entry(
    'There is no folder of migrations to write to.',
    'Name one in the configuration; the usual one is supabase/migrations.',
    'configuration',
  ),
  TM_SCHEMA_SCRATCH: entry(
    'The scratch database that the comparison needs cannot be made: {reason}.',
    'Run it as a role that may create databases (ALTER ROLE … CREATEDB), or against another server with the same migrations.',
    'unreachable',
    503,
  ),
  TM_SCHEMA_BOOTSTRAP: entry(
    'The database could not be prepared: {reason}.',
    'Use a role that may create roles and schemas, or run the printed statements as one that may.',
    'unreachable',
  ),

  TM_SQLITE_NOT_FOUND: entry('There is no file {path}.', 'Check the path{suggestion}.', 'usage', 404),
  TM_SQLITE_NOT_A_DATABASE: entry(
    '{path} is not a SQLite database: {reason}.',
    'Check that this is the file your application opens. A file that only an encrypting SQLite build can open reads as noise: decrypt it first with that build.',
    'failed',
    422,
  ),
  TM_SQLITE_CORRUPT: entry(
    '{path} is damaged: {reason}.',
    'Recover it first (`sqlite3 damaged.db .recover | sqlite3 recovered.db`) and move the recovered file.',
    'failed',
    422,
  ),
  TM_SQLITE_EMPTY: entry('{path} holds no tables.', 'Check that this is the file your application opens.', 'failed', 422),
  TM_SQLITE_LOCKED: entry(
    '{path} is locked by another process and was not released within {timeoutMs} ms.',
    'Wait for the writer, or end the program that holds an exclusive lock.',
    'failed',
    423,
    true,
  ),
  TM_SQLITE_PERMISSION: entry(
    '{path} cannot be read: {reason}.',
    'Give this user the right to read the file and to use its folder (SQLite keeps -wal and -shm beside it).',
    'failed',
    403,
  ),
  TM_SQLITE_WAL_ONLY: entry(
    '{path} is empty or missing, but {wal} stands beside it.',
    'The main file was lost or moved without its -wal. Put both files back together and let the application open them once.',
    'failed',
    422,
  ),
  TM_SQLITE_HOT_JOURNAL: entry(
    '{path} was left in the middle of a write: {journal} stands beside it and has to be rolled back first, which needs the right to write.',
    'Let the application open it once (or run `sqlite3 {path} "SELECT 1"`), which undoes the unfinished write, and try again.',
    'failed',
    409,
  ),
  TM_SQLITE_FORMAT: entry(
    '{path} is in a form that SQLite {version} does not read: {reason}.',
    'Update Tidemark, or write the file anew with the program that made it (`VACUUM INTO`).',
    'failed',
    422,
  ),
  TM_SQLITE_IO: entry(
    '{path} could not be read: {reason}.',
    'Check the disk and the mount; SQLite on a network file system is not safe.',
    'failed',
    500,
    true,
  ),
  TM_SQLITE_CHANGED: entry(
    '{path} is not the file or the schema that was planned: {reason}.',
    'Run `tidemark move plan` again.',
    'gate',
    409,
  ),
  TM_SQLITE_BUSY_SCHEMA: entry(
    'The object "{object}" of {path} cannot be read: {reason}.',
    'Open it with the program that created it, or leave it out with --exclude.',
    'failed',
    422,
  ),

  TM_FEED_POSITION: entry(
    'This is no position of the feed: {text}.',
    'Give a position as the feed wrote it, `epoch:number`; without one the feed starts at its present end.',
    'failed',
    400,
  ),
  TM_FEED_EPOCH: entry(
    'The position belongs to another history: {found} instead of {expected}.',
    'The database was restored, promoted or replaced, or the slot made anew: read again what was derived from the feed.',
    'failed',
    409,
  ),
  TM_MOVE_CHOICES_INVALID: entry(
    'The file of choices {path} is not valid: {reason}.',
    'Correct it, or delete it and let `tidemark move plan` write a new one.',
    'configuration',
    422,
  ),
  TM_MOVE_MAP_INVALID: entry(
    'The map {path} does not fit: {reason}.',
    'Correct the map. docs/move.md describes its form.',
    'configuration',
    422,
  ),
  TM_MOVE_TARGET_NOT_EMPTY: entry(
    'The target already holds {what}.',
    'Choose: --on-existing resume (go on with an unfinished copy), --on-existing replace (drop and copy anew), or another --schema.',
    'gate',
    409,
  ),
  TM_MOVE_TARGET_MISSING: entry(
    'The target has no table {table}.',
    'Run its migrations first (`tidemark schema up`), or correct the map.',
    'failed',
    422,
  ),
  TM_MOVE_NAME_COLLISION: entry(
    '{names} would all become {target} in Postgres.',
    'Give one of them another name in the file of choices ("rename").',
    'gate',
    422,
  ),
  TM_MOVE_TOO_WIDE: entry(
    'The table {table} has {columns} columns, and Postgres allows 1600.',
    'Leave it out with --exclude, or split it in the file.',
    'failed',
    422,
  ),
  TM_MOVE_REJECTS: entry(
    '{count} row(s) could not be carried as they are and no policy allows that.',
    'See them with `tidemark move status --rejects`, then choose a policy for each in {choices} and run the copy again.',
    'gate',
    422,
  ),
  TM_MOVE_DIFFERS: entry(
    '{count} row(s) differ between the file and Postgres.',
    'See the report. If the application wrote meanwhile, run `tidemark move copy --on-existing replace` or verify again when it is quiet.',
    'differs',
    409,
  ),
  TM_MOVE_NO_PLAN: entry(
    'There is no move of {path} into this database.',
    'Start it with `tidemark move copy {path}`.',
    'usage',
    404,
  ),
  TM_MOVE_PLAN_CHANGED: entry(
    'An unfinished copy of {path} was made under other choices: {reason}.',
    'Restore the choices, or start again with --on-existing replace.',
    'gate',
    409,
  ),
  TM_MOVE_RUNNING: entry(
    'Another process is moving {path} into this database (pid {pid} on {host}).',
    'Wait for it to finish, or end it.',
    'gate',
    409,
    true,
  ),
  TM_MOVE_WORKER: entry(
    'A copy worker stopped: {reason}.',
    'Run the command again; it goes on where it stopped.',
    'failed',
    500,
    true,
  ),
  TM_MOVE_TYPE_UNSUPPORTED: entry(
    'The column {column} of type {type} cannot receive {source}.',
    'Give the map a conversion for it, or change the type.',
    'configuration',
    422,
  ),
  TM_MOVE_NOT_ALLOWED: entry('{reason}', '{fix}', 'gate', 409),

  TM_SERVER_PORT_TAKEN: entry(
    'Port {port} on {host} is taken.',
    'End what uses it, or choose another with PORT or --port.',
    'configuration',
  ),
  TM_SERVER_LISTEN: entry(
    'The server cannot listen on {host}, port {port}: {reason}.',
    'Choose another address or port with HOST and PORT. Ports below 1024 need a privilege.',
    'configuration',
  ),
  TM_SERVER_REFUSED: entry('The server at {url} did not answer as it should: {reason}', '{fix}', 'unreachable', 502, true),
  TM_SERVER_STARTING: entry(
    'The server is still starting.',
    'Send the request again in a moment; /readyz says when it is ready.',
    'unreachable',
    503,
    true,
  ),
  TM_SERVER_JOB_CANCELLED: entry(
    'The job {kind} was cancelled.',
    'Start it again when you like; a copy goes on where it stopped with onExisting "resume".',
    'interrupted',
    409,
  ),
  TM_SERVER_UNAUTHORIZED: entry('This needs the admin token.', 'Send it as `Authorization: Bearer <token>`.', 'usage', 401),
  TM_SERVER_NOT_FOUND: entry('There is nothing at {method} {path}.', 'docs/admin.md lists the paths.', 'usage', 404),
  TM_SERVER_BAD_REQUEST: entry('The request is not valid: {reason}', 'Correct it and send it again.', 'usage', 400),
  TM_SERVER_NOT_RUNNING: entry('No Tidemark server runs in {path}.', 'Start one with `tidemark dev`.', 'unreachable', 503),
  TM_SERVER_STOPPING: entry(
    'The server is shutting down.',
    'Send the request to another node, or again in a moment.',
    'unreachable',
    503,
    true,
  ),

  TM_OBSERVABILITY_METRIC: entry(
    'The metric "{name}" is not valid: {reason}.',
    'Name it tidemark_<what>_<unit> in snake case, counters tidemark_<what>_total, and define each name once.',
    'failed',
  ),

  TM_RESILIENCE_BREAKER_OPEN: entry(
    'The circuit breaker of {service} is open; the call was not made.',
    'Calls go through again in {retryAfterMs} ms at the earliest.',
    'unreachable',
    503,
    true,
  ),
  TM_RESILIENCE_BAD_OPTION: entry(
    'The option {option} has the value {value}, which is not valid.',
    'Give it {expected}.',
    'configuration',
  ),
  TM_RESILIENCE_RATE_LIMITED: entry(
    'The limit of {limit} calls in {windowMs} ms for {name} is used up.',
    'Try again in {retryAfterMs} ms.',
    'unreachable',
    429,
    true,
  ),
} as const satisfies Readonly<Record<string, ErrorEntry>>
