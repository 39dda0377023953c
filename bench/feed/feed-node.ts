/** A node of the feed: in this process, or in one of its own that only reads and publishes. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { FeedRole } from '../../packages/tidemark/dist/feed/fan-out/fan-out.js'
import { createFanOut } from '../../packages/tidemark/dist/feed/fan-out/open-fan-out.js'
import { type FeedNode, openFeedNode } from '../../packages/tidemark/dist/feed/fan-out/open-feed-node.js'
import { walSources } from '../../packages/tidemark/dist/feed/fan-out/wal-sources.js'
import type { Follower } from '../../packages/tidemark/dist/feed/feed.js'
import { createRedis } from '../../packages/tidemark/dist/redis/create-redis.js'
import { followed } from './feed-source.ts'

export interface FeedNodeAddresses {
  readonly databaseUrl: string
  readonly redisUrl: string
}

/** A reader that a busy machine holds up for a moment is not to be taken for a dead one. */
const maxSilenceMs = 3000

/** Of the feed's nodes the first reads the log, and the others tail the stream. */
export const openNode = async (
  { databaseUrl, redisUrl }: FeedNodeAddresses,
  followers: readonly Follower[],
): Promise<Pick<FeedNode, 'state' | 'stop'>> => {
  const connect = () => createRedis({ url: redisUrl })
  const shared = await connect()
  const target = { url: databaseUrl }
  const sources = walSources({
    target,
    adminTarget: target,
    slotName: 'bench_fan_out',
    publication: 'tidemark_bench_fan_out',
    tables: [followed],
    maxSilenceMs,
  })
  const fanOut = createFanOut({ sources, redis: { redis: shared, connect }, maxSilenceMs })
  const node = await openFeedNode({ fanOut, followers })
  return {
    state: () => node.state(),
    stop: async () => {
      await node.stop()
      await shared.stop()
    },
  }
}

const patienceMs = 30_000
const lookEveryMs = 20

/** Raises where the node has not come to that role within half a minute. */
export const untilRole = async (node: Pick<FeedNode, 'state'>, wanted: FeedRole): Promise<void> => {
  const started = performance.now()
  // A stream has to be there for others to tail.
  const isThere = (): boolean => node.state().role === wanted && node.state().streamEpoch !== null && node.state().epoch !== null
  while (!isThere()) {
    if (performance.now() - started > patienceMs) throw new Error(`the node is ${node.state().role}: ${node.state().problem}`)
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
  }
}

export interface ReaderProcess {
  stop(): Promise<void>
}

/** Resolves when the node in the new process reads and publishes. */
export const startReader = async (addresses: FeedNodeAddresses): Promise<ReaderProcess> => {
  const child: ChildProcess = spawn(process.execPath, ['node_modules/.bin/jiti', fileURLToPath(import.meta.url)], {
    env: { ...process.env, FEED_NODE: JSON.stringify(addresses) },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await ended
  }
  await Promise.race([once(child.stdout!, 'data'), ended])
  if (child.exitCode === null) return { stop }
  throw new Error(`the process of the reader ended with ${child.exitCode}`)
}

const { FEED_NODE: given } = process.env
if (given !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  const node = await openNode(JSON.parse(given) as FeedNodeAddresses, [])
  await untilRole(node, 'reading')
  process.stdout.write('reading\n')
  process.once('SIGTERM', () => void node.stop().then(() => process.exit(0)))
}
