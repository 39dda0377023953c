/** `abort`: the end of a move that came to nothing. Both sides are as they were before it. */
import type pg from 'pg'
import { reasonOf, TidemarkError } from '../../errors.js'
import { sqlstateOf } from '../../postgres/postgres-error.js'
import { validateForeignKeys } from '../cutover/rehearse.js'
import { dropMirror } from '../mirror/prepare-mirror.js'
import type { MovePlan } from '../move.js'
import { lockMove } from '../run.js'
import { qualifiedName } from '../translate/translate.js'
import { cleanFile, isUncleaned, noteCleaned } from './ending.js'
import { holdMove } from './holding.js'
import type { HeldRun } from './live-run.js'
import { mayFollow } from './live-state.js'
import { advance, requireLiveRun, stateError } from './record.js'
import { allowWrites } from './refuse-writes.js'
import { choiceOf, withSession } from './session.js'
import type { LiveMoveOptions } from './switch-options.js'
import { makeAtFlip, makeUniques } from './waiting.js'

export interface AbortOptions extends LiveMoveOptions {
  /** Leaves the tables in Postgres with what they hold, as ordinary tables. Default: new ones are dropped, older ones are emptied. */
  readonly keepTables?: boolean
}

export interface AbortReport {
  readonly ok: boolean
  readonly runId: string
  readonly path: string
  /** What became of the tables in Postgres. */
  readonly tables: 'dropped' | 'emptied' | 'kept'
  /** False where the file was not there any more, or never captured. */
  readonly fileCleaned: boolean
  readonly lostTriggers: readonly string[]
  /** Constraints that rows forbid, where the tables are kept. */
  readonly unmade: readonly string[]
}

const names = ({ tables }: MovePlan): readonly string[] =>
  tables.map(({ targetSchema, target }) => qualifiedName({ schema: targetSchema, name: target }))

const present = async (client: pg.Client, candidates: readonly string[], kinds: string): Promise<readonly string[]> => {
  const { rows } = await client.query<{ name: string }>(
    `SELECT t.name FROM unnest($1::text[]) AS t(name) JOIN pg_class AS c ON c.oid = to_regclass(t.name)
      WHERE c.relkind = ANY (string_to_array($2, NULL)::"char"[])`,
    [candidates, kinds],
  )
  return rows.map(({ name }) => name)
}

/** Without CASCADE: what somebody else built upon these tables is not ours to take. */
const dropNew = async (client: pg.Client, plan: MovePlan): Promise<void> => {
  const planned = plan.objects.filter(({ type, outcome }) => type === 'view' && outcome !== 'notCarried')
  const views = await present(
    client,
    planned.map(({ name }) => qualifiedName({ schema: plan.targetSchema, name })),
    'v',
  )
  const tables = await present(client, names(plan), 'rp')
  if (views.length > 0) await client.query(`DROP VIEW ${views.join(', ')}`)
  if (tables.length > 0) await client.query(`DROP TABLE ${tables.join(', ')}`)
}

/** The tables take writes again and have what waited, but for the unique indexes, which come apart. */
const restore = async (client: pg.Client, held: HeldRun): Promise<void> => {
  await makeAtFlip(client, held)
  await allowWrites(client, held.run.plan)
}

const blocked = (error: unknown, path: string): unknown => {
  // Something depends on the tables, or refers to them.
  if (!/^(?:2BP01|0A000)$/.test(sqlstateOf(error) ?? '')) return error
  const { detail } = error as { readonly detail?: string }
  const what = `what was built upon its tables in Postgres: ${detail ?? reasonOf(error)}`
  const fix = 'Remove that, or leave the tables where they are with --keep-tables, and abort again.'
  return new TidemarkError('TM_MOVE_BLOCKED', { step: 'abort', path, what, fix }, { cause: error })
}

const inTransaction = async (client: pg.Client, path: string, work: () => Promise<void>): Promise<void> => {
  await client.query('BEGIN')
  try {
    await work()
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined)
    throw blocked(error, path)
  }
}

