/** The switch itself: one transaction of Postgres, whose commit is the moment in which the writer changes. */
import type pg from 'pg'
import { reasonOf, TidemarkError } from '../../errors.js'
import { formatPosition, parseLsn } from '../../feed/position.js'
import type { ConnectOptions } from '../../postgres/driver/connect.js'
import { sqlstateOf } from '../../postgres/postgres-error.js'
import { crashPoint } from '../live/crash-point.js'
import { named } from '../live/gate.js'
import type { HeldRun } from '../live/live-run.js'
import { beginLocked } from '../live/lock-tables.js'
import type { Pause } from '../live/pause.js'
import { advance, requireLiveRun } from '../live/record.js'
import { allowWrites } from '../live/refuse-writes.js'
import { connectMove } from '../live/session.js'
import type { SwitchOptions } from '../live/switch-options.js'
import { makeAtFlip } from '../live/waiting.js'
import type { PreparedMirror } from '../mirror/mirror.js'

/** Where the log of Postgres stands: everything committed later is behind it. */
const currentPosition = async (client: pg.Client, { position }: PreparedMirror): Promise<string> => {
  const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
  return formatPosition({ epoch: position.epoch, number: parseLsn(rows[0]!.lsn) })
}

/** True where Postgres itself refused the commit, so that nothing of it stands. Anything else leaves open whether it does. */
const isRefusal = (error: unknown): boolean => {
  const state = sqlstateOf(error)
  return state !== undefined && !/^(?:08|57P)/.test(state)
}

/** How long to look for Postgres again when the answer to the commit was lost. */
const askAgainMs = 30_000
const askAgainPauseMs = 200

/**
 * The state that came of a commit whose answer was lost. The lock waits until the transaction in doubt has ended one way or the other: what is
 * read without it might still be overtaken by the commit.
 */
const stateAfter = async (target: ConnectOptions, { run }: HeldRun): Promise<HeldRun['run']> => {
  const client = await connectMove(target)
  try {
    await client.query('SELECT FROM tidemark.move_runs WHERE id = $1 FOR UPDATE', [run.id])
    return await requireLiveRun(client, { runId: run.id })
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** Finds out what became of the commit. Raises the error of the commit where nothing did, TM_MOVE_UNDECIDED where Postgres does not answer. */
const decide = async (held: HeldRun, { target }: SwitchOptions, cause: unknown): Promise<HeldRun> => {
  const endMs = performance.now() + askAgainMs
  for (;;) {
    const run = await stateAfter(target, held).catch(() => undefined)
    if (run?.state === 'mirroring') return { run, epoch: held.epoch }
    if (run) throw cause
    if (performance.now() > endMs) {
      throw new TidemarkError('TM_MOVE_UNDECIDED', { step: 'cutover', path: held.run.path, reason: reasonOf(cause) }, { cause })
    }
    await new Promise((resolve) => setTimeout(resolve, askAgainPauseMs))
  }
}

export interface FlipOptions extends SwitchOptions {
  readonly held: HeldRun
  readonly mirror: PreparedMirror
  readonly pause: Pause
  readonly note: string
  /** Seals the file: nobody writes to it from then on but the mirror. */
  seal(): Promise<void>
}

/** Readers come first, as long as there is time. */
const lockForFlip = (client: pg.Client, { run }: HeldRun, pause: Pause): Promise<void> =>
  beginLocked(client, run.plan, {
    mode: 'ACCESS EXCLUSIVE',
    leftMs: () => pause.remainingMs,
    blocked: (blockers, cause) =>
      pause.exceeded(`waiting for locks in Postgres${blockers.length > 0 ? ` held by ${named(blockers)}` : ''}`, cause),
  })

/**
 * Makes what waited, lets Postgres take writes, and notes the new state: all of it uncommitted. Only when all that can fail is done is the file
 * sealed, and then the transaction committed. A crash before the seal leaves a file that opens by itself and a Postgres as it was; a crash after
 * it leaves two stores without a writer, and whoever comes next commits the same again.
 */
export const flip = async (client: pg.Client, options: FlipOptions): Promise<HeldRun> => {
  const { held, mirror, pause, note } = options
  const { plan } = held.run
  await lockForFlip(client, held, pause)
  let after: HeldRun
  try {
    await client.query(
      `SET LOCAL tidemark.origin = 'move'; SET LOCAL lock_timeout = ${pause.remainingMs}; SET LOCAL statement_timeout = ${pause.remainingMs}`,
    )
    await makeAtFlip(client, held)
    await allowWrites(client, plan)
    const cutPosition = await currentPosition(client, mirror)
    const { slotName } = mirror
    after = await advance(client, held, 'cuttingOver', 'mirroring', { note, cutPosition, slotName, cutOverAt: 'now' })
    await client.query('SET LOCAL statement_timeout = 0')
    pause.check('making the switch')
    crashPoint('cutover.ready')
    await options.seal()
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined)
    throw error
  }
  crashPoint('cutover.sealed')
  try {
    await client.query('COMMIT')
  } catch (error) {
    if (isRefusal(error)) throw error
    after = await decide(held, options, error)
  }
  crashPoint('cutover.flipped')
  return after
}
