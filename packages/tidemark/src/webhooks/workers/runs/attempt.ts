import { isTidemarkError, TidemarkError } from '../../../errors.js'
import type { Logger } from '../../../observability/observability.js'
import { type Client, type Pool, sqlstateOf } from '../../../postgres/postgres.js'
import type { Deadlines } from '../../../time/deadlines.js'
import type { DeadReason } from '../../webhooks.js'
import type { Handlers, WorkerSettings } from '../workers.js'
import { type EndedAttempt, failureOf } from './attempt-log.js'
import { judge } from './attempts.js'
import {
  fence,
  insertMarked,
  insertOpen,
  logSuccess,
  type Marked,
  mark,
  markDead,
  markFailed,
  park,
  standings,
  unmark,
} from './event-rows.js'
import { HandlerClient } from './handler-client.js'
import type { HeldEvent } from './held-event.js'
import { eventOf, runHandlers } from './run-handlers.js'

/**
 * What became of an event. `skipped`: it was done before, or its row waits elsewhere. `stored`: it waits behind one of its lane that
 * failed. `back`: nothing happened to it.
 */
export type Outcome =
  | { readonly kind: 'processed' }
  | { readonly kind: 'skipped' }
  | { readonly kind: 'failed'; readonly retryInMs: number; readonly attempt: number; readonly error: string }
  | { readonly kind: 'dead'; readonly reason: DeadReason; readonly error: string; readonly isNew: boolean }
  | { readonly kind: 'stored' }
  | { readonly kind: 'back' }

/** This worker no longer owns the partition. */
export class PartitionLost extends Error {
  constructor() {
    super('another worker took the partition')
  }
}

/** What a handler raised, where that ends the transaction. Nothing of it stays. */
export class HandlerFailed extends Error {
  override readonly cause: unknown

  constructor(cause: unknown) {
    super('a handler failed')
    this.cause = cause
  }
}

export interface AttemptOptions {
  readonly pool: Pool
  /** Who runs them; kept with each. */
  readonly worker: string
  readonly handlers: Handlers
  readonly settings: WorkerSettings
  readonly random: () => number
  readonly log: Logger
  /** Told of each event's handlers. */
  ran(event: HeldEvent, durationMs: number, usedPostgres: boolean): void
}

export interface Attempt {
  readonly partition: number
  readonly epoch: string
  /** In the order of their lanes. */
  readonly events: readonly HeldEvent[]
  /** They are rows of a parked lane. */
  readonly isStored: boolean
  /** It is noted that they are about to run. Never rejects. */
  readonly noted: Promise<void>
  /** After this long the rest of a batch goes back, so that no event waits long for others. */
  readonly budgetMs: number
  /** How long the handlers of one event may take. */
  readonly deadlines: Deadlines
  /** The worker stops, or loses the partition. */
  readonly signals: readonly AbortSignal[]
}

interface Open {
  readonly event: HeldEvent
  readonly attempt: number
  readonly replayId: string | undefined
}

const markAll = async (
  db: Client,
  { partition, epoch, events, isStored }: Pick<Attempt, 'partition' | 'epoch' | 'events' | 'isStored'>,
  worker: string,
): Promise<ReadonlyMap<string, Marked>> => {
  const wholes = events.filter(({ whole }) => whole)
  if (wholes.length > 0 && !(await fence(db, partition, epoch))) throw new PartitionLost()
  const made = await insertMarked(db, wholes, worker)
  const isMade = new Set(made.map(({ id }) => id))
  const others = events.flatMap(({ id }) => (isMade.has(id) ? [] : [id]))
  const marked = await mark(db, { partition, epoch, ids: others, isStored, worker })
  // The epoch is part of the mark: where nothing was marked it has to be asked which of the two it was.
  if (marked.length === 0 && others.length > 0 && !(await fence(db, partition, epoch))) throw new PartitionLost()
  return new Map([...made, ...marked].map((row) => [row.id, row]))
}

/** Of what could not be marked: who is dead tells so again, in case the first time was not heard. */
const skipUnmarked = async (db: Client, events: readonly HeldEvent[], outcomes: Map<string, Outcome>, log: Logger) => {
  if (events.length === 0) return
  const known = await standings(
    db,
    events.map(({ id }) => id),
  )
  for (const { id, whole } of events) {
    const row = known.get(id)
    if (!row && !whole) log.warn('an event of the stream has no row: Postgres lost it, or it was removed', { id })
    const again = row?.status === 'dead' && row.reason !== null
    outcomes.set(id, again ? { kind: 'dead', reason: row.reason!, error: row.error ?? '', isNew: false } : { kind: 'skipped' })
  }
}

