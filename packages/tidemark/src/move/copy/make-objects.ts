/** Keys, indexes, constraints, sequences and views, made when the rows are there; each once, however often the copy is taken up again. */
import type pg from 'pg'
import { reasonOf } from '../../errors.js'
import { sqlstateOf } from '../../postgres/postgres-error.js'
import type { MoveListener, MovePlan, ObjectDecision, TablePlan } from '../move.js'
import { quoteIdentifier } from '../translate/translate.js'

export interface ObjectsReport {
  readonly made: number
  readonly failed: readonly { readonly name: string; readonly reason: string }[]
  /** Constraints that hold for new rows, while rows that came along break them. */
  readonly unvalidated: readonly string[]
}

/** A constraint that rows of the file break stays for new rows (NOT VALID): foreign key, check and not-null violations. */
const brokenByRows = new Set(['23503', '23514', '23502'])

/** What each object is noted as; one object of the file may become several of Postgres (a folded key: the key and a unique index). */
const entriesOf = (objects: readonly ObjectDecision[]): ReadonlyMap<ObjectDecision, string> => {
  const seen = new Map<string, number>()
  const entries = new Map<ObjectDecision, string>()
  for (const object of objects) {
    const entry = `#${object.type} ${object.table ?? ''}.${object.name}`
    const count = (seen.get(entry) ?? 0) + 1
    seen.set(entry, count)
    entries.set(object, count === 1 ? entry : `${entry} ${count}`)
  }
  return entries
}

const isMade = async (client: pg.Client, runId: string, entry: string): Promise<boolean> => {
  const { rowCount } = await client.query('SELECT 1 FROM tidemark.move_progress WHERE run_id = $1 AND table_name = $2', [
    runId,
    entry,
  ])
  return rowCount === 1
}

const isValidation = (sql: string): boolean => /\bVALIDATE CONSTRAINT\b/.test(sql)

/** Runs one object's statements and notes it as made, in one transaction. */
const make = async (client: pg.Client, runId: string, object: ObjectDecision, entry: string): Promise<void> => {
  await client.query('BEGIN')
  try {
    for (const sql of object.sql) if (!isValidation(sql)) await client.query(sql)
    await client.query(
      "INSERT INTO tidemark.move_progress (run_id, table_name, unit, last_key, done) VALUES ($1, $2, 0, '{}', true)",
      [runId, entry],
    )
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  }
}

const tableName = ({ targetSchema, target }: TablePlan): string => `${quoteIdentifier(targetSchema)}.${quoteIdentifier(target)}`

/**
 * A row that was written anew while a live table was walked by its rowids may have been read at both its places. Its key stands in the log, so
 * following brings over what became of it, and which of the two stays until then does not matter.
 */
const removeDoubles = async (client: pg.Client, table: TablePlan): Promise<void> => {
  const columns = table.primaryKey.map(quoteIdentifier)
  const [key, isWhole] = [columns.join(', '), columns.map((column) => `${column} IS NOT NULL`).join(' AND ')]
  const name = tableName(table)
  await client.query(`BEGIN; SET LOCAL tidemark.origin = 'move'`)
  try {
    await client.query(
      `DELETE FROM ${name} WHERE ctid IN (
         SELECT ctid FROM (SELECT ctid, row_number() OVER (PARTITION BY ${key}) AS n FROM ${name} WHERE ${isWhole}) AS t WHERE n > 1)`,
    )
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  }
}

/** As {@link make}; the key of a live table also where rows came twice. */
const makeOnce = async (object: ObjectDecision, entry: string, { client, runId, live }: Making): Promise<void> => {
  try {
    await make(client, runId, object, entry)
  } catch (error) {
    const table = object.type === 'primaryKey' ? live.get(object.table ?? '') : undefined
    if (!table || sqlstateOf(error) !== '23505') throw error
    await removeDoubles(client, table)
    await make(client, runId, object, entry)
  }
}

/** Apart from making, since it may fail for good reason; what is valid already costs nothing, so it is asked for each time. */
const validate = async (client: pg.Client, object: ObjectDecision): Promise<boolean> => {
  try {
    for (const sql of object.sql) if (isValidation(sql)) await client.query(sql)
    return true
  } catch (error) {
    if (brokenByRows.has(sqlstateOf(error) ?? '')) return false
    throw error
  }
}

