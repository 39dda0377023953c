/** What has to hold after each journey, and when the move is given up. Strict: one row is enough to fail. */
import Sqlite from 'better-sqlite3'
import pg from 'pg'
import { differences, ledgerOf } from './compare.ts'
import type { PostgresWriter } from './live/postgres-writer.ts'
import type { SqliteWriter } from './live/sqlite-writer.ts'
import type { Project } from './project.ts'
import type { Tally } from './tally.ts'

const some = (numbers: readonly number[]): string => numbers.slice(0, 5).join(', ')

/** Every accepted write is there once; what is there besides is a write whose answer never came. */
const checkLedger = (
  { path }: Project,
  tally: Tally,
  writer: string,
  accepted: ReadonlySet<number>,
  unknown: ReadonlySet<number>,
): void => {
  const kept = ledgerOf(path, writer)
  const lost = [...accepted].filter((n) => !kept.has(n))
  const doubled = [...kept].flatMap(([n, times]) => (times > 1 ? [n] : []))
  const invented = [...kept.keys()].filter((n) => !accepted.has(n) && !unknown.has(n))
  if (accepted.size === 0) tally.fail(`${writer} wrote nothing`)
  if (lost.length > 0) tally.fail(`${lost.length} accepted writes of ${writer} are lost: ${some(lost)}`)
  if (doubled.length > 0) tally.fail(`${doubled.length} writes of ${writer} are there twice: ${some(doubled)}`)
  if (invented.length > 0) tally.fail(`${invented.length} writes of ${writer} were never accepted: ${some(invented)}`)
}

export const checkJourney = async (
  project: Project,
  tally: Tally,
  { forward, backward, number }: { forward: SqliteWriter; backward: PostgresWriter; number: number },
): Promise<void> => {
  checkLedger(project, tally, forward.name, forward.accepted, new Set([Math.max(0, ...forward.accepted) + 1]))
  checkLedger(project, tally, backward.name, backward.accepted, backward.unknown)
  const found = await differences(project.path, await project.url())
  if (found.length > 0)
    tally.fail(`round ${number}, after the rollback: ${found.length} rows differ:\n    ${found.slice(0, 10).join('\n    ')}`)
}

/** The server's own feed is not of the move. */
const leftInPostgres = `
  SELECT 'the slot ' || slot_name AS what FROM pg_replication_slots WHERE slot_name NOT LIKE 'tidemark\\_%\\_feed'
  UNION ALL SELECT 'the publication ' || pubname FROM pg_publication WHERE pubname LIKE 'tidemark%' AND pubname <> 'tidemark_feed'
  UNION ALL SELECT 'the trigger ' || tgname || ' on ' || tgrelid::regclass FROM pg_trigger WHERE tgname LIKE '\\_tidemark%'
  UNION ALL SELECT 'the table ' || oid::regclass FROM pg_class WHERE relname IN ('accounts', 'items', 'tags', 'codes', 'notes', 'ledger') AND relkind = 'r'`

/** After the move was given up, nothing of it is left on either side, and the file is a whole one. */
export const checkTraces = async ({ path, url }: Project, tally: Tally): Promise<void> => {
  const db = new Sqlite(path, { readonly: true })
  const left = db.prepare("SELECT name FROM sqlite_schema WHERE name LIKE '%tidemark%' OR sql LIKE '%tidemark%'").pluck().all()
  const health = db.pragma('integrity_check', { simple: true })
  const orphans = db.pragma('foreign_key_check') as unknown[]
  db.close()
  if (left.length > 0) tally.fail(`left in the file: ${left.join(', ')}`)
  if (health !== 'ok') tally.fail(`the file is damaged: ${health}`)
  if (orphans.length > 0) tally.fail(`${orphans.length} rows of the file have no parent`)
  const client = new pg.Client({ connectionString: await url() })
  await client.connect()
  const { rows } = await client.query<{ what: string }>(leftInPostgres)
  await client.end()
  if (rows.length > 0) tally.fail(`left in Postgres: ${rows.map(({ what }) => what).join(', ')}`)
}
