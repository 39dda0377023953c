/** Postgres as a store. The driver is loaded when one is opened, and not before. */
import { CompiledQuery, type DatabaseConnection, Kysely, PostgresDialect } from 'kysely'
import type pg from 'pg'
import { quoteIdentifier } from '../move/translate/identifiers.js'
import { parseConnection } from '../postgres/driver/connection.js'
import { type Backend, readOnlyPlugin } from './backend.js'
import type { PostgresStoreOptions } from './store.js'
import { decodeInteger, WrittenNumber } from './values/column-coder.js'
import type { ValuePlugin } from './values/value-plugin.js'
import { watched } from './watched-dialect.js'

const defaultConnections = 10
const defaultConnectMs = 2000

/** Where the session's zone is UTC, as ISO 8601 has it. */
const isoText = (text: string): string => text.replace(' ', 'T').replace(/\+00$/, 'Z')

/** What is not text: everything else comes as Postgres writes it, and the columns say what becomes of it. */
const parsers: readonly (readonly [oids: readonly number[], parse: (text: string) => unknown])[] = [
  [[20], (text) => decodeInteger(BigInt(text))],
  [[21, 23, 26, 700, 701, 1700], Number],
  [[114, 3802, 1082, 1083, 1114, 1266, 1186], (text) => text],
  [[1184], isoText],
]

const numericOid = 1700

const setParsers = (client: pg.PoolClient, keepsDigits: boolean): void => {
  const types = client as unknown as { setTypeParser(oid: number, format: 'text', parse: (text: string) => unknown): void }
  for (const [oids, parse] of parsers) for (const oid of oids) types.setTypeParser(oid, 'text', parse)
  if (keepsDigits) types.setTypeParser(numericOid, 'text', (text) => new WrittenNumber(text))
}

const sessionSettings = (schema: string): string =>
  `SET timezone = 'UTC'; SET datestyle = 'ISO'; SET extra_float_digits = 1; SET bytea_output = 'hex'; SET search_path = ${quoteIdentifier(schema)}, public`

/** Makes the pool; connects at the first query. Where it `keepsDigits`, a numeric is a {@link WrittenNumber}. Raises TM_POSTGRES_URL. */
export const openPool = async (options: PostgresStoreOptions, keepsDigits = false): Promise<pg.Pool> => {
  const { url, maxConnections = defaultConnections, connectTimeoutMs = defaultConnectMs } = options
  const [{ default: driver }, { pgDriver }] = await Promise.all([import('pg'), import('../postgres/driver/pg-driver.js')])
  const target = parseConnection(url)
  const Client = await pgDriver.clientClass({
    target,
    applicationName: 'tidemark/store',
    connectTimeoutMs: target.connectTimeoutMs ?? connectTimeoutMs,
    statementTimeoutMs: undefined,
    onConnected: () => {},
  })
  const pool = new driver.Pool({ Client, max: maxConnections })
  // A connection that breaks while nobody uses it is taken out of the pool; the next query opens another.
  pool.on('error', () => {})
  pool.on('connect', (client) => setParsers(client, keepsDigits))
  return pool
}

/**
 * A store over a pool, which stays its owner's. Behind a transaction pooler nothing of a session lasts: there the schema is written into each
 * query that Kysely builds, and raw SQL has to name it.
 */
export const openPostgresBackend = async <DB>(
  pool: pg.Pool,
  { url, schema = 'public' }: PostgresStoreOptions,
  values: ValuePlugin,
): Promise<Backend<DB>> => {
  const { transactionPooler } = parseConnection(url)
  const onCreateConnection = async (connection: DatabaseConnection) => {
    await connection.executeQuery(CompiledQuery.raw(sessionSettings(schema)))
  }
  const dialect = watched(
    new PostgresDialect({
      // Kysely would end the pool; the store has other uses for it.
      pool: { connect: () => pool.connect(), end: async () => {} },
      ...(!transactionPooler && { onCreateConnection }),
    }),
    { failsWhole: true, again: (step) => step() },
  )
  const db = new Kysely<DB>({ dialect, plugins: [values] })
  const writer = transactionPooler && schema !== 'public' ? db.withSchema(schema) : db
  return {
    kind: 'postgres',
    writer,
    reader: writer.withPlugin(readOnlyPlugin),
    close: () => db.destroy(),
  }
}
