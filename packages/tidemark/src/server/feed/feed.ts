import type { TidemarkConfig } from '../../config/config.js'
import { reasonOf } from '../../errors.js'
import type { FanOut, FanOutOptions, FeedSources } from '../../feed/fan-out/fan-out.js'
import type { FeedNode } from '../../feed/fan-out/open-feed-node.js'
import type { Follower, SourceLag } from '../../feed/feed.js'
import type { HealthFinding, Logger } from '../../observability/observability.js'
import { systemClock } from '../../time/clock.js'
import type { Observation } from '../observation/observation.js'
import type { Runtime } from '../runtime.js'
import { createFeedGauges } from './feed-gauges.js'

/** The server's part in the feed. */
export interface ServerFeed {
  /** Undefined where nothing is followed, so that nothing is read. */
  readonly node: FeedNode | undefined
  /** One line for people where changes do not come as they should; undefined where all is well. */
  notice(): string | undefined
  /** Of `feed lag`. */
  describe(): FeedDescription
  stop(): Promise<void>
}

export interface FeedDescription {
  readonly role: 'idle' | 'reading' | 'tailing' | 'apart' | 'away'
  readonly epoch: string | null
  readonly streamEpoch: string | null
  readonly problem: string | null
  /** Milliseconds since everything was proven to have been applied; null where it never was. */
  readonly freshnessMs: number | null
  /** The followers of this server, apart from the server's own. */
  readonly followers: readonly NodeFollower[]
}

export interface NodeFollower {
  readonly name: string
  /** `holding`: its queue is full, and the feed of this server waits for it. */
  readonly state: 'running' | 'failing' | 'holding'
  readonly queuedBytes: number
  /** How long it has been at what it works on now. */
  readonly workingMs: number
  readonly failures: number
  readonly lastError: string | null
}

export interface ServerFeedOptions {
  readonly config: TidemarkConfig
  readonly runtime: Runtime
  readonly observation: Observation
  readonly followers: readonly Follower[]
  /** Tables that are carried besides those of the followers and `feed.tables`, as `schema.table`. */
  readonly tables?: readonly string[] | undefined
  /** A publication of the application, whose tables are carried as well, and change while we run. */
  readonly alongside?: string | undefined
  /** Whether followers want to know what went by shortly before. */
  readonly begins?: FanOutOptions['begins']
  /** What is taken out of Redis before a change is published. */
  readonly purging?: Pick<FanOutOptions, 'onBeforePublish' | 'purges'> | undefined
  readonly log: Logger
}

const measureEveryMs = 15_000
/** How long the start of a server waits to be able to say how its feed came up. */
const firstRoleMs = 2_000
/** Of the WAL that Postgres keeps for a slot, this part has to be left. */
const headroomRatio = 0.2

const idle: ServerFeed = {
  node: undefined,
  notice: () => undefined,
  describe: () => ({ role: 'idle', epoch: null, streamEpoch: null, problem: null, freshnessMs: null, followers: [] }),
  stop: async () => {},
}

const followersOf = (node: FeedNode): readonly NodeFollower[] =>
  node.followers().map(({ name, state, holdsUp, queuedBytes, workingMs, failures, lastError }) => ({
    name,
    state: holdsUp ? 'holding' : state,
    queuedBytes,
    workingMs: Math.round(workingMs),
    failures,
    lastError,
  }))

/** Whom the feed waits for, in words; empty where it waits for nobody. */
const heldUpBy = (node: FeedNode): string => {
  const names = followersOf(node).flatMap(({ name, state }) => (state === 'holding' ? [name] : []))
  return names.length === 0 ? '' : `; it waits for ${names.join(', ')}`
}

const finding = (node: FeedNode, maxSilenceMs: number, hasRedis: boolean): HealthFinding => {
  const { role, problem, streamEpoch } = node.state()
  if (role === 'away') return { status: 'down', detail: problem ?? 'no changes come' }
  if (role === 'apart') return { status: 'degraded', detail: problem ?? 'it reads by itself' }
  if (role === 'reading' && hasRedis && streamEpoch === null)
    return { status: 'degraded', detail: 'reading, and not published: Redis does not take it' }
  const ms = node.feed.freshness()
  if (ms <= maxSilenceMs) return { status: 'up', detail: `${role}, fresh as of ${Math.round(ms)} ms ago` }
  if (problem !== null) return { status: 'down', detail: problem }
  const late = Number.isFinite(ms) ? `not proven fresh for ${Math.round(ms)} ms` : 'not proven fresh yet'
  return { status: 'degraded', detail: `${role}, ${late}${heldUpBy(node)}` }
}

const isShort = ({ behind, headroomBytes }: SourceLag): boolean =>
  headroomBytes !== null && headroomBytes < headroomRatio * (headroomBytes + behind)

