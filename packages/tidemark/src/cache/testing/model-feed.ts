import { TidemarkError } from '../../errors.js'
import type { FeedEvent, Follower, TransactionPiece } from '../../feed/feed.js'
import type { Position } from '../../feed/position.js'
import type { CacheFeed } from '../cache.js'
import type { ModelClock, Step } from './model-clock.js'
import type { Logged, ModelPostgres } from './model-postgres.js'

/** Rules that a broken feed does not keep. */
export interface BrokenFeed {
  /** Others hear of a change before Redis gave up what it touches. */
  readonly publishesFirst?: boolean
  /** Changes are purged and published as soon as they are logged, whoever sees them. */
  readonly runsAhead?: boolean
}

export interface ModelFeedOptions {
  readonly postgres: ModelPostgres
  readonly clock: ModelClock
  readonly step: Step
  /** Each change in a piece of its own. */
  readonly inPieces: boolean
  readonly purge: (pieces: readonly TransactionPiece[]) => Promise<void>
  readonly broken?: BrokenFeed
}

const epoch = 'wal-model'
export const redisEpoch = 'stream-model'

const piecesOf = ({ xid, startLsn, changes }: Logged, inPieces: boolean): readonly TransactionPiece[] => {
  const whole = { type: 'transaction', position: { epoch, number: startLsn }, xid, committedAt: new Date(0) } as const
  const parts = inPieces && changes.length > 1 ? changes.map((change) => [change]) : [changes]
  return parts.map((each, i) => ({ ...whole, firstOrdinal: inPieces ? i : 0, changes: each, last: i === parts.length - 1 }))
}

/** One reader of the log who purges and publishes, and nodes that hear of it one after the other, each at its own pace. */
export class ModelFeed {
  readonly #options: ModelFeedOptions
  readonly #stream: FeedEvent[] = []
  readonly #waiting = new Set<() => void>()
  #passedLsn = 1_000n

  constructor(options: ModelFeedOptions) {
    this.#options = options
  }

  /** Never ends. */
  async read(): Promise<void> {
    const { postgres, step, inPieces, purge, broken } = this.#options
    for (let next = 0; ; next++) {
      await postgres.until(() => postgres.log.length > next)
      const logged = postgres.log[next]!
      if (!broken?.runsAhead) await postgres.until(() => postgres.isVisible(logged.xid))
      for (const piece of piecesOf(logged, inPieces)) {
        await step('the reader takes a change')
        if (!broken?.publishesFirst) await purge([piece])
        this.#publish(piece)
        if (broken?.publishesFirst) await purge([piece])
      }
      this.#passedLsn = logged.endLsn
      this.#tell()
    }
  }

  /** Proves that everything until now was given. */
  async prove(): Promise<void> {
    const { postgres, clock } = this.#options
    const [asOf, lsn] = [clock.monotonicMs(), postgres.flushLsn]
    while (this.#passedLsn < lsn) await this.#change()
    this.#publish({ type: 'fresh', position: { epoch, number: this.#passedLsn - 1n }, asOf })
  }

  /** Never ends: what is published comes to one node. */
  async deliver(node: string, follower: Follower, lag: number): Promise<CacheFeed['waitFor']> {
    const { clock, step } = this.#options
    let position: Position | null = null
    const run = async (): Promise<never> => {
      await follower.reset?.({ type: 'reset', epoch, reason: 'start', position: { epoch, number: this.#passedLsn - 1n } })
      for (let next = 0; ; next++) {
        while (this.#stream.length <= next) await this.#change()
        for (let i = 0; i < lag; i++) await step(`${node} is slow`)
        await step(`${node} hears`)
        const event = this.#stream[next]!
        if (event.type === 'transaction') await follower.apply(event)
        else if (event.type === 'fresh') follower.fresh?.(event)
        if (event.type === 'fresh' || (event.type === 'transaction' && event.last)) position = event.position
        this.#tell()
      }
    }
    void run()
    return async (wanted, { timeoutMs }) => {
      const late = new AbortController()
      const over = clock.sleep(timeoutMs, late.signal).then(
        () => true,
        () => true,
      )
      while (position === null || position.number < wanted.number)
        if (await Promise.race([over, this.#change().then(() => false)]))
          throw new TidemarkError('TM_FEED_TIMEOUT', {
            position: String(wanted.number),
            timeoutMs,
            follower: node,
            reached: String(position?.number),
          })
      late.abort()
    }
  }

  #publish(event: FeedEvent): void {
    this.#stream.push(event)
    this.#tell()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve))
  }

  #tell(): void {
    for (const wake of [...this.#waiting]) {
      this.#waiting.delete(wake)
      wake()
    }
  }
}
