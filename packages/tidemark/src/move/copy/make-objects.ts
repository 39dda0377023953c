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

const entryOf = ({ type, table, name }: ObjectDecision): string => `#${type} ${table ?? ''}.${name}`

const isMade = async (client: pg.Client, runId: string, entry: string): Promise<boolean> => {
  const { rowCount } = await client.query('SELECT 1 FROM tidemark.move_progress WHERE run_id = $1 AND table_name = $2', [
    runId,
    entry,
  ])
  return rowCount === 1
}

/** Runs one object's statements and notes it as made, in one transaction; validation apart, since it may fail for good reason. */
const make = async (client: pg.Client, runId: string, object: ObjectDecision): Promise<'made' | 'unvalidated'> => {
  const validations = object.sql.filter((sql) => /\bVALIDATE CONSTRAINT\b/.test(sql))
  await client.query('BEGIN')
  try {
    for (const sql of object.sql) if (!validations.includes(sql)) await client.query(sql)
    await client.query(
      "INSERT INTO tidemark.move_progress (run_id, table_name, unit, last_key, done) VALUES ($1, $2, 0, '{}', true)",
      [runId, entryOf(object)],
    )
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  }
  try {
    for (const sql of validations) await client.query(sql)
    return 'made'
  } catch (error) {
    if (brokenByRows.has(sqlstateOf(error) ?? '')) return 'unvalidated'
    throw error
  }
}

interface Making {
  readonly client: pg.Client
  readonly runId: string
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
  { client, runId, onEvent, signal }: Making,
  tally: Tally,
): Promise<void> => {
  for (const object of objects) {
    signal.throwIfAborted()
    const { name, type: kind } = object
    if (await isMade(client, runId, entryOf(object))) continue
    onEvent({ type: 'object', name, kind, state: 'started', reason: null })
    try {
      if ((await make(client, runId, object)) === 'unvalidated') tally.unvalidated.push(name)
      tally.made++
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
  how: Omit<Making, 'client'>,
): Promise<ObjectsReport> => {
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
