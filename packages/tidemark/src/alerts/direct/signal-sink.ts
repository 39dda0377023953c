import { reasonOf } from '../../errors.js'
import type { Logger } from '../../observability/observability.js'
import { type Pool, sqlstateOf } from '../../postgres/postgres.js'
import type { Journal, JournalEntry } from '../../resilience/journal/journal.js'
import { openJournal } from '../../resilience/journal/open-journal.js'
import type { Clock } from '../../time/clock.js'
import type { AlertSignal } from '../alerts.js'
import { addSignals } from '../fold/add-signals.js'

export interface SignalSinkOptions {
  readonly pool: Pick<Pool, 'query'>
  /** Where signals are kept while Postgres is away. */
  readonly folder: string
  /** They are in Postgres. */
  readonly onStored: () => void
  /** They could not be stored, and are kept here. */
  readonly onKept: (signals: readonly AlertSignal[]) => void
  /** Everything that was kept is in Postgres. */
  readonly onDrained: () => void
  readonly clock: Clock
  readonly log: Logger
}

/** Postgres that takes longer is away, as far as an alert is concerned. */
const storeTimeoutMs = 1500

/** A disk that takes longer is not waited for. */
const keepTimeoutMs = 500

/** What is in a signal is at fault: data that Postgres does not take. */
const isRefused = (error: unknown): boolean => /^2[23]/.test(sqlstateOf(error) ?? '')

/** A row that waits although its channel was told straight away is settled, where the signal was folded before that was known. */
const settleToldSql = `
  update tidemark.alert_notifications n set status = 'delivered', delivered_at = clock_timestamp(), attempt = 1
    from tidemark.alert_signals s, unnest($1::uuid[], $2::text[]) as told (id, channel)
   where s.id = told.id and n.alert_id = s.alert_id and n.channel = told.channel and n.kind = 'firing' and n.status = 'waiting' and n.attempt = 0`

/** The newest of each signal: who was told is known better later. */
const newest = (entries: readonly JournalEntry<AlertSignal>[]): readonly AlertSignal[] => [
  ...new Map(entries.map(({ id, data }) => [id, { ...data, proposedId: data.proposedId ?? undefined }])).values(),
]

/** Takes signals into Postgres, in their order; what it does not take is kept on this machine and written on when it is back. Never raises. */
export class SignalSink {
  readonly #options: SignalSinkOptions
  #journal: Journal<AlertSignal> | undefined
  #turn: Promise<void> = Promise.resolve()

  constructor(options: SignalSinkOptions) {
    this.#options = options
  }

  async open(): Promise<void> {
    const { folder, clock, log } = this.#options
    this.#journal = await openJournal<AlertSignal>({
      name: 'alerts',
      folder,
      clock,
      log,
      isRefused,
      write: (entries, signal) => this.#writeOn(newest(entries), signal),
    })
  }

  get journal(): Journal<AlertSignal> {
    return this.#journal!
  }

  /** How many wait on this machine. */
  get kept(): number {
    return this.#journal?.backlog().entries ?? 0
  }

  add(signals: readonly AlertSignal[]): void {
    this.#turn = this.#turn.then(() => this.#take(signals))
  }

  /** Who was told of a signal that is kept. */
  async told(signal: AlertSignal): Promise<void> {
    await this.#journal
      ?.append(signal, signal.id)
      .catch((error: unknown) => this.#options.log.warn('who was told is not kept', { reason: reasonOf(error) }))
  }

  /** Resolves when what was added is stored or kept. */
  settled(): Promise<void> {
    return this.#turn
  }

  async stop(): Promise<void> {
    await this.#turn
    await this.#journal?.stop()
  }

  async #take(signals: readonly AlertSignal[]): Promise<void> {
    const { pool, onStored, onKept, clock, log } = this.#options
    // What waits comes first.
    if (this.kept === 0) {
      try {
        await addSignals(pool, signals, 'stored', AbortSignal.timeout(storeTimeoutMs))
        onStored()
        return
      } catch (error) {
        log.warn('alerts are kept on this machine until Postgres takes them', { reason: reasonOf(error) })
      }
    }
    const kept = Promise.all(signals.map((signal) => this.#journal!.append(signal, signal.id))).catch((error: unknown) =>
      log.error('alerts could not be kept', { reason: reasonOf(error) }),
    )
    // Told once they are kept, so that a crash takes nothing along that somebody knows of; a full or a slow disk is no reason for silence.
    await Promise.race([kept, clock.sleep(keepTimeoutMs)])
    onKept(signals)
    await kept
  }

  async #writeOn(signals: readonly AlertSignal[], signal: AbortSignal): Promise<void> {
    const { pool, onStored, onDrained } = this.#options
    await addSignals(pool, signals, 'kept', signal)
    const told = signals.flatMap(({ id, told }) => told.map((channel) => ({ id, channel })))
    if (told.length > 0)
      await pool.query(settleToldSql, [told.map(({ id }) => id), told.map(({ channel }) => channel)], { signal })
    onStored()
    if (this.kept <= signals.length) onDrained()
  }
}
