import { randomBytes } from 'node:crypto'
import type { Redis, RedisReply } from '../../../redis/redis.js'
import type { ResetReason } from '../../feed.js'
import { type Beat, beatFields, parseBeat } from './beat.js'
import { type EntryId, formatId, parseId, zeroId } from './entry-id.js'
import { PieceDecoder } from './piece-decoder.js'
import { beatsKey, currentKey, stateKey, streamKey } from './stream-keys.js'
import { appendScript, beatScript, claimScript, keepScript, openScript } from './stream-scripts.js'
import type { StreamEntry, StreamTop } from './transaction-collector.js'

/** `fenced`: a later reader publishes. `lost`: Redis no longer has what it acknowledged. */
export type StreamAnswer = 'ok' | 'fenced' | 'lost'

export interface ClaimOptions {
  readonly redis: Redis
  readonly scope: string
  /** Of the source. */
  readonly epoch: string
  /** Everything after this number will be published. */
  readonly base: bigint
  /** Why a stream that has to be begun is begun. Default: `purgesChanged` or `streamLost` where one of the same epoch was named before, else `start`. */
  readonly reason?: ResetReason
  /** What the reader takes out of Redis before it publishes: another begins a new stream. */
  readonly purges: string
  /** Begins a new stream in any case. */
  readonly force?: boolean
}

/** What stands in Redis of a feed that nobody beats for so long is forgotten. */
const ttlMs = 24 * 3_600_000
const keptBeats = 16

const fieldMap = (fields: RedisReply | undefined): ReadonlyMap<string, string> => {
  const list = Array.isArray(fields) ? fields.map(String) : []
  return new Map(list.flatMap((name, index) => (index % 2 === 0 ? [[name, list[index + 1] ?? ''] as const] : [])))
}

const first = (reply: RedisReply | undefined): readonly RedisReply[] | undefined => {
  const entry = Array.isArray(reply) ? reply[0] : undefined
  return Array.isArray(entry) ? entry : undefined
}

/** The stream that this node, and no other, appends to: as long as its term is the latest. */
export class PublishedStream {
  /** Names the stream, and voids what was derived from another. */
  readonly epoch: string
  /** Of the stream as it was when it was claimed. */
  readonly top: StreamTop
  /** Everything up to here is in the stream, or came before its base. */
  readonly completeTo: bigint
  readonly isNew: boolean
  readonly #redis: Redis
  readonly #current: string
  readonly #key: string
  readonly #term: string
  readonly #run: string
  #last: EntryId
  #appending = 0
  #beat = 0n

  private constructor(parts: {
    redis: Redis
    scope: string
    stream: string
    term: string
    run: string
    isNew: boolean
    top: StreamTop
    completeTo: bigint
  }) {
    this.epoch = parts.stream
    this.top = parts.top
    this.completeTo = parts.completeTo
    this.isNew = parts.isNew
    this.#redis = parts.redis
    this.#current = currentKey(parts.scope)
    this.#key = streamKey(parts.stream)
    this.#term = parts.term
    this.#run = parts.run
    this.#last = parts.top.id
  }

  /** Makes this node the publisher: of the stream that stands, or of a new one. Raises TM_REDIS_*; gives `fenced` where another came since. */
  static async claim(options: ClaimOptions): Promise<PublishedStream | 'fenced'> {
    const { redis, scope, epoch, base, purges, reason = '', force = false } = options
    const drawn = `${epoch}-${randomBytes(5).toString('hex')}`
    const [term, run, stream, heldBase, isNew] = await redis.script<[string, string, string, string, number]>(
      claimScript,
      [currentKey(scope)],
      [epoch, drawn, String(base), reason, force ? 1 : 0, ttlMs, purges, redis.cluster?.masters ?? ''],
    )
    const key = streamKey(stream)
    const [answer, top, beat] = await redis.script<[Buffer, RedisReply, RedisReply]>(
      openScript,
      [key, stateKey(key), beatsKey(key)],
      [term, ttlMs],
      { buffers: true },
    )
    if (String(answer) === 'fenced') return 'fenced'
    const known = first(beat)
    const last = known && parseBeat(String(known[0]), fieldMap(known[1]))
    const opened = topOf(top, epoch)
    // A beat that speaks of entries which are not there, or a stream without a trace of the reader who named it: some of it is gone.
    const broken = opened === 'unreadable' || (last?.proof && isBefore(opened.id, last.proof.top))
    const completeTo = maxOf(BigInt(heldBase), opened === 'unreadable' ? 0n : opened.id.number, last?.proof?.number ?? 0n)
    if (isNew === 0 && (broken || completeTo < base))
      return PublishedStream.claim({ ...options, reason: 'streamLost', force: true })
    return new PublishedStream({
      redis,
      scope,
      stream,
      term,
      run,
      isNew: isNew === 1,
      completeTo,
      top: opened === 'unreadable' ? { id: zeroId, last: true } : opened,
    })
  }

