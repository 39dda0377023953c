import { reasonOf } from '../../errors.js'
import type { Logger, Signals } from '../../observability/observability.js'
import type { Pool } from '../../postgres/postgres.js'
import type { Redis } from '../../redis/redis.js'
import { createGroups } from '../../time/groups.js'
import { type AcceptedEvent, type Durability, partitionKeys } from '../webhooks.js'
import { appendQueued, appendWhole, tellOfDeadLetter } from './append-events.js'
import { type Inserted, insertEvents, markQueued, type StreamPlace } from './insert-events.js'
import { createRedisMemory, type RedisMemory } from './redis-memory.js'
import { createSpoolState } from './spool-state.js'
import { createStreamLives, type Lives } from './stream-lives.js'

/** Where an event is kept now, or why it is not. `duplicate`: it was kept before. */
export type Kept = 'postgres' | 'redis' | 'duplicate' | 'nowhere'

export interface EventStore {
  /** Resolves when all are durable, or cannot be made so: then `nowhere`. Never rejects. */
  keep(events: readonly AcceptedEvent[]): Promise<readonly Kept[]>
  readonly memory: RedisMemory
  start(): Promise<void>
  /** Waits for what is under way, and writes down what is in the stream. */
  stop(): Promise<void>
}

export interface EventStoreOptions {
  readonly pool: Pool
  readonly redis: Redis
  readonly durability: Durability
  readonly partitions: number
  readonly dedupeTtlMs: number
  /** How long Postgres may take for a group. */
  readonly timeoutMs: number
  readonly log: Logger
  readonly signals: Signals | undefined
}

const maxItems = 500
/** Redis does what it is sent in its order, so that nobody need wait for an answer. Rows are numbered in the order of their groups. */
const groupsAtATime = { postgres: 1, redis: 8 } as const
const maxBytes = 8 * 1024 ** 2
const upkeepMs = 500
const memoryLookMs = 2000

interface Item {
  readonly event: AcceptedEvent
  kept: Kept
}

const byPartition = (items: readonly Item[]): ReadonlyMap<number, Item[]> => {
  const parts = new Map<number, Item[]>()
  for (const item of items) {
    const part = parts.get(item.event.partition)
    if (part) part.push(item)
    else parts.set(item.event.partition, [item])
  }
  return parts
}

const partitionsOf = (items: readonly Item[]): ReadonlySet<number> => new Set(items.map(({ event }) => event.partition))

const eventsOf = (items: readonly Item[]): readonly AcceptedEvent[] => items.map(({ event }) => event)

class Store implements EventStore {
  readonly memory: RedisMemory
  readonly #options: EventStoreOptions
  readonly #spool
  readonly #lives
  readonly #groups
  /** In the stream, and not yet marked as such, by ids of events. */
  #marks = new Map<string, StreamPlace>()
  /** It did not take a group. Until it answers a question no other group waits for it. */
  #postgresIsAway = false
  #refusing = false
  #upkeep: NodeJS.Timeout | undefined
  #memoryLook: NodeJS.Timeout | undefined
  #upkeeping: Promise<void> | undefined
  #unlisten: (() => void) | undefined