/** Looks after the slot: lag is measured, and told while there is time (FEED-4). */
const createMeasuring = (node: FeedNode, { observation, log }: ServerFeedOptions) => {
  const gauges = createFeedGauges(observation.metrics)
  const stopping = new AbortController()
  let short = false
  let holding: readonly string[] = []
  const tellHolding = (): void => {
    const now = followersOf(node).filter(({ state }) => state === 'holding')
    for (const { name, workingMs, lastError } of now) {
      if (holding.includes(name)) continue
      const why = lastError === null ? `at one piece for ${Math.round(workingMs / 1000)} s` : `failing: ${lastError}`
      const message = `The feed of this server waits for its follower ${name}, whose queue is full (${why}).`
      observation.signals.raise({ name: 'feed.held', subject: name, message })
    }
    holding = now.map(({ name }) => name)
  }
  const measure = async (): Promise<void> => {
    tellHolding()
    const { role } = node.state()
    const lag = role === 'reading' ? await node.lag() : undefined
    gauges.show(node, lag)
    if (lag && isShort(lag) && !short) {
      const message = `Postgres keeps ${lag.behind} bytes for the feed, and gives its slot up after ${lag.headroomBytes} more.`
      observation.signals.raise({ name: 'feed.behind', subject: 'feed', message })
    }
    short = lag !== undefined && isShort(lag)
  }
  const measuring = (async () => {
    while (!stopping.signal.aborted) {
      await measure().catch((error: unknown) => log.debug('the lag of the feed is not known', { reason: reasonOf(error) }))
      await systemClock.sleep(measureEveryMs, stopping.signal).catch(() => undefined)
    }
  })()
  return {
    refresh: () => gauges.show(node, undefined),
    stop: async () => {
      stopping.abort()
      await measuring
    },
  }
}

/** Tells of its going and coming, once each. */
const announceRoles = (node: FeedNode, { observation }: ServerFeedOptions): void => {
  let away = false
  node.onRole(({ role, problem }) => {
    if ((role === 'away') === away) return
    away = role === 'away'
    const message = away ? `The feed stands still: ${problem ?? 'its reason is not known'}.` : 'The feed goes on.'
    observation.signals.raise({ name: away ? 'feed.away' : 'feed.back', subject: 'feed', message })
  })
}

const firstRole = async (node: FeedNode): Promise<void> => {
  const until = systemClock.monotonicMs() + firstRoleMs
  while (node.state().role === 'away' && systemClock.monotonicMs() < until) await systemClock.sleep(20)
}

/** Opens what it can at once, and the rest later: the feed is no reason for a server not to start. */
const lazily = (open: () => Promise<FeedSources>): FeedSources => {
  let opened: FeedSources | undefined
  const given = (): FeedSources => {
    if (!opened) throw new Error('the sources of the feed are not open')
    return opened
  }
  return {
    reader: () => given().reader(),
    temporary: () => {
      const { temporary } = given()
      return temporary ? temporary() : undefined
    },
    lease: { holder: () => given().lease.holder(), takeOver: (pid) => given().lease.takeOver(pid) },
    // Asked first, and again until it succeeds.
    scope: async () => {
      opened ??= await open()
      return opened.scope()
    },
  }
}

/** Starts the server's node of the feed where there is something to follow. What keeps it from that is told, and never raised. */
export const openServerFeed = async (options: ServerFeedOptions): Promise<ServerFeed> => {
  try {
    return await open(options)
  } catch (error) {
    options.log.error('the feed did not start', { err: error })
    const problem = reasonOf(error)
    options.observation.health.register({ name: 'feed', critical: false, check: () => ({ status: 'down', detail: problem }) })
    return { ...idle, notice: () => `Feed: ${problem}`, describe: () => ({ ...idle.describe(), role: 'away', problem }) }
  }
}

const openFanOut = async (
  { config, runtime, purging, alongside, begins, log }: ServerFeedOptions,
  tables: readonly string[],
): Promise<FanOut> => {
  const [{ createFanOut }, { openFeedSources, openSupabase }] = await Promise.all([
    import('../../feed/fan-out/open-fan-out.js'),
    import('./feed-sources.js'),
  ])
  const { source, maxSilenceMs, replayWindowMs } = config.feed
  if (source === 'supabase') return openSupabase({ config, tables, log })
  const sources = lazily(() => openFeedSources({ config, runtime, tables, alongside, log }))
  return createFanOut({ sources, redis: runtime.redis, maxSilenceMs, replayWindowMs, log, ...purging, ...(begins && { begins }) })
}

const open = async (options: ServerFeedOptions): Promise<ServerFeed> => {
  const { config, runtime, observation, followers, log } = options
  const { followedTables, openFeedNode } = await import('../../feed/fan-out/open-feed-node.js')
  const tables = followedTables([...config.feed.tables, ...(options.tables ?? [])], followers)
  if (tables.length === 0 && options.alongside === undefined) return idle
  const { maxSilenceMs } = config.feed
  const fanOut = await openFanOut(options, tables)
  const node = await openFeedNode({ fanOut, followers, log, metrics: observation.metrics })
  announceRoles(node, options)
  const measuring = createMeasuring(node, options)
  const check = () => finding(node, maxSilenceMs, runtime.redis.redis.state !== 'absent')
  const forget = observation.health.register({ name: 'feed', critical: false, check })
  const forgetGauges = observation.onRefresh(measuring.refresh)
  await firstRole(node)
  return {
    node,
    notice: () => {
      const { role, problem } = node.state()
      if (problem !== null) return `Feed: ${problem}`
      return role === 'away' ? 'Feed: no changes come.' : undefined
    },
    describe: () => {
      const freshnessMs = node.feed.freshness()
      const measured = Number.isFinite(freshnessMs) ? Math.round(freshnessMs) : null
      return { ...node.state(), freshnessMs: measured, followers: followersOf(node) }
    },
    stop: async () => {
      forget()
      forgetGauges()
      await node.stop()
      await measuring.stop()
    },
  }
}
