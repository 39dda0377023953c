import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { until } from '../../time/until.js'

/** Set by the run's global setup: the superuser's connection string of the server under test. */
export const adminUrlVariable = 'TIDEMARK_TEST_ADMIN_URL'
/** Set likewise: keeps the templates of runs on one server apart. */
export const runVariable = 'TIDEMARK_TEST_RUN'

const templatePrefix = (): string => `template_${process.env[runVariable] ?? 'run'}_`

export interface TestTemplate {
  /** Names the template within the run; lower case letters, digits and underscores. */
  readonly name: string
  /** Fills the template database, once per run. Must close every connection it opens. */
  prepare(url: string): Promise<void>
  /** Adds to each clone what a clone does not carry, such as the grants on a database itself. */
  complete?(url: string): Promise<void>
}

export interface TestDatabaseOptions {
  /** What the database is cloned from. Default: an empty one. */
  readonly template?: TestTemplate
}

export interface TestDatabase {
  /** As the superuser. */
  readonly url: string
  readonly name: string
  create(): Promise<void>
  /** Removes the database and its slots. Raises where a connection was left behind that is still there after `graceMs`, by default 20 s. */
  drop(graceMs?: number): Promise<void>
}

/** The superuser's connection string of the server under test. */
export const adminUrl = (): string => {
  const url = process.env[adminUrlVariable]
  if (url) return url
  throw new Error(`${adminUrlVariable} is not set: does the test's name end in .pg.test.ts, and is the global setup in place?`)
}

const urlOf = (database: string): string => {
  const url = new URL(adminUrl())
  url.pathname = `/${database}`
  return url.href
}

const asAdmin = async <T>(fn: (client: pg.Client) => Promise<T>): Promise<T> => {
  const client = new pg.Client({ connectionString: adminUrl(), application_name: 'tidemark-test-admin' })
  await client.connect()
  try {
    return await fn(client)
  } finally {
    await client.end()
  }
}

const exists = async (client: pg.Client, name: string): Promise<boolean> =>
  (await client.query('select from pg_database where datname = $1', [name])).rowCount === 1

/** Made under another name and renamed when it is whole: test files run side by side, and one may fail half way. */
const ensureTemplate = ({ name, prepare }: TestTemplate): Promise<string> =>
  asAdmin(async (client) => {
    if (!/^[a-z0-9_]+$/.test(name)) throw new Error(`"${name}" is not a name for a template`)
    const database = `${templatePrefix()}${name}`
    await client.query('select pg_advisory_lock(hashtext($1))', [database])
    if (await exists(client, database)) return database
    const unfinished = `${database}_unfinished`
    await client.query(`drop database if exists ${unfinished} with (force)`)
    await client.query(`create database ${unfinished} template template0`)
    await prepare(urlOf(unfinished))
    await client.query(`alter database ${unfinished} rename to ${database}`)
    return database
  })

interface Session {
  readonly pid: number
  readonly application_name: string
  readonly state: string | null
  readonly query: string
}

const sessionsOf = async (client: pg.Client, name: string): Promise<Session[]> =>
  (
    await client.query<Session>(
      `select pid, application_name, state, left(query, 200) as query from pg_stat_activity
        where datname = $1 and pid <> pg_backend_pid() and backend_type in ('client backend', 'walsender')`,
      [name],
    )
  ).rows

/** A connection that was just closed, or ended in the middle of something, is listed for a moment longer; one that was left behind, for ever. */
const leakedSessions = async (client: pg.Client, name: string, graceMs: number): Promise<Session[]> => {
  const none = async () => (await sessionsOf(client, name)).length === 0
  return until(none, { timeoutMs: graceMs, what: 'The end of sessions' }).then(
    () => [],
    () => sessionsOf(client, name),
  )
}

const dropSlots = async (client: pg.Client, name: string): Promise<void> => {
  await client.query(
    `select pg_terminate_backend(active_pid, 5000) from pg_replication_slots where database = $1 and active_pid is not null`,
    [name],
  )
  await client.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = $1 and not active', [
    name,
  ])
}

const drop = (name: string, graceMs: number): Promise<void> =>
  asAdmin(async (client) => {
    const leaked = await leakedSessions(client, name, graceMs)
    await dropSlots(client, name)
    await client.query(`drop database if exists ${name} with (force)`)
    if (leaked.length === 0) return
    const list = leaked.map(({ pid, application_name, state, query }) => `${pid} ${application_name} (${state}): ${query}`)
    throw new Error(`${leaked.length} connection(s) to ${name} were left open:\n${list.join('\n')}`)
  })

/** Removes the templates of this run. */
export const dropTemplates = (): Promise<void> =>
  asAdmin(async (client) => {
    const { rows } = await client.query<{ datname: string }>('select datname from pg_database where starts_with(datname, $1)', [
      templatePrefix(),
    ])
    for (const { datname } of rows) await client.query(`drop database ${datname} with (force)`)
  })

/** A database that is named and not yet there: `create` makes it, cloned from a template. */
export const nameTestDatabase = ({ template }: TestDatabaseOptions = {}): TestDatabase => {
  const name = `test_${randomBytes(6).toString('hex')}`
  const url = urlOf(name)
  return {
    url,
    name,
    create: async () => {
      const source = template ? await ensureTemplate(template) : 'template0'
      // Copied as files, and not through the log: that is half of the work, and the first session finds its catalogue prepared.
      await asAdmin((client) => client.query(`create database ${name} template ${source} strategy file_copy`))
      await template?.complete?.(url)
    },
    drop: (graceMs = 20_000) => drop(name, graceMs),
  }
}

/** A database of its own for one test. */
export const createTestDatabase = async (options?: TestDatabaseOptions): Promise<TestDatabase> => {
  const database = nameTestDatabase(options)
  await database.create()
  return database
}
