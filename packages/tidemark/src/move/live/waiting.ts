/** What waits for the cutover in the target (soundness 17): unique indexes, foreign keys, triggers, and the columns that go then. */
import type pg from 'pg'
import { reasonOf } from '../../errors.js'
import { sqlstateOf } from '../../postgres/postgres-error.js'
import type { MoveListener } from '../move.js'
import type { HeldRun } from './live-run.js'
import { assertHeld } from './record.js'

export type WaitingKind = 'unique' | 'foreignKey' | 'trigger' | 'rowColumn'

export interface WaitingObject {
  readonly ordinal: number
  readonly table: string
  readonly name: string
  readonly kind: WaitingKind
  readonly makeSql: string
  readonly dropSql: string
  readonly state: 'waiting' | 'made' | 'failed'
}

/** In the order in which they are made. */
export const waitingObjects = async (client: pg.Client, runId: string): Promise<readonly WaitingObject[]> => {
  const { rows } = await client.query<WaitingObject>(
    `SELECT ordinal, table_name AS table, name, kind, make_sql AS "makeSql", drop_sql AS "dropSql", state
       FROM tidemark.move_waiting WHERE run_id = $1 ORDER BY ordinal`,
    [runId],
  )
  return rows
}

const setWaitingState = async (
  client: pg.Client,
  runId: string,
  { ordinal }: WaitingObject,
  state: WaitingObject['state'],
): Promise<void> => {
  await client.query('UPDATE tidemark.move_waiting SET state = $3 WHERE run_id = $1 AND ordinal = $2', [runId, ordinal, state])
}

const inTransaction = async (client: pg.Client, held: HeldRun, work: () => Promise<void>): Promise<void> => {
  await client.query('BEGIN')
  try {
    await work()
    // Last, since it locks the record: an index may take its time, and others look at the record meanwhile.
    await assertHeld(client, held)
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined)
    throw error
  }
}

/** An object that could not be made, and why. */
export interface UnmadeObject {
  readonly name: string
  readonly table: string
  readonly reason: string
}

/** Rows that break what is to be made, or values that no index holds: the rows have to change, not the connection. */
const isOfTheRows = (error: unknown): boolean => /^(?:23|22|54|42|0A)/.test(sqlstateOf(error) ?? '')

/**
 * Builds the unique indexes, each on its own, while following rests at the log's head. Nobody writes to these tables but the move, so they are
 * built the quick way. Answers with those that rows of the file forbid.
 */
export const makeUniques = async (
  client: pg.Client,
  held: HeldRun,
  onEvent: MoveListener,
  signal: AbortSignal,
): Promise<readonly UnmadeObject[]> => {
  const unmade: UnmadeObject[] = []
  for (const object of await waitingObjects(client, held.run.id)) {
    if (object.kind !== 'unique' || object.state === 'made') continue
    signal.throwIfAborted()
    const tell = (state: 'started' | 'finished' | 'failed', reason: string | null) =>
      onEvent({ type: 'object', name: object.name, kind: object.kind, state, reason })
    tell('started', null)
    try {
      await inTransaction(client, held, async () => {
        await client.query(object.makeSql)
        await setWaitingState(client, held.run.id, object, 'made')
      })
      tell('finished', null)
    } catch (error) {
      if (!isOfTheRows(error)) throw error
      const detail = (error as { detail?: string }).detail
      unmade.push({ name: object.name, table: object.table, reason: [reasonOf(error), detail].filter(Boolean).join(': ') })
      tell('failed', reasonOf(error))
    }
  }
  return unmade
}

/** Within the flip: the columns of the move go, foreign keys and triggers come. Unvalidated, so that no row is read. */
export const makeAtFlip = async (client: pg.Client, held: HeldRun): Promise<void> => {
  const objects = await waitingObjects(client, held.run.id)
  for (const kind of ['rowColumn', 'foreignKey', 'trigger'] as const) {
    for (const object of objects) {
      if (object.kind !== kind || object.state === 'made') continue
      await client.query(object.makeSql)
      await setWaitingState(client, held.run.id, object, 'made')
    }
  }
}

/** Everything that was made waits again: the cutover was undone, or following goes on after a rollback. */
export const putBackWaiting = async (client: pg.Client, held: HeldRun): Promise<void> => {
  const made = (await waitingObjects(client, held.run.id)).filter(({ state }) => state === 'made')
  if (made.length === 0) return
  await inTransaction(client, held, async () => {
    for (const kind of ['trigger', 'foreignKey', 'unique', 'rowColumn'] as const) {
      for (const object of made) {
        if (object.kind !== kind) continue
        await client.query(object.dropSql)
        await setWaitingState(client, held.run.id, object, 'waiting')
      }
    }
  })
}