  constructor(options: EventStoreOptions) {
    const { redis, signals, pool, log, timeoutMs, durability, partitions } = options
    this.#options = options
    this.memory = createRedisMemory(redis, signals)
    this.#spool = createSpoolState({ pool, log, signals, timeoutMs })
    this.#lives = createStreamLives({ redis, partitions, log, learned: () => this.#spool.expire() })
    this.#groups = createGroups<Item>({
      write: (items) => this.#write(items),
      bytesOf: ({ event }) => event.raw.length + (event.envelope?.length ?? 0),
      maxRunning: groupsAtATime[durability],
      maxItems,
      maxBytes,
    })
  }

  async keep(events: readonly AcceptedEvent[]): Promise<readonly Kept[]> {
    const items = events.map((event): Item => ({ event, kept: 'nowhere' }))
    const [first] = items
    if (first && items.length === 1) {
      await this.#groups.add(first)
      return [first.kept]
    }
    await Promise.all(items.map((item) => this.#groups.add(item)))
    return items.map(({ kept }) => kept)
  }

  async start(): Promise<void> {
    const { redis, log } = this.#options
    this.#unlisten = redis.onState(() => this.#spool.expire())
    const lookAtMemory = () => this.memory.look().catch((err: unknown) => log.debug('the memory of Redis is not known', { err }))
    await Promise.all([lookAtMemory(), this.#spool.look()])
    this.#upkeep = setInterval(() => void this.#keepUp(), upkeepMs)
    this.#memoryLook = setInterval(() => void lookAtMemory(), memoryLookMs)
    this.#upkeep.unref()
    this.#memoryLook.unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#upkeep)
    clearInterval(this.#memoryLook)
    this.#unlisten?.()
    await this.#groups.idle()
    await this.#upkeeping
    await this.#mark()
  }

  /** Others may have begun, or ended, to spool. */
  #keepUp(): Promise<void> {
    const { durability } = this.#options
    this.#upkeeping ??= Promise.all([
      this.#mark(),
      this.#askForPostgres(),
      ...(durability === 'redis' ? [this.#spool.look()] : []),
    ])
      .then(() => undefined)
      .finally(() => {
        this.#upkeeping = undefined
      })
    return this.#upkeeping
  }

  async #mark(): Promise<void> {
    if (this.#marks.size === 0) return
    const marks = this.#marks
    this.#marks = new Map()
    // A mark that is lost is no harm: the event goes into the stream once more, and its row tells that it was handled.
    await markQueued(this.#options.pool, marks).catch((err: unknown) =>
      this.#options.log.debug('events in the stream could not be marked', { err }),
    )
  }

  async #write(items: readonly Item[]): Promise<void> {
    const { durability, redis, log } = this.#options
    try {
      await (durability === 'redis' && redis.state !== 'absent' ? this.#throughRedis(items) : this.#throughPostgres(items))
    } catch (err) {
      // What is not known to be kept was not.
      log.error('events could not be stored', { err, events: items.length })
    }
    this.#tellWhetherRefusing(items)
  }

  async #askForPostgres(): Promise<void> {
    if (!this.#postgresIsAway) return
    const { pool, timeoutMs, log } = this.#options
    try {
      await pool.query('select 1', [], { signal: AbortSignal.timeout(timeoutMs) })
      this.#postgresIsAway = false
    } catch (err) {
      log.debug('Postgres is still away', { err })
    }
  }

  /** `durability: redis`. While events of a partition wait in Postgres, what comes waits behind them. */
  async #throughRedis(items: readonly Item[]): Promise<void> {
    const lives = await this.#lives.of(partitionsOf(items))
    await this.#spool.known()
    const spooled = items.filter(({ event }) => this.#spool.isSpooling(event.partition))
    const others = items.filter(({ event }) => !this.#spool.isSpooling(event.partition))
    if (spooled.length > 0) await this.#throughPostgres(spooled)
    // Full: whoever sends more is told to come again, as events that are stored here leave by being handled.
    if (others.length === 0 || (this.#options.redis.state === 'up' && !this.memory.hasRoom)) return
    const left = await this.#appendWhole(others, lives)
    if (left.length > 0 && !this.#postgresIsAway) await this.#intoPostgres(left, await this.#lives.of(partitionsOf(left)))
  }

  /** Rows first. Where there can be none, the stream takes the whole events, and workers make the rows. */
  async #throughPostgres(items: readonly Item[]): Promise<void> {
    const lives = await this.#lives.of(partitionsOf(items))
    if (!this.#postgresIsAway && (await this.#intoPostgres(items, lives))) return
    if (this.memory.hasRoom) await this.#appendWhole(items, lives)
  }

  /** False where Postgres could not take them. */
  async #intoPostgres(items: readonly Item[], lives: Lives): Promise<boolean> {
    const { pool, timeoutMs, log } = this.#options
    let inserted: ReadonlyMap<string, Inserted>
    try {
      inserted = await insertEvents(pool, eventsOf(items), AbortSignal.timeout(timeoutMs))
    } catch (err) {
      this.#postgresIsAway = true
      log.warn('Postgres could not take events', { err, events: items.length })
      return false
    }
    for (const item of items) item.kept = inserted.has(item.event.id) ? 'postgres' : 'duplicate'
    const fresh = items.filter(({ event }) => inserted.has(event.id))
    await this.#queue(fresh, inserted, lives)
    return true
  }

  /** Puts rows into the stream, or lets them wait where others do. Never fails: they are durable already. */
  async #queue(items: readonly Item[], inserted: ReadonlyMap<string, Inserted>, lives: Lives): Promise<void> {
    if (this.#options.redis.state === 'absent') return
    const waiting: number[] = []
    let why = 'Redis is away'
    for (const [partition, part] of byPartition(items)) {
      const dead = part.filter(({ event }) => event.unparseable !== undefined)
      for (const { event } of dead) this.#tellOfDead(event)
      const live = part.filter(({ event }) => event.unparseable === undefined)
      const spooling = live.some(({ event }) => inserted.get(event.id)!.spooling)
      this.#spool.saw(partition, spooling)
      // When they go into the stream again, it may be another one.
      if (spooling) this.#lives.forget(partition)
      if (spooling || live.length === 0) continue
      const failure = await this.#appendQueued(partition, live, inserted, lives.get(partition))
      if (failure === undefined) continue
      waiting.push(partition)
      why = failure
    }
    if (waiting.length > 0) await this.#startSpool(waiting, why)
  }

  #tellOfDead(event: AcceptedEvent): void {
    const { redis, log } = this.#options
    tellOfDeadLetter(redis, event).catch((err: unknown) => log.debug('nobody was told of a dead letter', { id: event.id, err }))
  }

  async #startSpool(partitions: readonly number[], why: string): Promise<void> {
    try {
      await this.#spool.start(partitions, why)
    } catch (err) {
      // The rows are there without a mark that they are in the stream, and are found by that.
      this.#options.log.warn('a partition could not be set to wait in Postgres', { partitions, err })
    }
  }

  /** Why they did not get into the stream; undefined where they did. */
  async #appendQueued(
    partition: number,
    items: readonly Item[],
    inserted: ReadonlyMap<string, Inserted>,
    life: string | undefined,
  ): Promise<string | undefined> {
    if (this.#options.redis.state !== 'up' || life === undefined) return 'Redis is away'
    if (!this.memory.hasRoom) return 'the memory of Redis is full'
    try {
      const appended = await appendQueued(this.#appendTo(partition, life), eventsOf(items), ({ id }) => inserted.get(id)!.seq)
      if (!appended) {
        this.#lives.forget(partition)
        return 'Redis lost what it held'
      }
      for (const [id, entry] of appended) this.#marks.set(id, { partition, entry })
      return undefined
    } catch (error) {
      return reasonOf(error)
    }
  }

  /** Gives those that Redis did not take. */
  async #appendWhole(items: readonly Item[], lives: Lives): Promise<readonly Item[]> {
    const { redis, log } = this.#options
    if (redis.state !== 'up') return items
    const left: Item[] = []
    for (const [partition, part] of byPartition(items)) {
      const life = lives.get(partition)
      try {
        const appended = life === undefined ? undefined : await appendWhole(this.#appendTo(partition, life), eventsOf(part))
        if (appended) {
          for (const item of part) item.kept = appended.has(item.event.id) ? 'redis' : 'duplicate'
          continue
        }
        this.#lives.forget(partition)
      } catch (err) {
        log.warn('Redis could not take events', { err, partition, events: part.length })
      }
      left.push(...part)
    }
    return left
  }

  #appendTo(partition: number, life: string) {
    const { redis, partitions, dedupeTtlMs } = this.#options
    return { redis, life, dedupeTtlMs, keys: partitionKeys(partition, partitions) }
  }

  #tellWhetherRefusing(items: readonly Item[]): void {
    const refusing = items.some(({ kept }) => kept === 'nowhere')
    if (refusing === this.#refusing) return
    this.#refusing = refusing
    const message = refusing ? 'Events are refused: neither Postgres nor Redis takes them.' : 'Events are stored again.'
    this.#options.signals?.raise({ name: refusing ? 'webhooks.refused' : 'webhooks.stored', subject: 'webhooks', message })
  }
}

/** Makes events durable, in groups. */
export const createEventStore = (options: EventStoreOptions): EventStore => new Store(options)
