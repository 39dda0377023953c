/** A second node, which gets its changes from the first one's Redis Stream, against a follower that reads the write-ahead log by itself. */
import type pg from 'pg'
import type { Follower, TransactionPiece } from '../../packages/tidemark/dist/feed/feed.js'
import { findRedisServer } from '../../packages/tidemark/dist/redis/embedded/find-server.js'
import { startTestRedis } from '../../packages/tidemark/dist/testing/redis/redis-server.js'
import type { BenchPostgres } from '../measuring/bench-postgres.ts'
import { loadText } from '../measuring/report.ts'
import { openNode, startReader, untilRole } from './feed-node.ts'
import { follow, insertInSteps, openSource, settledAges, takeAges } from './feed-source.ts'
import { type Pace, startWriter } from './paced-writer.ts'

export interface FanOutOptions extends Pace {
  /** Row changes of each round. */
  readonly rows: number
  readonly rounds: number
  readonly signal: AbortSignal
}

export interface FanOutResults {
  readonly rows: number
  /** From the first write to the last change at the follower, by round. */
  readonly directMs: readonly number[]
  readonly secondMs: readonly number[]
  /** At the second node, in order. */
  readonly ages: readonly number[]
}

/** As fast as the server can, without waiting for the disk: it is not to be the one that is measured. */
const write = async (client: pg.Client, rows: number): Promise<void> => {
  await client.query('SET synchronous_commit = off')
  await insertInSteps(client, rows)
  await client.query('RESET synchronous_commit')
}

const direct = async ({ url, client }: BenchPostgres, rows: number): Promise<number> => {
  const source = openSource(url)
  try {
    const from = await source.open()
    let seen = 0
    const started = performance.now()
    const written = write(client, rows)
    await follow(source, from, ({ changes }) => {
      seen += changes.length
      return seen >= rows
    })
    const elapsedMs = performance.now() - started
    await written
    return elapsedMs
  } finally {
    await source.stop()
  }
}

/** Gives what comes to whoever waits for it. */
class Witness implements Follower {
  readonly name = 'bench'
  readonly tables = 'all'
  #resets = 0
  #take: (piece: TransactionPiece) => boolean = () => false
  #done: () => void = () => {}
  #failed: (error: Error) => void = () => {}

  /** Resolves when `take` says that it is enough; rejects where changes were lost on the way. */
  until(take: (piece: TransactionPiece) => boolean, signal: AbortSignal): Promise<void> {
    this.#take = take
    return new Promise((resolve, reject) => {
      this.#done = resolve
      this.#failed = reject
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    })
  }

  async apply(piece: TransactionPiece): Promise<void> {
    if (this.#take(piece)) this.#done()
  }

  async reset({ reason }: { readonly reason: string }): Promise<void> {
    if (this.#resets++ > 0) this.#failed(new Error(`the second node lost its place in the stream: ${reason}`))
  }
}

/** Both nodes, for as long as `work` takes; without a trace afterwards, so that the other side has the machine for itself. */
const withNodes = async <T>(postgres: BenchPostgres, redisUrl: string, work: (witness: Witness) => Promise<T>): Promise<T> => {
  const addresses = { databaseUrl: postgres.url, redisUrl }
  const reader = await startReader(addresses)
  try {
    const witness = new Witness()
    const node = await openNode(addresses, [witness])
    try {
      await untilRole(node, 'tailing')
      const result = await work(witness)
      if (node.state().role !== 'tailing') throw new Error(`the second node has become ${node.state().role} meanwhile`)
      return result
    } finally {
      await node.stop()
    }
  } finally {
    await reader.stop()
    await postgres.client.query(
      'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database() AND NOT active AND NOT temporary',
    )
  }
}

const second = async ({ client }: BenchPostgres, witness: Witness, { rows, signal }: FanOutOptions): Promise<number> => {
  let seen = 0
  const arrived = witness.until(({ changes }) => {
    seen += changes.length
    return seen >= rows
  }, signal)
  const started = performance.now()
  await Promise.all([write(client, rows), arrived])
  return performance.now() - started
}

const agesAtSecond = async (
  { url }: BenchPostgres,
  witness: Witness,
  { rate, seconds, signal }: FanOutOptions,
): Promise<readonly number[]> => {
  const ages: number[] = []
  const ended = witness.until((piece) => takeAges(piece, ages), signal)
  const writer = startWriter(url, { rate, seconds })
  try {
    await ended
    await writer.ended
  } finally {
    writer.stop()
  }
  return settledAges(ages)
}

/** Nothing where there is no Redis to be started, which is said. */
export const measureFanOut = async (postgres: BenchPostgres, options: FanOutOptions): Promise<FanOutResults | undefined> => {
  if ((await findRedisServer()) === undefined) {
    console.log('There is no redis-server or valkey-server on PATH, so the fan-out is left out.')
    return undefined
  }
  const redis = await startTestRedis()
  try {
    const { rows, rounds, signal } = options
    const [directMs, secondMs]: [number[], number[]] = [[], []]
    for (let round = 1; round <= rounds; round++) {
      signal.throwIfAborted()
      directMs.push(await direct(postgres, rows))
      const secondNode = await withNodes(postgres, redis.url, (witness) => second(postgres, witness, options))
      secondMs.push(secondNode)
      const perSecond = Math.round((rows / secondNode) * 1000).toLocaleString('en')
      console.log(`fan-out, round ${round}: ${perSecond} changes/s at the second node · ${loadText()}`)
    }
    await postgres.client.query('TRUNCATE changes')
    const ages = await withNodes(postgres, redis.url, (witness) => agesAtSecond(postgres, witness, options))
    return { rows, directMs, secondMs, ages }
  } finally {
    await redis.stop()
  }
}
