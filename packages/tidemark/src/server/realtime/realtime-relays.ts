/** The relays of the configuration, over the server's own database and feed. */
import type { TidemarkConfig } from '../../config/config.js'
import type { RelayDefinitionInput } from '../../config/options/relay-options.js'
import type { FeedNode } from '../../feed/fan-out/open-feed-node.js'
import type { Follower } from '../../feed/feed.js'
import type { Logger } from '../../observability/observability.js'
import type { Relay, RelayRule, RelayTarget } from '../../realtime/relay/relay.js'
import type { Observation } from '../observation/observation.js'
import type { Runtime } from '../runtime.js'

export interface ServerRelays {
  readonly followers: readonly Follower[]
  /** From now on they send. */
  attach(node: FeedNode): void
  stop(): Promise<void>
}

export interface ServerRelaysOptions {
  readonly config: TidemarkConfig
  readonly runtime: Runtime
  readonly observation: Observation
  readonly log: Logger
}

/** None where realtime is switched off (R64). */
export const hasRelays = ({ realtime, supabase }: TidemarkConfig): boolean =>
  supabase.realtime && Object.keys(realtime.relays ?? {}).length > 0

const targetOf = async ({ to }: RelayDefinitionInput): Promise<RelayTarget> => {
  if ('pusher' in to) {
    const { createPusherTarget } = await import('../../realtime/relay/pusher-target.js')
    return createPusherTarget({ url: to.pusher })
  }
  const { createSupabaseTarget } = await import('../../realtime/relay/supabase-target.js')
  return createSupabaseTarget(to.supabase)
}

/** Raises TM_REALTIME_RELAY_TARGET. */
export const openServerRelays = async (options: ServerRelaysOptions): Promise<ServerRelays> => {
  const { config, runtime, observation } = options
  const log = options.log.child('relay')
  const [{ createRelay }, { createMemoryQueue }, { createOutboxQueue }] = await Promise.all([
    import('../../realtime/relay/create-relay.js'),
    import('../../realtime/relay/memory-queue.js'),
    import('../../realtime/relay/outbox-queue.js'),
  ])
  let node: FeedNode | undefined
  const { metrics, signals, health } = observation
  const open = async ([name, definition]: readonly [string, RelayDefinitionInput]): Promise<Relay> =>
    createRelay({
      name,
      target: await targetOf(definition),
      // What is in a rule is for the relay to judge.
      rules: definition.rules as unknown as readonly RelayRule[],
      queue: definition.durable ? createOutboxQueue({ pool: runtime.pools.primary, name }) : createMemoryQueue(),
      // Where several servers follow, the one that reads forwards; what waits in Postgres is sent by whoever has its lease.
      ...(!definition.durable && { isActive: () => node?.state().role === 'reading' }),
      ...(definition.slowMs !== undefined && { slowMs: definition.slowMs }),
      metrics,
      signals,
      log,
    })
  const relays = await Promise.all(Object.entries(config.realtime.relays ?? {}).map(open))
  const forget = relays.map(({ healthCheck }) => health.register(healthCheck))
  return {
    followers: relays.map(({ follower }) => follower),
    attach: (attached) => {
      node = attached
      for (const relay of relays) relay.start()
    },
    stop: async () => {
      for (const each of forget) each()
      await Promise.all(relays.map((relay) => relay.stop()))
    },
  }
}