/** Keeps what follows from an attempt that threw, and its line. */
const keepFailure = async (
  { worker, settings, random }: Pick<AttemptOptions, 'worker' | 'settings' | 'random'>,
  db: Client,
  { id }: HeldEvent,
  { error, attempt, durationMs }: { readonly error: unknown; readonly attempt: number; readonly durationMs: number },
): Promise<Outcome> => {
  const verdict = judge(error, attempt, settings, random)
  const ended: EndedAttempt = { ...failureOf(error), worker, durationMs: Math.round(durationMs) }
  if (verdict.kind === 'dead') {
    await markDead(db, id, verdict.reason, verdict.error, ended)
    return { ...verdict, isNew: true }
  }
  await markFailed(db, id, verdict.retryInMs, verdict.error, ended)
  return { ...verdict, attempt }
}

class Transaction {
  readonly #options: AttemptOptions
  readonly #attempt: Attempt
  readonly #db: Client
  readonly #controller: AbortController
  readonly outcomes = new Map<string, Outcome>()

  constructor(options: AttemptOptions, attempt: Attempt, db: Client, controller: AbortController) {
    this.#options = options
    this.#attempt = attempt
    this.#db = db
    this.#controller = controller
  }

  async run(): Promise<void> {
    const { events } = this.#attempt
    const db = this.#db
    const marked = await markAll(db, this.#attempt, this.#options.worker)
    await this.#attempt.noted
    const isOpen = ({ id }: HeldEvent): boolean => marked.has(id)
    await skipUnmarked(
      db,
      events.filter((event) => !isOpen(event)),
      this.outcomes,
      this.#options.log,
    )
    // One event may stand in a stream twice.
    const once = new Map(events.filter(isOpen).map((event) => [event.id, event]))
    await this.#runAll(
      [...once.values()].map((event) => {
        const { attempts, replay_id } = marked.get(event.id)!
        return { event, attempt: attempts, replayId: replay_id ?? undefined }
      }),
    )
  }

