/** A node of the feed as a process of its own, for tests that kill and freeze it. Prints what it sees as one JSON object a line. */

import { createFanOut } from '../../feed/fan-out/open-fan-out.js'
import { openFeedNode } from '../../feed/fan-out/open-feed-node.js'
import { walSources } from '../../feed/fan-out/wal-sources.js'
import { columnValue, type Follower } from '../../feed/feed.js'
import { createRedis } from '../../redis/create-redis.js'

export interface FeedProcessOptions {
  readonly databaseUrl: string
  readonly redisUrl: string
  readonly slotName: string
  readonly maxSilenceMs: number
}

/** A line of its output. `at` is the wall time in milliseconds. */
export type FeedProcessLine =
  | { readonly role: string; readonly at: number; readonly problem: string | null }
  | { readonly n: number; readonly at: number }
  | { readonly reset: string; readonly at: number }
  | { readonly freshnessMs: number; readonly at: number }

const say = (line: FeedProcessLine): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

const follower: Follower = {
  name: 'witness',
  tables: ['public.things'],
  apply: async ({ changes }) => {
    for (const change of changes) say({ n: Number(columnValue(change.relation, change.new, 'n') ?? -1), at: Date.now() })
  },
  reset: async ({ reason }) => say({ reset: reason, at: Date.now() }),
}

const run = async ({ databaseUrl, redisUrl, slotName, maxSilenceMs }: FeedProcessOptions): Promise<void> => {
  const connect = () => createRedis({ url: redisUrl, commandTimeoutMs: 500, retryMaxMs: 100 })
  const target = { url: databaseUrl }
  const tables = [{ schema: 'public', table: 'things' }]
  const fanOut = createFanOut({
    sources: walSources({ target, adminTarget: target, slotName, publication: `pub_${slotName}`, tables, maxSilenceMs }),
    redis: { redis: await connect(), connect },
    maxSilenceMs,
  })
  const node = await openFeedNode({ fanOut, followers: [follower] })
  node.onRole(({ role, problem }) => say({ role, at: Date.now(), problem }))
  setInterval(() => {
    const freshnessMs = node.feed.freshness()
    if (Number.isFinite(freshnessMs)) say({ freshnessMs, at: Date.now() })
  }, 50)
  process.once('SIGTERM', () => void node.stop().then(() => process.exit(0)))
}

await run(JSON.parse(process.argv[2] ?? '{}') as FeedProcessOptions)
