/** A request, or whatever else belongs together: its reads see what it has to see, without handing a position around (CACHE-5). */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Position } from '../../feed/position.js'
import type { Clock } from '../../time/clock.js'
import type { GetOptions } from '../cache.js'
import type { FeedState } from '../follow/feed-state.js'

export interface CacheSession {
  /** What reads in it see at least; undefined while they need not see anything in particular. */
  readonly position: Position | undefined
  readonly hasWritten: boolean
  /** Goes on in the session where the thread of calls was lost, as in callbacks of a stream. */
  run<T>(fn: () => T): T
}

class Session implements CacheSession {
  position: Position | undefined
  hasWritten = false
  /** Of the monotonic clock: what has to be seen was committed before it. */
  sinceMs: number
  readonly #storage: AsyncLocalStorage<Session>

  constructor(storage: AsyncLocalStorage<Session>, position: Position | undefined, sinceMs: number) {
    this.#storage = storage
    this.position = position
    this.sinceMs = sinceMs
  }

  run<T>(fn: () => T): T {
    return this.#storage.run(this, fn)
  }
}

export class Sessions {
  readonly #feed: FeedState
  readonly #clock: Clock
  #storage: AsyncLocalStorage<Session> | undefined

  constructor(feed: FeedState, clock: Clock) {
    this.#feed = feed
    this.#clock = clock
  }

  /** Until there was a session, reads do not ask for one: that takes time on each. */
  get isUsed(): boolean {
    return this.#storage !== undefined
  }

  run<T>(position: Position | undefined, fn: (session: CacheSession) => T): T {
    this.#storage ??= new AsyncLocalStorage()
    const session = new Session(this.#storage, position, this.#clock.monotonicMs())
    return session.run(() => fn(session))
  }

  /** A write of the session has been committed. */
  wrote(position: Position): void {
    const session = this.#storage?.getStore()
    if (!session) return
    // It was committed after all that the session had to see.
    session.position = position
    session.sinceMs = this.#clock.monotonicMs()
    session.hasWritten = true
  }

  /** What a read is asked for, with what its session has to see. */
  optionsOf(options: GetOptions | undefined): GetOptions | undefined {
    const after = options?.tx ? undefined : this.#needed()
    if (after === undefined) return options
    const given = options?.after
    return { ...options, after: given === undefined ? after : this.#later(given, after) }
  }

  /** Whether memory may answer at once. */
  get isReached(): boolean {
    return this.#needed() === undefined
  }

  #needed(): Position | undefined {
    const session = this.#storage?.getStore()
    const own = this.#feed.position
    if (session?.position === undefined) return undefined
    const { position, sinceMs } = session
    if (own === null || own.epoch !== position.epoch) return position
    // Numbers of the outbox are not known to writers; a proof of a later moment is as good.
    const proven = this.#clock.monotonicMs() - this.#feed.freshnessMs >= sinceMs
    return proven || (!own.epoch.startsWith('outbox-') && own.number >= position.number) ? undefined : position
  }

  /** Of two histories, the one that is not followed here: then Postgres is asked, which shows both. */
  #later(one: Position, other: Position): Position {
    if (one.epoch !== other.epoch) return one.epoch === this.#feed.position?.epoch ? other : one
    return one.number > other.number ? one : other
  }
}