  async #runAll(open: readonly Open[]): Promise<void> {
    const endsAt = performance.now() + this.#attempt.budgetMs
    const failedLanes = new Set<string>()
    const behind: HeldEvent[] = []
    const back: HeldEvent[] = []
    for (const each of open) {
      const { event } = each
      if (failedLanes.has(event.lane)) behind.push(event)
      else if (performance.now() > endsAt || back.some(({ lane }) => lane === event.lane)) back.push(event)
      else if ((await this.#runOne(each)) === 'failed') failedLanes.add(event.lane)
    }
    const { isStored } = this.#attempt
    await unmark(
      this.#db,
      [...behind, ...back].map(({ id }) => id),
      isStored,
    )
    if (behind.length > 0 && !isStored) await park(this.#db, behind)
    for (const { id } of behind) this.outcomes.set(id, { kind: isStored ? 'back' : 'stored' })
    for (const { id } of back) this.outcomes.set(id, { kind: 'back' })
  }

  async #runOne(open: Open): Promise<Outcome['kind']> {
    const outcome = await this.#outcomeOf(open)
    this.outcomes.set(open.event.id, outcome)
    return outcome.kind
  }

  async #outcomeOf({ event: held, attempt, replayId }: Open): Promise<Outcome> {
    const { handlers, settings, log } = this.#options
    const event = eventOf(held)
    if (!event) return this.#dead(held, 'unparseable', held.whole?.unparseable ?? 'the body could not be read')
    const those = handlers.of(event.type)
    if (those.length === 0) {
      if (settings.unhandled === 'processed') return { kind: 'processed' }
      return this.#dead(held, 'no_handler', `there is no handler for ${event.type}`)
    }
    const db = new HandlerClient(this.#db, this.#controller.signal, this.#attempt.events.length > 1)
    const { deadlines } = this.#attempt
    const startedAt = performance.now()
    const durationMs = (): number => performance.now() - startedAt
    try {
      const shared = { held, event, handlers: those, db, attempt, replayId, deadlines, controller: this.#controller }
      await runHandlers({ ...shared, log: log.child('handler', { event: held.id, type: event.type }) })
      await db.keep()
      if (attempt > 1) await logSuccess(this.#db, held.id, this.#ended('processed', Math.round(durationMs())))
      return { kind: 'processed' }
    } catch (error) {
      this.#controller.signal.throwIfAborted()
      if (db.lost) throw db.lost
      if (!(await db.undo())) throw new HandlerFailed(error)
      return await keepFailure(this.#options, this.#db, held, { error, attempt, durationMs: durationMs() })
    } finally {
      this.#options.ran(held, durationMs(), db.wasUsed)
    }
  }

  #ended(outcome: EndedAttempt['outcome'], durationMs: number | null, message: string | null = null): EndedAttempt {
    return { outcome, durationMs, worker: this.#options.worker, code: null, message, stack: null }
  }

  /** No handler was run. */
  async #dead(held: HeldEvent, reason: DeadReason, error: string): Promise<Outcome> {
    await markDead(this.#db, held.id, reason, error, this.#ended('failed', null, error))
    return { kind: 'dead', reason, error, isNew: true }
  }
}

/** A worker that freezes in the middle of a transaction must not keep the partition from others for ever. */
const graceMs = 5_000

const settingsOf = ({ settings: { handlerTimeoutMs } }: AttemptOptions) => ({
  idle_in_transaction_session_timeout: String(handlerTimeoutMs + graceMs),
})

/**
 * Runs events in one transaction: the epoch of the partition, their marks, their handlers, and what follows from those that fail.
 * Raises PartitionLost, HandlerLate, the reason of the signal, and what Postgres raises; nothing has happened then.
 */
export const attempt = async (options: AttemptOptions, what: Attempt): Promise<ReadonlyMap<string, Outcome>> => {
  const controller = new AbortController()
  // Not AbortSignal.any: on signals that live as long as the process it would keep the signal of every attempt alive.
  const stop = ({ target }: Event): void => controller.abort((target as AbortSignal).reason)
  for (const signal of what.signals) {
    signal.throwIfAborted()
    signal.addEventListener('abort', stop, { once: true })
  }
  try {
    return await options.pool.transaction(
      async (db) => {
        const transaction = new Transaction(options, what, db, controller)
        await transaction.run()
        controller.signal.throwIfAborted()
        return transaction.outcomes
      },
      { settings: settingsOf(options) },
    )
  } finally {
    for (const signal of what.signals) signal.removeEventListener('abort', stop)
  }
}

/** Keeps a failure whose transaction could not be kept: that of a handler which did not end. `durationMs`: of its handlers. */
export const recordFailure = async (
  options: AttemptOptions,
  { partition, epoch }: Pick<Attempt, 'partition' | 'epoch'>,
  event: HeldEvent,
  error: unknown,
  durationMs: number,
): Promise<Outcome> =>
  options.pool.transaction(async (db) => {
    const one = { partition, epoch, events: [event], isStored: event.streamId === undefined }
    const [marked] = (await markAll(db, one, options.worker)).values()
    if (!marked) return { kind: 'skipped' }
    return keepFailure(options, db, event, { error, attempt: marked.attempts, durationMs })
  })

/** Class 22: a value; 54: a limit. What Postgres does not take now it takes at no other time either. */
export const isUnstorable = (error: unknown): boolean => /^(?:22|54)/.test(sqlstateOf(error) ?? '')

/** Keeps an event whose envelope Postgres cannot hold as a dead letter, with the body as it was received. */
export const recordUnstorable = (
  { pool, worker }: AttemptOptions,
  { partition, epoch }: Pick<Attempt, 'partition' | 'epoch'>,
  event: HeldEvent,
  error: unknown,
): Promise<Outcome> =>
  pool.transaction(async (db) => {
    if (!(await fence(db, partition, epoch))) throw new PartitionLost()
    await insertOpen(db, [{ ...event, payload: 'null' }])
    const reason = `Postgres cannot hold it as JSON (${sqlstateOf(error)})`
    await markDead(db, event.id, 'unparseable', reason, { ...failureOf(reason), worker, durationMs: null })
    return { kind: 'dead', reason: 'unparseable', error: reason, isNew: true }
  })

/** An event that ended its worker too often. */
export const recordCrashLoop = async (
  { pool }: AttemptOptions,
  { partition, epoch }: Pick<Attempt, 'partition' | 'epoch'>,
  event: HeldEvent,
  crashes: number,
): Promise<Outcome> =>
  pool.transaction(async (db) => {
    if (!(await fence(db, partition, epoch))) throw new PartitionLost()
    const error = `workers ended ${crashes} times while it ran`
    await markDead(db, event.id, 'crash_loop', error)
    return { kind: 'dead', reason: 'crash_loop', error, isNew: true }
  })

const ofTheEvent: readonly string[] = ['TM_POSTGRES_QUERY', 'TM_POSTGRES_CONFLICT', 'TM_POSTGRES_TIMEOUT']

/** Postgres is away or refuses everybody: no event is to blame, and all wait. */
export const isOutage = (error: unknown): boolean =>
  isTidemarkError(error) && error.code.startsWith('TM_POSTGRES_') && !ofTheEvent.includes(error.code)

export const lateError = (timeoutMs: number): TidemarkError =>
  new TidemarkError('TM_TIME_TIMEOUT', {
    what: 'The handlers of the event',
    timeoutMs,
    fix: 'Make them quicker, or allow them more by webhooks.handlerTimeoutMs.',
  })
