import { createMetrics } from '../../observability/metrics.js'
import type { Logger, Metrics } from '../../observability/observability.js'
import { createAbsentRedis } from '../../redis/absent-redis.js'
import type { Redis } from '../../redis/redis.js'
import { type Clock, systemClock } from '../../time/clock.js'
import type { Bus } from './bus.js'
import { createRedisBus } from './redis-bus.js'
import { createTopicMetrics } from './topic-metrics.js'
import { TopicNode } from './topic-node.js'
import type { OpenTopics } from './topics.js'

export interface TopicsOptions {
  /** Default: none, so this process alone. */
  readonly redis?: Redis
  /** Opens a connection of its own, so that broadcasts and what else Redis is asked for do not wait for each other. */
  readonly connect?: ((name: string) => Promise<Redis>) | undefined
  /** What nodes of one project share, and no others. */
  readonly prefix?: string
  readonly log: Logger
  readonly metrics?: Metrics
  readonly clock?: Clock
  /** Topics whose listeners and members are watched over all nodes, by the beginning of their name; others count those of this node. Default: all. */
  readonly counted?: readonly string[]
}

/** Over TCP. A Redis that is down is taken up later. */
const openBus = async (redis: Redis, { connect, prefix = 'tidemark:realtime', log }: TopicsOptions): Promise<Bus | undefined> => {
  if (redis.driver !== 'tcp') return undefined
  const channel = `${prefix}:topics`
  const own = await connect?.('realtime')
  if (own === undefined) return createRedisBus({ redis, channel, log })
  return createRedisBus({ redis: own, channel, log, stop: () => own.stop() })
}

const whyProcess = ({ driver }: Redis): string =>
  driver === 'rest'
    ? 'Redis over REST cannot listen: broadcast and presence reach this server alone; its TCP address lifts that'
    : 'there is no Redis: broadcast and presence reach this server alone'

/** Broadcast and presence over all nodes; within this process where there is no Redis that can carry them. */
export const openTopics = async (options: TopicsOptions): Promise<OpenTopics> => {
  const { redis = createAbsentRedis(), log, metrics = createMetrics(), clock = systemClock, counted } = options
  const node = new TopicNode({
    bus: await openBus(redis, options),
    detail: whyProcess(redis),
    clock,
    log,
    metrics: createTopicMetrics(metrics),
    counted: (topic) => counted === undefined || counted.some((prefix) => topic.startsWith(prefix)),
  })
  if (redis.driver === 'rest') log.warn(node.reach().detail)
  await node.start()
  return node
}
