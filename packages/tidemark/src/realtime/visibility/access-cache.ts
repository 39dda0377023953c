import type { TableId } from '../../feed/table-id.js'
import { type Logger, silentLogger } from '../../observability/observability.js'
import type { ConnectOptions } from '../../postgres/driver/connect.js'
import type { Pool } from '../../postgres/postgres.js'
import { accessChanges, listenForChanges } from '../../schema/listen-for-changes.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { accessSql, checkSql, type TableAccess } from './table-access.js'

export interface AccessCacheOptions {
  /** Logs in as the role that may become those of callers. */
  readonly pool: Pick<Pool, 'batch'>
  /** For a session of its own that hears of changes. Without one they are found within `maxAgeMs`. */
  readonly listen?: ConnectOptions | undefined
  /** What was read is used for so long before it is looked at again. Default 2,000. Roles announce no change of theirs. */
  readonly maxAgeMs?: number | undefined
  readonly clock?: Clock | undefined
  readonly log?: Logger | undefined
}

/** One question: what may this role see of this table. */
export interface AccessKey extends TableId {
  readonly role: string
}

export interface AccessCache {
  /** What is known and current; undefined where it has to be asked for. `null`: there is no such role or table. */
  peek(key: AccessKey): TableAccess | null | undefined
  /** The same for all keys: reads what is not known, and looks whether the rest still holds. Raises TM_POSTGRES_*; nothing is known then. */
  get(keys: readonly AccessKey[]): Promise<readonly (TableAccess | null)[]>
  /** What is known is looked at again before it is used. */
  doubt(): void
  /** Goes up whenever something that was known turned out to be otherwise. */
  readonly generation: number
  stop(): Promise<void>
}

const keyOf = ({ role, schema, table }: AccessKey): string => JSON.stringify([role, schema, table])
const tableKey = ({ schema, table }: TableId): string => JSON.stringify([schema, table])

/** Read in one snapshot, and under no search path, so that everything is printed with its schema. */
const reading = { isolation: 'repeatable read', readOnly: true, settings: [['search_path', '']] } as const

interface Digest extends TableId {
  readonly digest: string
}

class Cache implements AccessCache {
  readonly #options: AccessCacheOptions
  readonly #clock: Clock
  readonly #maxAgeMs: number
  readonly #stopping = new AbortController()
  readonly #listening: Promise<void>
  /** With the keys as they were asked for, also of what does not exist. */
  readonly #known = new Map<string, { readonly key: AccessKey; readonly access: TableAccess | null }>()
  #common: string | undefined
  /** When the last look began that found everything as it is known. */
  #confirmedAt = Number.NEGATIVE_INFINITY
  #announcedAt = Number.NEGATIVE_INFINITY
  #working: Promise<void> = Promise.resolve()
  #renewing = false
  generation = 0

  constructor(options: AccessCacheOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#maxAgeMs = options.maxAgeMs ?? 2_000
    this.#listening = this.#listen()
  }

  peek(key: AccessKey): TableAccess | null | undefined {
    if (!this.#isCurrent()) return undefined
    if (this.#clock.monotonicMs() - this.#confirmedAt > this.#maxAgeMs / 2) this.#renew()
    return this.#known.get(keyOf(key))?.access
  }

  get(keys: readonly AccessKey[]): Promise<readonly (TableAccess | null)[]> {
    // One after the other: whoever waits finds what the one before has read.
    const work = this.#working.then(async () => {
      if (!this.#isCurrent()) await this.#check()
      const missing = (): readonly AccessKey[] => keys.filter((key) => !this.#known.has(keyOf(key)))
      // Reading may show that what is known is old; then all of it is read.
      while (missing().length > 0) await this.#read(missing())
      return keys.map((key) => this.#known.get(keyOf(key))?.access ?? null)
    })
    this.#working = work.then(
      () => undefined,
      () => undefined,
    )
    return work
  }

  doubt(): void {
    this.#announcedAt = this.#clock.monotonicMs()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all([this.#listening, this.#working])
  }

  #isCurrent(): boolean {
    return this.#confirmedAt > this.#announcedAt && this.#clock.monotonicMs() - this.#confirmedAt <= this.#maxAgeMs
  }

  /** Looks again before it is too old, so that nobody has to wait for it. */
  #renew(): void {
    if (this.#renewing) return
    this.#renewing = true
    this.#working = this.#working
      .then(() => this.#check())
      .catch(() => undefined)
      .finally(() => {
        this.#renewing = false
      })
  }

  /** Forgets what is no more as it was read. */
  async #check(): Promise<void> {
    const startedAt = this.#clock.monotonicMs()
    if (this.#known.size > 0) {
      const tables = new Map(
        [...this.#known.values()].map(({ key: { schema, table } }) => [tableKey({ schema, table }), { schema, table }]),
      )
      const [common, digests] = await this.#ask<Digest>(checkSql, [...tables.values()])
      const now = new Map(digests.map((found) => [tableKey(found), found.digest]))
      if (common !== this.#common) this.#forget(() => true)
      else this.#forget(({ key, access }) => (access?.digest ?? undefined) !== now.get(tableKey(key)))
      this.#common = common
    }
    this.#confirmedAt = startedAt
  }

  async #read(keys: readonly AccessKey[]): Promise<void> {
    const asked = keys.map(({ role, schema, table }) => ({ role, schema, table }))
    const [common, found] = await this.#ask<TableAccess>(accessSql, asked)
    if (common !== this.#common) this.#forget(() => true)
    this.#common = common
    const accesses = new Map(found.map((access) => [keyOf(access), access]))
    for (const key of asked) this.#known.set(keyOf(key), { key, access: accesses.get(keyOf(key)) ?? null })
  }

  async #ask<Row>(text: string, keys: readonly object[]): Promise<readonly [common: string, rows: readonly Row[]]> {
    const statement = { text, values: [JSON.stringify(keys)] }
    const [result] = await this.#options.pool.batch([statement], { ...reading, signal: this.#stopping.signal })
    const [common, rows] = result?.rows[0] ?? []
    return [common ?? '', JSON.parse(rows ?? '[]') as readonly Row[]]
  }

  #forget(isOld: (entry: { readonly key: AccessKey; readonly access: TableAccess | null }) => boolean): void {
    const old = [...this.#known].filter(([, entry]) => isOld(entry))
    // What was not there, and is asked for again and again, changes nothing for the others.
    if (old.some(([, { access }]) => access !== null)) this.generation += 1
    for (const [key] of old) this.#known.delete(key)
  }

  async #listen(): Promise<void> {
    const { listen, log = silentLogger } = this.#options
    if (!listen) return
    const announced = () => this.doubt()
    await listenForChanges({
      target: listen,
      name: 'realtime-access',
      changes: accessChanges,
      clock: this.#clock,
      log,
      signal: this.#stopping.signal,
      announced,
      opened: announced,
      lost: announced,
    })
  }
}

/** What roles may see of tables, read once and looked at again whenever it may have changed. */
export const createAccessCache = (options: AccessCacheOptions): AccessCache => new Cache(options)
