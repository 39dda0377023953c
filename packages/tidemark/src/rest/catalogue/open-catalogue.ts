import { reasonOf } from '../../errors.js'
import { type Logger, silentLogger } from '../../observability/observability.js'
import type { ConnectOptions } from '../../postgres/driver/connect.js'
import type { Pool } from '../../postgres/postgres.js'
import { sqlstateOf } from '../../postgres/postgres-error.js'
import { retry } from '../../resilience/retry.js'
import { listenForChanges, structureChanges } from '../../schema/listen-for-changes.js'
import { type Clock, systemClock } from '../../time/clock.js'
import type { Catalogue } from '../catalogue.js'
import { isRestError } from '../rest-error.js'
import { restErrors } from '../rest-errors.js'
import { type ReadCatalogueOptions, type Reading, readDigest, readWithDigest } from './read-catalogue.js'
import { createRefresh, type Refresh } from './refresh.js'

export interface OpenCatalogueOptions extends Pick<ReadCatalogueOptions, 'schemas' | 'extraSearchPath' | 'authenticator'> {
  /** For the readings, one connection at a time. May lead through a transaction pooler. */
  readonly pool: Pick<Pool, 'withClient'>
  /** For a session of its own that hears of changes. Without one, where only a transaction pooler is known, they are looked for. */
  readonly listen?: ConnectOptions | undefined
  /** How long it must be quiet after an announced change. Default 100; a migration comes as many. */
  readonly quietMs?: number
  /** After how long it is read even though changes go on. Default 1,000. */
  readonly maxDelayMs?: number
  /** How often changes are looked for where they do not announce themselves. Default 5,000. */
  readonly pollMs?: number
  /** How often where they do: role settings never do, and a session may be dead without a word. Default 60,000. */
  readonly slowPollMs?: number
  /** How far apart looks are that unknown names cause. Default 1,000. */
  readonly missMs?: number
  readonly clock?: Clock
  readonly log?: Logger
  /** Stops it, as {@link OpenCatalogue.stop} does. */
  readonly signal?: AbortSignal
}

export interface CatalogueState {
  /** 0 before the first reading. */
  readonly generation: number
  /** How long the last reading took. */
  readonly readMs: number | undefined
  /** `events`: every change of structure announces itself. `polling`: found within `pollMs`. */
  readonly changes: 'events' | 'polling'
  /** Why the last reading failed; undefined where it did not. */
  readonly failure: string | undefined
}

export interface OpenCatalogue {
  /** The present one. Raises PGRST002 before the first reading. */
  current(): Catalogue
  /** Resolves with the first one. Raises PGRST002 where it is stopped before. */
  ready(): Promise<Catalogue>
  /**
   * Does something with the present catalogue. Where that fails at a name that it does not know, or that Postgres does not know
   * (any more), and the structure has changed since, it is done once more with a new one.
   */
  answer<T>(work: (catalogue: Catalogue) => T | Promise<T>): Promise<T>
  /** Reads it now. */
  reload(): Promise<void>
  state(): CatalogueState
  stop(): Promise<void>
}

const nothing = () => undefined
const retryPauses = { attempts: Number.MAX_SAFE_INTEGER, baseMs: 200, maxMs: 10_000, retryable: () => true }
const missingCodes: ReadonlySet<string> = new Set(['PGRST200', 'PGRST202', 'PGRST204', 'PGRST205'])
/** Of a table, column, function, type or schema that is not there: by Postgres, or by us before it is asked. */
const missingStates: ReadonlySet<string> = new Set(['42P01', '42703', '42883', '42704', '3F000'])

const isMiss = (error: unknown): boolean => {
  const code = isRestError(error) ? error.code : (sqlstateOf(error) ?? '')
  return missingCodes.has(code) || missingStates.has(code)
}

/** One catalogue, read again after each change. */
class CatalogueKeeper implements OpenCatalogue {
  readonly #options: OpenCatalogueOptions
  readonly #clock: Clock
  readonly #log: Logger
  readonly #stopping = new AbortController()
  readonly #signal: AbortSignal
  readonly #refresh: Refresh
  readonly #work: readonly Promise<unknown>[]
  readonly #firstReading: Promise<void>
  #reading: Reading | undefined
  #readMs: number | undefined
  #failure: string | undefined
  #checking: Promise<void> | undefined
  #checkedAt: number
  /** Whether changes announce themselves and we hear of them. */
  #events = false

