/** Opens the stores of an application, each when it is needed, and hands its work to the one in charge. */
import { existsSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import type { Transaction } from 'kysely'
import type pg from 'pg'
import { TidemarkError } from '../errors.js'
import { type Clock, systemClock } from '../time/clock.js'
import type { Backend } from './backend.js'
import { checkProvider, contradiction, decide, type FileMove, kindOf, type RecordedMove } from './decide.js'
import { lookAtFile, lookAtPlan, lookAtRecord } from './look.js'
import { openPool, openPostgresBackend } from './postgres-backend.js'
import { isBusy, isRefusal, isUnreachable } from './refusal.js'
import { shareOf } from './share.js'
import { openSqliteBackend, openSqliteFile } from './sqlite-backend.js'
import type { ColumnValues, Provider, ReadOptions, Store, StoreContext, StoreKind, StoreOptions, StoreState } from './store.js'
import { columnsOfPlan } from './values/plan-columns.js'
import { hasDecimals, ValuePlugin } from './values/value-plugin.js'

const defaultWaitMs = 10_000
const defaultPollMs = 1000
const [firstPauseMs, longestPauseMs] = [20, 200]
/** A read waits no longer than that for news of who is in charge. */
const newsMs = 250

class SwitchedStore<DB> implements Store<DB> {
  readonly #options: StoreOptions
  readonly #clock: Clock
  readonly #provider: Provider
  readonly #own = Math.random().toString(36)
  readonly #backends = new Map<StoreKind, Promise<Backend<DB>>>()
  #pool: Promise<pg.Pool> | undefined
  #columns: ColumnValues
  #planOf: string | undefined
  #recorded: RecordedMove | null = null
  #file: FileMove | null = null
  #state: StoreState
  #lastWriter: StoreKind | null = null
  #lookedAtMs = Number.NEGATIVE_INFINITY
  #looking: Promise<StoreState> | undefined
  #isClosed = false

  constructor(options: StoreOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#provider = options.provider ?? (options.sqlite ? 'sqlite' : 'postgres')
    this.#columns = options.columns ?? {}
    this.#state = decide({ recorded: null, file: null, provider: kindOf(this.#provider) })
  }

  async open(): Promise<this> {
    await this.refresh()
    checkProvider(this.#state, this.#options.provider, this.#path)
    const { writer, reader } = this.#state
    // Opened now so that what is wrong with it shows itself; a server that is away may come back.
    await this.#backend(writer ?? reader).catch((error: unknown) => {
      if (!isUnreachable(error)) throw error
    })
    return this
  }

  state(): StoreState {
    return this.#state
  }

  // Work.

  async write<T>(work: (db: Transaction<DB>, context: StoreContext) => Promise<T>): Promise<T> {
    const { maxWaitMs = defaultWaitMs } = this.#options
    const startedAtMs = this.#clock.monotonicMs()
    await this.#lookForWrite()
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      const { writer: store } = this.#state
      if (store !== null && this.#isConfigured(store)) {
        const { writer } = await this.#backend(store)
        try {
          const result = await writer.transaction().execute((db) => work(db, { store }))
          // SQLite answers at once, so one write after another would never let the process see anything else.
          if (store === 'sqlite') await setImmediate()
          return result
        } catch (error) {
          if (!isRefusal(error)) throw await this.#afterFailure(error)
        }
      }
      const waitedMs = Math.round(this.#clock.monotonicMs() - startedAtMs)
      const { writer: next } = await this.refresh()
      if (next !== null && next !== store) continue
      if (next !== null && !this.#isConfigured(next)) throw this.#unconfigured(next)
      if (waitedMs >= maxWaitMs) throw this.#noWriter(waitedMs)
      await this.#clock.sleep(pauseMs)
    }
  }

  async read<T>(work: (db: Backend<DB>['reader'], context: StoreContext) => Promise<T>, options: ReadOptions = {}): Promise<T> {
    await this.#lookForRead()
    if (!this.#isConfigured(this.#state.reader)) await this.refresh()
    const store = this.#readerFor(options)
    const { reader } = await this.#backend(store)
    try {
      return await work(reader, { store })
    } catch (error) {
      const { reader: now } = await this.#afterFailure(error).then(() => this.#state)
      // Before the cutover the file has everything, so a Postgres that is away costs nobody an answer.
      if (store === now || !isUnreachable(error)) throw error
      return work((await this.#backend(now)).reader, { store: now })
    }
  }

  #readerFor({ id }: ReadOptions): StoreKind {
    const { reader, move } = this.#state
    if (reader === 'postgres' || !move || move.readsPercent === 0 || !this.#options.postgres) return reader
    return shareOf(id ?? this.#own) < move.readsPercent ? 'postgres' : reader
  }

  /** Nobody answers there: perhaps it is not in charge any more. */
  async #afterFailure(error: unknown): Promise<unknown> {
    if (isUnreachable(error) && this.#options.sqlite) await this.refresh().catch(() => undefined)
    return error
  }

  #noWriter(waitedMs: number): TidemarkError {
    const { move, writer } = this.#state
    if (writer !== null && !this.#isConfigured(writer === 'sqlite' ? 'postgres' : 'sqlite')) {
      const [other, state] = writer === 'sqlite' ? (['postgres', 'mirroring'] as const) : (['sqlite', 'following'] as const)
      return contradiction(other, move?.state ?? state, this.#provider, this.#path)
    }
    const reason = move ? `the move is in the state ${move.state}` : 'the one in charge refuses it'
    return new TidemarkError('TM_STORE_NO_WRITER', { waitedMs, reason })
  }

  // Who is in charge.

  refresh(): Promise<StoreState> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  /** How old the news is: `fresh`, to be renewed in passing, or too old to go by. */
  #age(): 'fresh' | 'late' | 'old' {
    const { pollMs = defaultPollMs } = this.#options
    const ageMs = this.#clock.monotonicMs() - this.#lookedAtMs
    if (ageMs < pollMs) return 'fresh'
    return ageMs < pollMs * 3 ? 'late' : 'old'
  }

  /** The fences stand only while the move does: who was idle until it was finished may not go by what it knew before. */
  async #lookForWrite(): Promise<void> {
    const age = this.#age()
    if (age === 'fresh') return
    const news = this.refresh()
    if (age === 'late') news.catch(() => undefined)
    else await news
  }

  /** A file that is not mirrored any more would answer with old rows. */
  async #lookForRead(): Promise<void> {
    const age = this.#age()
    if (age === 'fresh') return
    const news = this.refresh().catch(() => undefined)
    if (age === 'late') return
    const enough = new AbortController()
    await Promise.race([news, this.#clock.sleep(newsMs, enough.signal).catch(() => undefined)])
    enough.abort()
  }

  async #look(): Promise<StoreState> {
    if (this.#isClosed) throw new TidemarkError('TM_STORE_CLOSED', {})
    const { sqlite, postgres, provider } = this.#options
    if (sqlite) {
      const isKnown = postgres !== undefined && (await this.#lookAtRecord(postgres.schema ?? 'public'))
      const isFileAsked = !isKnown || provider === undefined || provider === 'sqlite' || this.#backends.has('sqlite')
      const file = isFileAsked ? await this.#lookAtFile(sqlite.path) : null
      // Without news from Postgres the file knows better than what Postgres once said.
      const recorded = isKnown || !file ? this.#recorded : null
      const state = decide({ recorded, file, provider: kindOf(this.#provider) })
      // The file was followed and is not any more: the move has ended one way or the other, and only Postgres knows which.
      const hasEnded = !isKnown && !file && state.move !== null && state.writer === 'sqlite'
      this.#state = hasEnded ? { ...state, writer: null } : state
    }
    this.#lookedAtMs = this.#clock.monotonicMs()
    this.#tell()
    return this.#state
  }

  #tell(): void {
    const { writer, move } = this.#state
    if (writer === null || writer === this.#lastWriter) return
    const from = this.#lastWriter
    this.#lastWriter = writer
    if (from !== null) this.#options.onSwitch?.({ from, to: writer, epoch: move?.epoch ?? 0n })
  }

  /** False where Postgres cannot be asked. */
  async #lookAtRecord(schema: string): Promise<boolean> {
    try {
      const pool = await this.#openPool()
      this.#recorded = await lookAtRecord(pool, this.#path, schema)
      await this.#lookAtColumns(pool)
      return true
    } catch (error) {
      if (isUnreachable(error) || isRefused(error)) return false
      throw error
    }
  }

  async #lookAtColumns(pool: pg.Pool): Promise<void> {
    const runId = this.#recorded?.runId
    if (this.#options.columns || runId === undefined || runId === this.#planOf) return
    const plan = await lookAtPlan(pool, runId)
    this.#columns = plan ? columnsOfPlan(plan) : {}
    this.#planOf = runId
  }

  async #lookAtFile(path: string): Promise<FileMove | null> {
    if (!existsSync(path)) return null
    try {
      const db = await openSqliteFile(path)
      try {
        this.#file = lookAtFile(db)
      } finally {
        db.close()
      }
    } catch (error) {
      // Somebody is writing to it right now: what it said last still counts.
      if (!isBusy(error)) throw error
    }
    return this.#file
  }

  // The stores themselves.

  get #path(): string {
    return this.#options.sqlite?.path ?? ''
  }

  #isConfigured(kind: StoreKind): boolean {
    return this.#options[kind] !== undefined
  }

  /** A server that is away at first is asked again. */
  #openPool(): Promise<pg.Pool> {
    if (this.#pool) return this.#pool
    const opening = openPool(this.#options.postgres!, hasDecimals(this.#options.columns ?? {}))
    this.#pool = opening
    opening.catch(() => {
      this.#pool = undefined
    })
    return opening
  }

  #backend(kind: StoreKind): Promise<Backend<DB>> {
    if (this.#isClosed) return Promise.reject(new TidemarkError('TM_STORE_CLOSED', {}))
    const opened = this.#backends.get(kind)
    if (opened) return opened
    const opening = this.#openBackend(kind)
    this.#backends.set(kind, opening)
    opening.catch(() => this.#backends.delete(kind))
    return opening
  }

  async #openBackend(kind: StoreKind): Promise<Backend<DB>> {
    const { sqlite, postgres } = this.#options
    const values = new ValuePlugin(kind, () => this.#columns)
    if (kind === 'sqlite' && sqlite) return openSqliteBackend<DB>(sqlite, values, this.#clock)
    if (kind === 'postgres' && postgres) return openPostgresBackend<DB>(await this.#openPool(), postgres, values)
    throw this.#unconfigured(kind)
  }

  #unconfigured(kind: StoreKind): TidemarkError {
    const { move } = this.#state
    if (move) return contradiction(kind, move.state, this.#provider, this.#path)
    const [option, fix] =
      kind === 'sqlite'
        ? (['sqlite.path', "DATABASE_PROVIDER is sqlite: say where the application's file is."] as const)
        : (['DATABASE_URL', `DATABASE_PROVIDER is ${this.#provider}: set DATABASE_URL to its connection string.`] as const)
    return new TidemarkError('TM_CONFIG_MISSING', { option, fix })
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#looking?.catch(() => undefined)
    for (const backend of this.#backends.values()) await backend.then((opened) => opened.close()).catch(() => undefined)
    await this.#pool?.then((pool) => pool.end()).catch(() => undefined)
  }
}

/** A role that may not see the record of moves knows nothing of them. */
const isRefused = (error: unknown): boolean => (error as { readonly code?: unknown }).code === '42501'

/**
 * Opens the store of an application. Raises TM_STORE_CONTRADICTED where the environment names a store that a live move has not in charge,
 * TM_CONFIG_MISSING where the one in charge is not configured, and TM_POSTGRES_URL.
 */
export const openStore = async <DB>(options: StoreOptions): Promise<Store<DB>> => {
  const store = new SwitchedStore<DB>(options)
  try {
    return await store.open()
  } catch (error) {
    await store.close()
    throw error
  }
}
