/** Takes the writes away from Postgres: after its commit no client writes to a moved table, whatever it is (soundness 20, the other way). */
import type pg from 'pg'
import { named } from '../live/gate.js'
import type { HeldRun } from '../live/live-run.js'
import { beginLocked } from '../live/lock-tables.js'
import type { Pause } from '../live/pause.js'
import { assertHeld } from '../live/record.js'
import { refuseWrites } from '../live/refuse-writes.js'

/**
 * Puts the triggers on every moved table in one transaction, as soon as the writers in the way have ended; where that is not before the pause
 * is over, TM_MOVE_PAUSE names them.
 */
export const fencePostgres = async (client: pg.Client, held: HeldRun, pause: Pause): Promise<void> => {
  const { plan } = held.run
  await beginLocked(client, plan, {
    mode: 'SHARE ROW EXCLUSIVE',
    leftMs: () => pause.remainingMs,
    blocked: (blockers, cause) =>
      pause.exceeded(`waiting for the end${blockers.length > 0 ? ` of ${named(blockers)}` : ' of transactions'}`, cause),
  })
  try {
    await refuseWrites(client, plan)
    await assertHeld(client, held)
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined)
    throw error
  }
}
