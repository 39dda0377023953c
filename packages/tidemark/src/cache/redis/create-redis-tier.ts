import type { Redis } from '../../redis/redis.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { companionKeys } from './companion-keys.js'
import { type Fill, sendFills } from './fills.js'
import { epochDigest, longestMs, readFrame, writeFrame } from './frame.js'
import { Gathered } from './gathered.js'
import { type Lease, sendLeases } from './leases.js'
import { newToken } from './new-token.js'
import { purgeKeys } from './purge-keys.js'
import { readFrames } from './read-frames.js'
import type { FillAnswer, LeaseAnswer, LoadStamp, NewValue, Purge, RedisTier, RedisValue } from './redis-tier.js'
import { releaseScript } from './tier-scripts.js'
import { createValueCipher, type EncryptionOptions, type ValueCipher } from './value-cipher.js'

export interface RedisTierOptions {
  readonly redis: Redis
  /** How long a load may take to be stored. Default 10 s. */
  readonly leaseMs?: number
  /** How long a change is remembered at its keys; at least twice `leaseMs`. Default 60 s. */
  readonly fenceMs?: number
  /** Seals every value, and reads none that is not sealed. Default: none. */
  readonly encryption?: EncryptionOptions
  /** A larger value is not stored. Bytes of the frame. Default 8 MiB. */
  readonly maxValueBytes?: number
  readonly clock?: Clock
}

interface Read {
  readonly key: string
  readonly epoch: string
}

/** In the place of an id: no value is to be found. */
const findNothing = '*'

class RedisValueTier implements RedisTier {
  readonly leaseMs: number
  readonly #fenceMs: number
  readonly #redis: Redis
  /** What is asked for one by one goes out together, and is read without a promise of its own for each. */
  readonly #reads: Gathered<Read, RedisValue | undefined>
  readonly #leases: Gathered<Lease, readonly Buffer[]>
  readonly #fills: Gathered<Fill, FillAnswer>
  readonly #cipher: ValueCipher | undefined
  readonly #maxValueBytes: number
  readonly #clock: Clock
  /** The last epoch and its digest: there is one, until there is another. */
  #epoch = { text: '', digest: epochDigest('') }

  constructor(options: RedisTierOptions) {
    this.leaseMs = options.leaseMs ?? 10_000
    this.#fenceMs = Math.max(options.fenceMs ?? 60_000, 2 * this.leaseMs)
    this.#redis = options.redis
    this.#reads = new Gathered((reads) => this.#readAll(reads), 'turn')
    this.#leases = new Gathered((leases) => sendLeases(options.redis, leases, this.leaseMs), 'turn')
    // Nobody waits for a value to be stored.
    this.#fills = new Gathered((fills) => sendFills(options.redis, fills, this.#fenceMs), 'turn')
    this.#cipher = options.encryption && createValueCipher(options.encryption)
    this.#maxValueBytes = options.maxValueBytes ?? 8 * 2 ** 20
    this.#clock = options.clock ?? systemClock
  }

  get(key: string, epoch: string): Promise<RedisValue | undefined> {
    return this.#reads.ask({ key, epoch })
  }

  async getMany(keys: readonly string[], epoch: string): Promise<readonly (RedisValue | undefined)[]> {
    if (keys.length === 0) return []
    const distinct = [...new Set(keys)]
    const found = await this.#readAll(distinct.map((key) => ({ key, epoch })))
    const values = new Map(distinct.map((key, index) => [key, found[index]]))
    return keys.map((key) => values.get(key))
  }

  async lease(key: string, epoch: string, past = ''): Promise<LeaseAnswer> {
    const token = newToken()
    const [state, ...rest] = await this.#leases.ask({ key, epoch: this.#digest(epoch), past, token })
    switch (state!.toString()) {
      case 'granted':
        return { state: 'granted', token, fences: rest.map(String) }
      case 'found': {
        const found = this.#read(rest[0]!, key, epoch)
        // What stands there is of no use to anybody; without this it would keep the key from being loaded for as long as it stands.
        return found ? { state: 'found', found } : this.lease(key, epoch, findNothing)
      }
      case 'full':
        return { state: 'full' }
      default:
        return { state: 'taken' }
    }
  }

  async fill(key: string, epoch: string, token: string, value: NewValue, stamp: LoadStamp | null): Promise<FillAnswer> {
    const keptForMs = Math.min(Math.floor(value.keptForMs), longestMs)
    const content = { ...value, keptForMs, ageMs: value.ageMs ?? 0 }
    const frame = keptForMs > 0 ? writeFrame(token, content, this.#place(key, epoch)) : undefined
    if (frame === undefined || frame.length > this.#maxValueBytes) {
      await this.release(key, token)
      return 'unfit'
    }
    return this.#fills.ask({ key, token, frame, keptForMs, stamp })
  }

  async release(key: string, token: string): Promise<void> {
    await this.#redis.script(releaseScript, [companionKeys(key).lease], [token])
  }

  async purge(purges: readonly Purge[]): Promise<void> {
    await purgeKeys(this.#redis, purges, this.#fenceMs)
  }

  async #readAll(reads: readonly Read[]): Promise<readonly (RedisValue | undefined)[]> {
    const keys = reads.map(({ key }) => key)
    const frames = await readFrames(this.#redis, keys)
    return reads.map(({ key, epoch }, index) => this.#read(frames[index] ?? null, key, epoch))
  }

  #read(frame: Buffer | null, key: string, epoch: string): RedisValue | undefined {
    return frame === null ? undefined : readFrame(frame, this.#place(key, epoch))
  }

  #place(key: string, epoch: string) {
    return { key, epoch: this.#digest(epoch), cipher: this.#cipher, nowMs: this.#clock.now() }
  }

  #digest(epoch: string): string {
    if (this.#epoch.text !== epoch) this.#epoch = { text: epoch, digest: epochDigest(epoch) }
    return this.#epoch.digest
  }
}

/** Raises TM_CACHE_ENCRYPTION_KEY. */
export const createRedisTier = (options: RedisTierOptions): RedisTier => new RedisValueTier(options)
