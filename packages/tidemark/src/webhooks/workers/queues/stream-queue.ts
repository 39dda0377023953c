import { randomUUID } from 'node:crypto'
import { isTidemarkError } from '../../../errors.js'
import type { Logger, Signals } from '../../../observability/observability.js'
import type { Redis, RedisCommand, RedisReply } from '../../../redis/redis.js'
import type { Clock } from '../../../time/clock.js'
import { decodeEntry } from '../../entry.js'
import { consumerGroup, errorsStream, type PartitionKeys, partitionKeys } from '../../webhooks.js'
import { type HeldEvent, heldFromEntry } from '../runs/held-event.js'
import { type Backlog, type Before, type Buried, type PutOff, type Queue, QueueLost, type Reading } from './queue.js'
import { buryScript, forgetConsumersScript, putOffScript, settleScript } from './stream-scripts.js'
import { trimStream } from './trim-stream.js'

export interface StreamQueueOptions {
  readonly redis: Redis
  /** For reads that wait; undefined where none can be had. */
  readonly blocking: Redis | undefined
  /** The consumer. */
  readonly name: string
  readonly partitions: number
  readonly trimAfterMs: number
  readonly clock: Clock
  readonly signals: Signals | undefined
  readonly log: Logger
  /** Told of entries that were pending and are no longer in the stream: somebody cut them off. */
  deleted(partition: number, count: number): void
  /** Told of entries that were taken from another consumer. */
  claimed(partition: number, count: number): void
}

const claimPage = 200
const errorsKeptMs = 30 * 86_400_000
const consumerSilenceMs = 120_000
/** A reply may take so much longer than the command was to wait. */
const patienceMs = 5_000

type List = readonly RedisReply[]
interface ForeignEntry {
  readonly id: string
  readonly fields: readonly Buffer[]
}

/** A dead letter. */
interface Letter {
  readonly id: string
  /** Empty where it stands in no stream. */
  readonly streamId: string
  readonly fields: readonly (string | Buffer)[]
}

type RawEntry = readonly [id: Buffer, fields: readonly Buffer[] | null]

const listOf = (reply: RedisReply | undefined): List => (Array.isArray(reply) ? reply : [])

const startsWith = (error: unknown, word: string): boolean =>
  isTidemarkError(error, 'TM_REDIS_COMMAND') && String(error.parameters.reason).startsWith(word)

/** What was read is this consumer's, even where another stream could not be: that one will say so again. */
const answered = (outcomes: readonly PromiseSettledResult<RedisReply>[]): List => {
  const found = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? listOf(outcome.value) : []))
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed && found.length === 0) throw failed.reason
  return found
}

class StreamQueue implements Queue {
  readonly kind = 'stream'
  readonly #options: StreamQueueOptions
  /** Streams that another group reads too: nothing is deleted there before that has seen it. */
  readonly #shared = new Set<number>()
  /** Of the connection that waits, as Redis counts them; undefined where that is not known. */
  #waits: string | undefined

  constructor(options: StreamQueueOptions) {
    this.#options = options
    options.blocking?.onState(() => {
      this.#waits = undefined
    })
  }

