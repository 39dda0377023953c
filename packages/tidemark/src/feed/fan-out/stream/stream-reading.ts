import type { Redis, RedisCommand, RedisReply } from '../../../redis/redis.js'
import type { ResetReason } from '../../feed.js'
import { type Beat, parseBeat } from './beat.js'
import { type EntryId, formatId, parseId, zeroId } from './entry-id.js'
import { beatsKey, currentKey, streamKey } from './stream-keys.js'

/** The stream that the nodes of a feed tail at present. */
export interface CurrentStream {
  /** Of the positions. */
  readonly epoch: string
  readonly stream: string
  /** What the node that publishes takes out of Redis. */
  readonly purges: string
  /** Of a cluster, as the node that publishes saw them: see `RedisCluster.masters`. Of a single server the id of its run. */
  readonly run: string
  /** Everything after this number is in the stream, or was and has been trimmed. */
  readonly base: bigint
  readonly reason: ResetReason
}

export interface RawEntry {
  readonly id: EntryId
  readonly prev: EntryId | undefined
  readonly body: Buffer
}

export interface Reading {
  /** When it was asked, on the monotonic clock. */
  readonly askedAt: number
  /** The newest beat at some moment after that. */
  readonly newestBeat: EntryId | undefined
  readonly entries: readonly RawEntry[]
  readonly beats: readonly Beat[]
}

const reasons: readonly string[] = ['start', 'slotLost', 'newHistory', 'gap', 'streamLost', 'purgesChanged']

const list = (reply: RedisReply | undefined): readonly RedisReply[] => (Array.isArray(reply) ? reply : [])

const mapOf = (reply: RedisReply | undefined): ReadonlyMap<string, RedisReply> => {
  const flat = list(reply)
  return new Map(flat.flatMap((name, index) => (index % 2 === 0 ? [[String(name), flat[index + 1] ?? null] as const] : [])))
}

const textMap = (reply: RedisReply | undefined): ReadonlyMap<string, string> =>
  new Map([...mapOf(reply)].map(([name, value]) => [name, String(value)]))

/** Undefined where no reader has named one. */
export const readCurrent = async (redis: Redis, scope: string): Promise<CurrentStream | undefined> => {
  const held = textMap(await redis.command(['HGETALL', currentKey(scope)]))
  const names = ['epoch', 'stream', 'base', 'reason', 'purges', 'run'] as const
  const [epoch, stream, base, reason, purges = '', run = ''] = names.map((name) => held.get(name))
  if (epoch === undefined || stream === undefined || !/^\d{1,20}$/.test(base ?? '')) return undefined
  const known = reason !== undefined && reasons.includes(reason)
  return { epoch, stream, purges, run, base: BigInt(base ?? 0), reason: known ? (reason as ResetReason) : 'start' }
}

const entryOf = (reply: RedisReply): RawEntry | undefined => {
  const [idText, fields] = list(reply)
  const id = parseId(String(idText))
  const held = mapOf(fields)
  const body = held.get('b')
  return id && { id, prev: parseId(String(held.get('p'))), body: Buffer.isBuffer(body) ? body : Buffer.alloc(0) }
}

const beatOf = (reply: RedisReply): Beat | undefined => {
  const [id, fields] = list(reply)
  return parseBeat(String(id), textMap(fields))
}

const present = <T>(items: readonly (T | undefined)[]): T[] => items.filter((item) => item !== undefined)

/** The newest beat of a stream. */
export const readNewestBeat = async (redis: Redis, stream: string): Promise<Beat | undefined> => {
  const [newest] = list(await redis.command(['XREVRANGE', beatsKey(streamKey(stream)), '+', '-', 'COUNT', 1], { buffers: true }))
  return newest === undefined ? undefined : beatOf(newest)
}

/** The newest entry's id. */
export const readTop = async (redis: Redis, stream: string): Promise<EntryId> => {
  const [newest] = list(await redis.command(['XREVRANGE', streamKey(stream), '+', '-', 'COUNT', 1], { buffers: true }))
  return (newest !== undefined && entryOf(newest)?.id) || zeroId
}

/** Where the stream can be read from with nothing missing. */
export interface Beginning {
  readonly after: EntryId
  /** Whether `after` was an entry, which the next one follows. */
  readonly chained: boolean
  /** Every transaction after this number is in the stream as a whole. */
  readonly number: bigint
}

/** Of a stream whose first entries are trimmed, whole transactions come after the one that the last of those belonged to. */
export const readBeginning = async (redis: Redis, { stream, base }: CurrentStream): Promise<Beginning> => {
  const [first] = list(await redis.command(['XRANGE', streamKey(stream), '-', '+', 'COUNT', 1], { buffers: true }))
  const oldest = first === undefined ? undefined : entryOf(first)
  if (!oldest) return { after: zeroId, chained: false, number: base }
  const { prev = zeroId } = oldest
  if (prev.number === 0n) return { after: zeroId, chained: false, number: base }
  return { after: prev, chained: true, number: prev.number }
}

export interface ReadOptions {
  readonly stream: string
  readonly after: EntryId
  readonly afterBeat: EntryId
  readonly maxEntries: number
  /** How long to wait where nothing is there; 0 where the connection cannot wait. */
  readonly blockMs: number
  readonly monotonicMs: () => number
  readonly signal: AbortSignal
}

/** Grace on top of what the server was asked to wait. */
const graceMs = 1000

/** Entries and beats after those. The connection is the caller's alone while it blocks. */
export const readStream = async (redis: Redis, options: ReadOptions): Promise<Reading> => {
  const key = streamKey(options.stream)
  const beats = beatsKey(key)
  const block: RedisCommand[2][] = options.blockMs > 0 ? ['BLOCK', Math.ceil(options.blockMs)] : []
  const askedAt = options.monotonicMs()
  const [newest, read] = await redis.pipeline(
    [
      ['XREVRANGE', beats, '+', '-', 'COUNT', 1],
      [
        'XREAD',
        'COUNT',
        options.maxEntries,
        ...block,
        'STREAMS',
        key,
        beats,
        formatId(options.after),
        formatId(options.afterBeat),
      ],
    ],
    { buffers: true, timeoutMs: options.blockMs + graceMs, signal: options.signal },
  )
  if (newest?.ok !== true) throw newest?.error
  if (read?.ok !== true) throw read?.error
  const [latest] = list(newest.value)
  const streams = new Map(list(read.value).map((each) => [String(list(each)[0]), list(list(each)[1])]))
  return {
    askedAt,
    newestBeat: latest === undefined ? undefined : beatOf(latest)?.id,
    entries: present((streams.get(key) ?? []).map(entryOf)),
    beats: present((streams.get(beats) ?? []).map(beatOf)),
  }
}
