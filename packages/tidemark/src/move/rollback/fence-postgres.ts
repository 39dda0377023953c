/** Takes the writes away from Postgres: after its commit no client writes to a moved table, whatever it is (soundness 20, the other way). */
import type pg from 'pg'
import { sqlstateOf } from '../../postgres/postgres-error.js'
import { blockersOf } from '../live/blockers.js'
import { named } from '../live/gate.js'
import type { HeldRun } from '../live/live-run.js'
import type { Pause } from '../live/pause.js'
import { assertHeld } from '../live/record.js'
import { refuseWrites } from '../live/refuse-writes.js'

/** How long one try waits for running writers. New ones queue behind it meanwhile, so it is short. */
const tryMs = 250
const betweenMs = 50

const tryOnce = async (client: pg.Client, held: HeldRun, waitMs: number): Promise<void> => {
  await client.query('BEGIN')
  try {
    await client.query(`SET LOCAL lock_timeout = ${waitMs}`)
    await refuseWrites(client, held.run.plan)
    await assertHeld(client, held)
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined)
    throw error
  }
}

/** Lock timeouts and deadlocks: another moment may be better. */
const passes = (error: unknown): boolean => /^(?:55P03|40P01)$/.test(sqlstateOf(error) ?? '')

/**
 * Puts the triggers on every moved table in one transaction, again and again until the writers in the way have ended or the pause is over: then
 * TM_MOVE_PAUSE names them.
 */
export const fencePostgres = async (client: pg.Client, held: HeldRun, pause: Pause): Promise<void> => {
  for (;;) {
    try {
      return await tryOnce(client, held, Math.min(tryMs, pause.remainingMs))
    } catch (error) {
      if (!passes(error)) throw error
      const blockers = await blockersOf(client, held.run.plan)
      const who = blockers.length > 0 ? ` of ${named(blockers)}` : ''
      if (pause.elapsedMs + betweenMs >= pause.elapsedMs + pause.remainingMs)
        throw pause.exceeded(`waiting for the end${who}`, error)
      await new Promise((resolve) => setTimeout(resolve, betweenMs))
      pause.check(`waiting for the end${who}`)
    }
  }
}