  async interrupt(): Promise<void> {
    if (!this.#waits) return
    await this.#options.redis.command(['CLIENT', 'UNBLOCK', this.#waits]).catch(() => undefined)
  }

  #keys(partition: number): PartitionKeys {
    return partitionKeys(partition, this.#options.partitions)
  }

  async isMissing(partition: number): Promise<boolean> {
    const { stream } = this.#keys(partition)
    try {
      await this.#options.redis.command(['XPENDING', stream, consumerGroup])
      return false
    } catch (error) {
      if (startsWith(error, 'NOGROUP')) return true
      throw error
    }
  }

  async create(partition: number): Promise<void> {
    const { stream } = this.#keys(partition)
    try {
      // From the beginning: what was written while nobody read belongs to the group too.
      await this.#options.redis.command(['XGROUP', 'CREATE', stream, consumerGroup, '0', 'MKSTREAM'])
    } catch (error) {
      if (!startsWith(error, 'BUSYGROUP')) throw error
    }
  }

  async strip(partition: number, keep: (events: readonly HeldEvent[]) => Promise<void>): Promise<void> {
    const { redis } = this.#options
    const { stream, life } = this.#keys(partition)
    await redis.command(['SET', life, randomUUID()])
    for (;;) {
      const entries = listOf(await redis.command(['XRANGE', stream, '-', '+', 'COUNT', claimPage], { buffers: true }))
      if (entries.length === 0) return
      await keep(this.#decode(partition, entries).events)
      await redis.command(['XDEL', stream, ...entries.map((entry) => String(listOf(entry)[0]))])
    }
  }

  async begun(partition: number, events: readonly HeldEvent[]): Promise<void> {
    await this.#options.redis.command(['SADD', this.#keys(partition).begun, ...events.map(({ id }) => id)])
  }

  notBegun(partition: number, events: readonly HeldEvent[]): Promise<void> {
    return this.forget(
      partition,
      events.map(({ id }) => id),
    )
  }

  async unended(partition: number): Promise<readonly string[]> {
    return listOf(await this.#options.redis.command(['SMEMBERS', this.#keys(partition).begun])).map(String)
  }

  async forget(partition: number, ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await this.#options.redis.command(['SREM', this.#keys(partition).begun, ...ids])
  }

  async *recover(partition: number, { crashes }: Before): AsyncIterable<readonly HeldEvent[]> {
    const { redis, name } = this.#options
    const { stream } = this.#keys(partition)
    let cursor = '0-0'
    do {
      const command: RedisCommand = ['XAUTOCLAIM', stream, consumerGroup, name, '0', cursor, 'COUNT', claimPage]
      const [next, entries, gone] = listOf(await redis.command(command, { buffers: true }))
      cursor = String(next)
      const { events, foreign, missing } = this.#decode(partition, listOf(entries), crashes)
      await this.#deleted(partition, [...missing, ...listOf(gone).map(String)])
      await this.#castOut(partition, foreign)
      if (events.length > 0) {
        this.#options.claimed(partition, events.length)
        yield events
      }
    } while (cursor !== '0-0')
  }

  async read(owned: ReadonlyMap<number, string>, count: number, waitMs: number): Promise<readonly Reading[]> {
    if (owned.size === 0) return []
    const byStream = new Map([...owned.keys()].map((partition) => [this.#keys(partition).stream, partition]))
    const readings: Reading[] = []
    for (const each of await this.#readStreams([...byStream.keys()], count, waitMs)) {
      const [stream, entries] = listOf(each)
      const partition = byStream.get(String(stream))!
      const { events, foreign } = this.#decode(partition, listOf(entries))
      await this.#castOut(partition, foreign)
      readings.push({ partition, events })
    }
    return readings
  }

  async #readStreams(streams: readonly string[], count: number, waitMs: number): Promise<List> {
    const { redis, blocking = redis, name } = this.#options
    const read = (keys: readonly string[], block: readonly (string | number)[]): RedisCommand => {
      const what = ['XREADGROUP', 'GROUP', consumerGroup, name, 'COUNT', count, ...block, 'STREAMS', ...keys] as const
      return [...what, ...keys.map(() => '>')]
    }
    try {
      // In a cluster each has a slot of its own, and nobody can wait for several.
      if (redis.cluster) {
        const asked = streams.map((stream) => redis.command(read([stream], []), { buffers: true }))
        return answered(await Promise.allSettled(asked))
      }
      const mayBlock = blocking !== redis && waitMs > 0
      // Some that are like Redis do not count them.
      if (mayBlock) this.#waits ??= await blocking.command(['CLIENT', 'ID']).then(String, () => '')
      const command = read(streams, mayBlock ? ['BLOCK', Math.ceil(waitMs)] : [])
      return listOf(await blocking.command(command, { buffers: true, timeoutMs: waitMs + patienceMs }))
    } catch (error) {
      // The second is what whoever waits is told when the stream goes.
      if (startsWith(error, 'NOGROUP') || startsWith(error, 'UNBLOCKED')) throw new QueueLost()
      throw error
    }
  }

  #decode(partition: number, entries: List, crashes?: ReadonlyMap<string, number>) {
    const events: HeldEvent[] = []
    const foreign: ForeignEntry[] = []
    const missing: string[] = []
    for (const each of entries) {
      if (!Array.isArray(each)) continue
      const [rawId, fields] = each as unknown as RawEntry
      const id = String(rawId)
      const entry = fields ? decodeEntry(fields) : undefined
      if (!fields) missing.push(id)
      else if (entry) events.push(heldFromEntry(entry, partition, id, crashes?.get(entry.id) ?? 0))
      else foreign.push({ id, fields })
    }
    return { events, foreign, missing }
  }

  /** Before Redis 7 what is gone stays pending until it is acknowledged. */
  async #deleted(partition: number, ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return
    const { redis, signals, log, deleted } = this.#options
    const { stream } = this.#keys(partition)
    deleted(partition, ids.length)
    log.error('entries were cut off the stream while they were held', { stream, count: ids.length })
    signals?.raise({
      name: 'webhooks.deleted',
      subject: stream,
      message: `${ids.length} entries of ${stream} were cut off while they were held: something trims it by length, or Redis evicts.`,
      details: { count: ids.length },
    })
    await redis.command(['XACK', stream, consumerGroup, ...ids])
  }

  /** What is no event, or one that another version wrote, is moved where people look, with all that it holds. */
  async #castOut(partition: number, entries: readonly ForeignEntry[]): Promise<void> {
    if (entries.length === 0) return
    const { stream } = this.#keys(partition)
    const ids = entries.map(({ id }) => id)
    this.#options.log.error('entries of the stream are no events', {
      stream,
      ids: ids.slice(0, 10).join(', '),
      count: ids.length,
    })
    const letters = entries.map(({ id, fields }) => ({
      id,
      streamId: id,
      fields: ['reason', 'foreign', 'stream', stream, 'entry', id, ...fields],
    }))
    await this.#bury(partition, letters)
  }