interface CleanedTarget {
  readonly tables: AbortReport['tables']
  readonly unmade: readonly string[]
}

/** Every constraint that rows allow, and what stood on the tables before; other clients may write to them again. */
const keep = async (client: pg.Client, held: HeldRun, options: LiveMoveOptions): Promise<CleanedTarget> => {
  const { onEvent = () => {}, signal = new AbortController().signal } = options
  const unmade = await makeUniques(client, held, onEvent, signal)
  await inTransaction(client, held.run.path, () => restore(client, held))
  const unvalidated = await validateForeignKeys(client, held)
  return { tables: 'kept', unmade: [...unmade.map(({ name, reason }) => `${name} (${reason})`), ...unvalidated] }
}

/** Tables that were there before are emptied, as they were when the move began, and get back what was taken off them. */
const giveBack = async (client: pg.Client, held: HeldRun, options: LiveMoveOptions): Promise<CleanedTarget> => {
  const { onEvent = () => {}, signal = new AbortController().signal } = options
  const { path, plan } = held.run
  await inTransaction(client, path, async () => {
    await client.query(`SET LOCAL tidemark.origin = 'move'; TRUNCATE ${names(plan).join(', ')}`)
  })
  const unmade = await makeUniques(client, held, onEvent, signal)
  await inTransaction(client, path, () => restore(client, held))
  const unvalidated = await validateForeignKeys(client, held)
  return { tables: 'emptied', unmade: [...unmade.map(({ name }) => name), ...unvalidated] }
}

const cleanTarget = async (client: pg.Client, held: HeldRun, options: AbortOptions): Promise<CleanedTarget> => {
  const { path, plan } = held.run
  if (options.keepTables) return keep(client, held, options)
  if (plan.into === 'existing') return giveBack(client, held, options)
  await inTransaction(client, path, () => dropNew(client, plan))
  return { tables: 'dropped', unmade: [] }
}

/** States before the switch, as the table of steps has them; typed one by one so that none is forgotten. */
const noteAbort = async (client: pg.Client, held: HeldRun, { onEvent }: AbortOptions): Promise<void> => {
  const { state } = held.run
  const fields = { finishedAt: 'now', report: { cleanedUp: false } } as const
  switch (state) {
    case 'planned':
    case 'copying':
    case 'copied':
    case 'following':
    case 'rolledBack':
      await advance(client, held, state, 'aborted', fields)
      onEvent?.({ type: 'state', from: state, to: 'aborted' })
      return
    default:
      throw stateError(held.run.path, state, 'aborted')
  }
}

/**
 * Ends a move that did not switch over, or was rolled back: the file is freed of everything that the move put into it, and Postgres has the
 * tables, constraints and triggers that it had before. Where it is cut off, the same command goes on. Raises TM_MOVE_STATE, TM_MOVE_RUNNING
 * while a copy is at work, TM_MOVE_BLOCKED where something was built upon the tables meanwhile.
 */
export const abort = (options: AbortOptions): Promise<AbortReport> =>
  withSession(options, async (client) => {
    const run = await requireLiveRun(client, choiceOf(options))
    const isResumed = run.state === 'aborted' && (await isUncleaned(client, run.id))
    if (!isResumed && !mayFollow(run.state, 'aborted')) throw stateError(run.path, run.state, 'aborted')
    await lockMove(client, run.plan)
    const holding = await holdMove(client, run.id, options)
    try {
      const { held } = holding
      if (!isResumed) await noteAbort(client, held, options)
      // The application first: nothing of ours is in its way any more, whatever becomes of the rest.
      const { cleaned, lostTriggers } = await cleanFile(options, held)
      await dropMirror({ ...options, held })
      const { tables, unmade } = await cleanTarget(client, held, options)
      await noteCleaned(client, held)
      return { ok: true, runId: run.id, path: run.path, tables, fileCleaned: cleaned, lostTriggers, unmade }
    } finally {
      await holding.release()
    }
  })