  constructor(options: OpenCatalogueOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#log = options.log ?? silentLogger
    const { signal } = this.#stopping
    this.#signal = options.signal ? AbortSignal.any([signal, options.signal]) : signal
    const { quietMs = 100, maxDelayMs = 1_000 } = options
    this.#refresh = createRefresh({
      run: () => this.#read(),
      clock: this.#clock,
      quietMs,
      maxDelayMs,
      signal: this.#signal,
    })
    this.#checkedAt = this.#clock.monotonicMs()
    this.#firstReading = this.#refresh.now()
    this.#work = [this.#firstReading.catch(nothing), this.#poll(), this.#listen()]
  }

  current(): Catalogue {
    if (this.#reading) return this.#reading.catalogue
    throw restErrors.noCatalogue()
  }

  async ready(): Promise<Catalogue> {
    await this.#firstReading.catch(nothing)
    return this.current()
  }

  async answer<T>(work: (catalogue: Catalogue) => T | Promise<T>): Promise<T> {
    const catalogue = this.current()
    try {
      return await work(catalogue)
    } catch (error) {
      if (!isMiss(error)) throw error
      await this.#look()
      const changed = this.current()
      if (changed === catalogue) throw error
      return await work(changed)
    }
  }

  reload(): Promise<void> {
    return this.#refresh.now()
  }

  state(): CatalogueState {
    return {
      generation: this.#reading?.catalogue.generation ?? 0,
      readMs: this.#readMs,
      changes: this.#events ? 'events' : 'polling',
      failure: this.#failure,
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all([...this.#work, this.#checking?.catch(nothing), this.#refresh.due?.catch(nothing)])
  }

  /** After a name that is not known: a change that was announced is waited for, otherwise looked for, once in a while. */
  async #look(): Promise<void> {
    const { missMs = 1_000 } = this.#options
    const due = this.#refresh.due
    if (!due && !this.#checking && this.#clock.monotonicMs() - this.#checkedAt < missMs) return
    // An error here is no answer to the caller; the one that is at hand is.
    await (due ?? this.#check()).catch(nothing)
  }

  /** Reads it again if the structure is not what it was. */
  #check(): Promise<void> {
    this.#checking ??= this.#compare().finally(() => {
      this.#checking = undefined
    })
    return this.#checking
  }

  async #compare(): Promise<void> {
    this.#checkedAt = this.#clock.monotonicMs()
    const digest = await this.#options.pool.withClient(readDigest, { signal: this.#signal })
    if (digest !== this.#reading?.digest) await this.#refresh.now()
  }

  /** Tries until it is read. The one before stays until then. */
  async #read(): Promise<void> {
    const failed = (error: unknown): void => {
      this.#failure = reasonOf(error)
      this.#log.warn('the schema could not be read', {
        reason: this.#failure,
        serving: this.#reading?.catalogue.generation ?? 'nothing',
      })
    }
    const onRetry = ({ error }: { readonly error: unknown }) => failed(error)
    await retry(() => this.#readOnce(), { ...retryPauses, onRetry, clock: this.#clock, signal: this.#signal })
  }

  async #readOnce(): Promise<void> {
    const { pool, schemas, extraSearchPath, authenticator } = this.#options
    const startedAt = this.#clock.monotonicMs()
    const before = this.#reading?.catalogue
    const read = {
      schemas,
      generation: (before?.generation ?? 0) + 1,
      ...(extraSearchPath && { extraSearchPath }),
      ...(authenticator !== undefined && { authenticator }),
      ...(before && { timezones: before.timezones }),
    }
    this.#reading = await pool.withClient((client) => readWithDigest(client, read), { signal: this.#signal })
    this.#failure = undefined
    this.#checkedAt = startedAt
    this.#readMs = this.#clock.monotonicMs() - startedAt
    const { catalogue } = this.#reading
    const relations = schemas.reduce((sum, schema) => sum + catalogue.tables(schema).length, 0)
    const functions = schemas.reduce((sum, schema) => sum + catalogue.allFunctions(schema).length, 0)
    this.#log.debug('the schema is read', {
      generation: catalogue.generation,
      relations,
      functions,
      ms: Math.round(this.#readMs),
    })
  }

  async #listen(): Promise<void> {
    const { listen } = this.#options
    if (!listen) return
    await listenForChanges({
      target: listen,
      name: 'rest-catalogue',
      changes: structureChanges,
      clock: this.#clock,
      log: this.#log,
      signal: this.#signal,
      announced: () => this.#refresh.announce(),
      opened: (complete) => {
        this.#events = complete
        this.#firstReading.then(() => this.#check()).catch(nothing)
      },
      lost: () => {
        this.#events = false
      },
    })
  }

  async #poll(): Promise<void> {
    const { pollMs = 5_000, slowPollMs = 60_000 } = this.#options
    while (!this.#signal.aborted) {
      await this.#clock.sleep(pollMs, this.#signal).catch(nothing)
      const idleMs = this.#clock.monotonicMs() - this.#checkedAt
      if (this.#signal.aborted || !this.#reading || (this.#events && idleMs < slowPollMs)) continue
      await this.#check().catch((error: unknown) => {
        if (!this.#signal.aborted) this.#log.warn('changes of the schema cannot be looked for', { reason: reasonOf(error) })
      })
    }
  }
}

/** Begins to read what the exposed schemas hold, and keeps it current until it is stopped. Returns at once. */
export const openCatalogue = (options: OpenCatalogueOptions): OpenCatalogue => new CatalogueKeeper(options)
