/** Keys, indexes, constraints, sequences and views, made when the rows are there; each once, however often the copy is taken up again. */
import type pg from 'pg'
import { reasonOf } from '../../errors.js'
import { sqlstateOf } from '../../postgres/postgres-error.js'
import type { MoveListener, MovePlan, ObjectDecision } from '../move.js'

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
  readonly onEvent: MoveListener
  readonly signal: AbortSignal
}

interface Tally {
  made: number
  readonly failed: { name: string; reason: string }[]
  readonly unvalidated: string[]
}

/** Makes some objects one after the other. A failing one is noted and does not stop the others. */
const makeAll = async (
  objects: readonly ObjectDecision[],
  { client, runId, entries, onEvent, signal }: Making,
  tally: Tally,
): Promise<void> => {
  for (const object of objects) {
    signal.throwIfAborted()
    const { name, type: kind } = object
    const entry = entries.get(object)!
    const isNew = !(await isMade(client, runId, entry))
    if (!isNew && !object.sql.some(isValidation)) continue
    onEvent({ type: 'object', name, kind, state: 'started', reason: null })
    try {
      if (isNew) await make(client, runId, object, entry)
      if (!(await validate(client, object))) tally.unvalidated.push(name)
      if (isNew) tally.made++
      onEvent({ type: 'object', name, kind, state: 'finished', reason: null })
    } catch (error) {
      if (sqlstateOf(error) === undefined) throw error
      tally.failed.push({ name, reason: reasonOf(error) })
      onEvent({ type: 'object', name, kind, state: 'failed', reason: reasonOf(error) })
    }
  }
}

/** The objects of each table, those of the tables with most rows first: tables do not wait for each other. */
const byTable = (plan: MovePlan, objects: readonly ObjectDecision[]): ObjectDecision[][] => {
  const rows = new Map(plan.tables.map((table) => [table.source, table.rows]))
  const groups = new Map<string | null, ObjectDecision[]>()
  for (const object of objects) groups.set(object.table, [...(groups.get(object.table) ?? []), object])
  return [...groups].sort(([a], [b]) => (rows.get(b ?? '') ?? 0) - (rows.get(a ?? '') ?? 0)).map(([, group]) => group)
}

/** Makes every carried object of the plan, phase by phase; what stands after rows, for several tables at a time, one on each client. */
export const makeObjects = async (
  clients: readonly pg.Client[],
  plan: MovePlan,
  options: Omit<Making, 'client' | 'entries'>,
): Promise<ObjectsReport> => {
  const how = { ...options, entries: entriesOf(plan.objects) }
  const tally: Tally = { made: 0, failed: [], unvalidated: [] }
  const of = (phase: ObjectDecision['phase']) => plan.objects.filter((object) => object.phase === phase && object.sql.length > 0)
  await makeAll(of('table'), { ...how, client: clients[0]! }, tally)
  const groups = byTable(plan, of('afterRows'))
  const work = async (client: pg.Client): Promise<void> => {
    for (let group = groups.shift(); group; group = groups.shift()) await makeAll(group, { ...how, client }, tally)
  }
  await Promise.all(clients.map(work))
  await makeAll(of('afterAll'), { ...how, client: clients[0]! }, tally)
  return tally
}