interface Making {
  readonly client: pg.Client
  readonly runId: string
  readonly entries: ReadonlyMap<ObjectDecision, string>
  /** The tables whose changes are captured, by their name in the file. */
  readonly live: ReadonlyMap<string, TablePlan>
  readonly onEvent: MoveListener
  readonly signal: AbortSignal
  /** False where no row came since they were last gathered. */
  readonly gathersStatistics: boolean
}

interface Tally {
  made: number
  readonly failed: { name: string; reason: string }[]
  readonly unvalidated: string[]
}

/** Whether anything is left to do about an object, and in which steps: constraints are added first, and checked against the rows later. */
type Step = 'make' | 'validate'

/** Takes one step with one object. A failure is noted and does not stop the others. */
const take = async (step: Step, object: ObjectDecision, making: Making, tally: Tally): Promise<void> => {
  const { client, runId, entries, onEvent, signal } = making
  signal.throwIfAborted()
  const { name, type: kind } = object
  const entry = entries.get(object)!
  if (step === 'make' && (await isMade(client, runId, entry))) return
  if (step === 'validate' && !object.sql.some(isValidation)) return
  onEvent({ type: 'object', name, kind, state: 'started', reason: null })
  try {
    if (step === 'make') {
      await makeOnce(object, entry, making)
      tally.made++
    } else if (!(await validate(client, object))) tally.unvalidated.push(name)
    onEvent({ type: 'object', name, kind, state: 'finished', reason: null })
  } catch (error) {
    if (sqlstateOf(error) === undefined) throw error
    tally.failed.push({ name, reason: reasonOf(error) })
    onEvent({ type: 'object', name, kind, state: 'failed', reason: reasonOf(error) })
  }
}

type Job = (client: pg.Client) => Promise<unknown>

/** Gives out jobs, each client taking the next when it is done with one. */
const share = async (clients: readonly pg.Client[], jobs: readonly Job[]): Promise<void> => {
  const queue = [...jobs]
  const work = async (client: pg.Client): Promise<void> => {
    for (let job = queue.shift(); job; job = queue.shift()) await job(client)
  }
  await Promise.all(clients.map(work))
}

/**
 * Makes every carried object of the plan: keys first, then indexes and checks, then foreign keys and views; then checks constraints against the
 * rows and gathers statistics. What does not wait for anything else is shared among the clients, the largest tables first.
 */
export const makeObjects = async (
  clients: readonly pg.Client[],
  plan: MovePlan,
  options: Omit<Making, 'client' | 'entries' | 'live'>,
): Promise<ObjectsReport> => {
  const live = new Map(plan.live ? plan.tables.map((table) => [table.source, table] as const) : [])
  const how = { ...options, entries: entriesOf(plan.objects), live }
  const tally: Tally = { made: 0, failed: [], unvalidated: [] }
  const rows = new Map(plan.tables.map((table) => [table.source, table.rows]))
  const size = ({ table }: ObjectDecision): number => rows.get(table ?? '') ?? 0
  const carried = plan.objects.filter(({ sql }) => sql.length > 0).sort((a, b) => size(b) - size(a))
  const step = (name: Step, objects: readonly ObjectDecision[]): Job[] =>
    objects.map((object) => (client) => take(name, object, { ...how, client }, tally))
  const of = (phase: ObjectDecision['phase'], isKey?: boolean) =>
    carried.filter((object) => object.phase === phase && (isKey === undefined || isKey === (object.type === 'primaryKey')))
  await share(clients, step('make', of('table')))
  await share(clients, step('make', of('afterRows', true)))
  await share(clients, step('make', of('afterRows', false)))
  // One after the other: two foreign keys between the same tables would wait for each other's locks.
  await share(
    clients.slice(0, 1),
    step(
      'make',
      plan.objects.filter((object) => object.phase === 'afterAll' && object.sql.length > 0),
    ),
  )
  const largest = how.gathersStatistics ? [...plan.tables] : []
  largest.sort((a, b) => b.rows - a.rows)
  const statistics = largest.map(
    (table): Job =>
      (client) =>
        client.query(`ANALYZE ${tableName(table)}`),
  )
  await share(clients, [...step('validate', carried), ...statistics])
  return tally
}
