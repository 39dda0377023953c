import { reasonOf } from '../../../errors.js'
import { publicationMembers } from '../../../feed/publication.js'
import type { TableId } from '../../../feed/table-id.js'
import { type Logger, silentLogger } from '../../../observability/observability.js'
import type { Pool } from '../../../postgres/postgres.js'
import { type Clock, systemClock } from '../../../time/clock.js'

/**
 * Makes the feed carry these tables, from now on. Gives those that it did not carry before. What keeps it from one table is told by `refused`.
 */
export type FollowTables = (
  tables: readonly TableId[],
  refused: (table: TableId, reason: string) => void,
) => Promise<readonly TableId[]>

export interface ToldTablesOptions {
  readonly pool: Pick<Pool, 'query'>
  /** The application puts tables into it, while we run as well. Undefined: the named ones alone. */
  readonly publication: string | undefined
  /** Tables of the configuration. */
  readonly named: readonly TableId[]
  readonly follow: FollowTables
  /** Called for tables that are told from now on: what was changed in them before may be missing. */
  readonly added: (tables: readonly TableId[]) => void
  /** How often the publication is looked at. Default 1,000. */
  readonly pollMs?: number
  readonly clock?: Clock
  readonly log?: Logger
}

/** The tables that realtime tells of. */
export interface ToldTables {
  /** Whether the feed carries it for us. */
  has(schema: string, table: string): boolean
  /** Whether its changes are to be told, as far as that is known. */
  wants(schema: string, table: string): boolean
  /** Resolves once the list was read for the first time. */
  readonly known: Promise<void>
  /** Reads the list, and nothing else. Raises TM_POSTGRES_*. */
  read(): Promise<void>
  /** Those of a schema, or of all. */
  some(schema: string | undefined): boolean
  /** Looks now. Resolves once what is there now is carried. Raises TM_POSTGRES_*, and what following raises. */
  refresh(): Promise<void>
  stop(): Promise<void>
}

const keyOf = ({ schema, table }: TableId): string => JSON.stringify([schema, table])
/** What could not be followed is tried again after so long. */
const refusedForMs = 30_000
const firstRetryMs = 100

class Watched implements ToldTables {
  readonly #options: ToldTablesOptions
  readonly #clock: Clock
  readonly #log: Logger
  readonly #stopping = new AbortController()
  readonly #refused = new Map<string, number>()
  readonly #watching: Promise<void>
  #told = new Map<string, TableId>()
  #wanted = new Map<string, TableId>()
  #isFirst = true
  readonly known: Promise<void>
  #becomesKnown: () => void = () => {}
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(options: ToldTablesOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#log = options.log ?? silentLogger
    this.known = new Promise((resolve) => {
      this.#becomesKnown = resolve
    })
    this.#watching = this.#watch()
  }

  wants(schema: string, table: string): boolean {
    return this.#wanted.has(keyOf({ schema, table }))
  }

  async read(): Promise<void> {
    const { pool, publication, named } = this.#options
    const members = publication === undefined ? [] : await publicationMembers(pool, publication)
    this.#wanted = new Map([...named, ...members].map((table) => [keyOf(table), table]))
    this.#becomesKnown()
  }

  has(schema: string, table: string): boolean {
    return this.#told.has(keyOf({ schema, table }))
  }

  some(schema: string | undefined): boolean {
    if (schema === undefined) return this.#told.size > 0
    for (const table of this.#told.values()) if (table.schema === schema) return true
    return false
  }

  /** Whoever asks while a look is under way waits for the next one: what it asks about may have come since. */
  refresh(): Promise<void> {
    if (!this.#running) return this.#begin()
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined
        return this.#begin()
      })
    return this.#next
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#becomesKnown()
    await this.#watching
  }

  #begin(): Promise<void> {
    const look = this.#look().finally(() => {
      if (this.#running === look) this.#running = undefined
    })
    this.#running = look
    return look
  }

  async #look(): Promise<void> {
    const { follow, added } = this.#options
    await this.read()
    const wanted = this.#wanted
    const now = this.#clock.monotonicMs()
    const fresh = [...wanted].filter(([key]) => !this.#told.has(key) && (this.#refused.get(key) ?? 0) <= now)
    const refused = new Set<string>()
    const begun =
      fresh.length === 0
        ? []
        : await follow(
            fresh.map(([, table]) => table),
            (table, reason) => {
              refused.add(keyOf(table))
              this.#refused.set(keyOf(table), now + refusedForMs)
              this.#log.warn('a table cannot be followed, so none of its changes are told', { table: keyOf(table), reason })
            },
          )
    const isTold = (key: string) => this.#told.has(key) || (fresh.some(([other]) => other === key) && !refused.has(key))
    // Another node may have seen to it that the feed carries it; here it is new all the same.
    const isNew = this.#isFirst ? begun : fresh.flatMap(([key, table]) => (refused.has(key) ? [] : [table]))
    this.#isFirst = false
    this.#told = new Map([...wanted].filter(([key]) => isTold(key)))
    if (isNew.length > 0) added(isNew)
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stopping
    const { pollMs = 1_000 } = this.#options
    let failures = 0
    while (!signal.aborted) {
      try {
        await this.refresh()
        failures = 0
      } catch (error) {
        failures += 1
        const note = failures === 5 ? this.#log.warn : this.#log.debug
        note.call(this.#log, 'the tables that realtime tells of are not known', { reason: reasonOf(error) })
      }
      const pauseMs = failures === 0 ? pollMs : Math.min(pollMs, firstRetryMs * 2 ** failures)
      await this.#clock.sleep(pauseMs, signal).catch(() => undefined)
    }
  }
}

/** Watches which tables are told of, until it is stopped. */
export const createToldTables = (options: ToldTablesOptions): ToldTables => new Watched(options)