  async settle(partition: number, events: readonly HeldEvent[]): Promise<void> {
    const { stream, begun } = this.#keys(partition)
    for (let at = 0; at < events.length; at += 1000) {
      const part = events.slice(at, at + 1000).flatMap(({ id, streamId = '' }) => [id, streamId])
      await this.#options.redis.script(settleScript, [stream, begun], [consumerGroup, this.#deletes(partition), ...part])
    }
  }

  #deletes(partition: number): '0' | '1' {
    return this.#shared.has(partition) ? '0' : '1'
  }

  async putOff(partition: number, events: readonly PutOff[]): Promise<void> {
    if (events.length === 0) return
    const { stream, retry, begun } = this.#keys(partition)
    const each = events.flatMap(({ event, dueAtMs }) => [String(Math.ceil(dueAtMs)), event.id, event.streamId ?? ''])
    await this.#options.redis.script(putOffScript, [stream, retry, begun], [consumerGroup, this.#deletes(partition), ...each])
  }

  async bury(partition: number, events: readonly Buried[]): Promise<void> {
    const letters = events.map(({ event, reason, error }) => {
      const { id, provider, type, lane, payload, receivedAtMs, streamId = '' } = event
      const fields = ['id', id, 'provider', provider, 'event_type', type, 'lane', lane, 'payload', payload]
      const receivedAt = new Date(receivedAtMs).toISOString()
      return { id, streamId, fields: [...fields, 'received_at', receivedAt, 'reason', reason, 'error', error] }
    })
    await this.#bury(partition, letters)
  }

  /** Told first, then taken out: after a crash in between it is told again, and never lost. */
  async #bury(partition: number, letters: readonly Letter[]): Promise<void> {
    if (letters.length === 0) return
    const { redis, clock } = this.#options
    const { stream, retry, begun } = this.#keys(partition)
    const keptFrom = String(Math.max(0, clock.now() - errorsKeptMs))
    const told = await redis.pipeline(
      letters.map(({ fields }): RedisCommand => ['XADD', errorsStream, 'MINID', '~', keptFrom, '*', ...fields]),
    )
    for (const result of told) if (!result.ok) throw result.error
    const each = letters.flatMap(({ id, streamId }) => [id, streamId])
    await redis.script(buryScript, [stream, retry, begun], [consumerGroup, this.#deletes(partition), ...each])
  }

  async due(partitions: readonly number[]): Promise<readonly string[]> {
    const { redis, clock } = this.#options
    const now = clock.now()
    const found = await Promise.all(
      partitions.map(async (partition) => {
        const { retry } = this.#keys(partition)
        const ids = listOf(await redis.command(['ZRANGEBYSCORE', retry, '-inf', now, 'LIMIT', 0, 200])).map(String)
        // From here on its row alone says when it is due.
        if (ids.length > 0) await redis.command(['ZREM', retry, ...ids])
        return ids
      }),
    )
    return found.flat()
  }

  async tend(partition: number): Promise<void> {
    const { redis, name, clock, trimAfterMs } = this.#options
    const { stream } = this.#keys(partition)
    const groups = await trimStream(redis, stream, clock.now() - trimAfterMs)
    if (groups > 1) this.#shared.add(partition)
    else this.#shared.delete(partition)
    await redis.script(forgetConsumersScript, [stream], [consumerGroup, name, consumerSilenceMs])
  }

  async backlog(partition: number): Promise<Backlog> {
    const { redis, clock } = this.#options
    const { stream } = this.#keys(partition)
    const [length, pending, oldest] = await Promise.all([
      redis.command<number>(['XLEN', stream]),
      redis.command(['XPENDING', stream, consumerGroup]).catch(() => null),
      this.oldest(partition),
    ])
    const held = Number(listOf(pending)[0] ?? 0)
    return { events: length, pending: held, oldestMs: length === 0 ? 0 : Math.max(0, clock.now() - (oldest ?? clock.now())) }
  }

  async oldest(partition: number): Promise<number> {
    const { redis, clock } = this.#options
    const [first] = listOf(await redis.command(['XRANGE', this.#keys(partition).stream, '-', '+', 'COUNT', 1]))
    return first === undefined ? clock.now() : Number(String(listOf(first)[0]).split('-')[0])
  }

  async leave(partition: number): Promise<void> {
    const { redis, name } = this.#options
    await redis.script(forgetConsumersScript, [this.#keys(partition).stream], [consumerGroup, name, 0])
  }

  async stop(): Promise<void> {
    await this.#options.blocking?.stop()
  }
}

/** Events from the streams of Redis. */
export const createStreamQueue = (options: StreamQueueOptions): Queue => new StreamQueue(options)