  /** The newest entry that was acknowledged. */
  get last(): EntryId {
    return this.#last
  }

  /** False once a master of the cluster is not the one it was: what it had of this stream's time may be lost. */
  get isWhole(): boolean {
    const { cluster } = this.#redis
    return !cluster || cluster.masters === this.#run
  }

  /** Appends all or none. */
  async append(entries: readonly StreamEntry[]): Promise<StreamAnswer> {
    if (!this.isWhole) return 'lost'
    const last = entries.at(-1)
    if (!last) return 'ok'
    const args = entries.flatMap(({ id, body }) => [formatId(id), body])
    this.#appending += 1
    try {
      const [answer, top] = await this.#redis.script<[string, string]>(
        appendScript,
        [this.#key, stateKey(this.#key)],
        [this.#term, formatId(this.#last), ...args],
      )
      if (answer === 'ok') this.#last = last.id
      return this.#meaning(answer, top)
    } finally {
      this.#appending -= 1
    }
  }

  /** Gives the id of the beat where it was made, and when Redis said so. */
  async beat(beat: Omit<Beat, 'id'>): Promise<{ readonly answer: StreamAnswer; readonly id: EntryId }> {
    this.#beat += 1n
    const id: EntryId = { number: BigInt(this.#term), ordinal: this.#beat }
    if (!this.isWhole) return { answer: 'lost', id }
    const busy = this.#appending > 0
    const [kept, beaten] = await Promise.all([
      this.#redis.script<string>(keepScript, [this.#current], [this.#term, ttlMs]),
      this.#redis.script<[string, string]>(
        beatScript,
        [this.#key, stateKey(this.#key), beatsKey(this.#key)],
        [this.#term, formatId(this.#last), formatId(id), keptBeats, ttlMs, ...beatFields(beat)],
      ),
    ])
    if (kept !== 'ok') return { answer: kept === 'fenced' ? 'fenced' : 'lost', id }
    const [answer, detail] = beaten
    if (answer === 'ok') return { answer: this.isWhole && (this.#redis.cluster || detail === this.#run) ? 'ok' : 'lost', id }
    // An append that overtook the beat has moved the top: the next beat will find it in its place.
    const overtaken = answer === 'moved' && (busy || this.#appending > 0 || detail === formatId(this.#last))
    if (overtaken) return { answer: 'ok', id: zeroId }
    return { answer: this.#meaning(answer, detail), id }
  }

  /** Gives up the entries before that one. */
  async trim(before: EntryId): Promise<void> {
    await this.#redis.command(['XTRIM', this.#key, 'MINID', '~', formatId(before)])
  }

  #meaning(answer: string, top: string): StreamAnswer {
    if (answer === 'ok' || answer === 'fenced') return answer
    const found = parseId(top)
    // Only who publishes moves the top; a later one than ours is another's.
    return answer === 'moved' && found && isBefore(this.#last, found) ? 'fenced' : 'lost'
  }
}

const isBefore = (a: EntryId, b: EntryId): boolean => a.number < b.number || (a.number === b.number && a.ordinal < b.ordinal)

const maxOf = (...numbers: readonly bigint[]): bigint =>
  numbers.reduce((highest, number) => (number > highest ? number : highest))

const topOf = (reply: RedisReply | undefined, epoch: string): StreamTop | 'unreadable' => {
  const entry = first(reply)
  if (!entry) return { id: zeroId, last: true }
  const id = parseId(String(entry[0]))
  const fields = Array.isArray(entry[1]) ? (entry[1] as readonly RedisReply[]) : []
  const body = fields[fields.findIndex((name) => String(name) === 'b') + 1]
  if (!id || !Buffer.isBuffer(body)) return 'unreadable'
  try {
    return { id, last: new PieceDecoder().decode(body, { epoch, number: id.number }).last }
  } catch {
    return 'unreadable'
  }
}
