/** How each part of a server is opened, and whether this process has it. */
import type { TidemarkConfig } from '../config/config.js'
import type { Follower } from '../feed/feed.js'
import type { Logger } from '../observability/observability.js'
import type { ServerCaches } from './caches/caches.js'
import type { Observation } from './observation/observation.js'
import type { Parts } from './parts.js'
import type { Project } from './project/project.js'
import type { ServerChanges } from './realtime/realtime-changes.js'
import type { ServerRelays } from './realtime/realtime-relays.js'
import type { Role } from './roles.js'
import type { Runtime } from './runtime.js'
import type { WhenReachable } from './when-reachable.js'

export interface Opening {
  readonly config: TidemarkConfig
  readonly roles: ReadonlySet<Role>
  readonly log: Logger
  readonly parts: Parts
  /** What reacts to changes besides the server's own parts. */
  readonly followers: readonly Follower[]
  /** The server is to stop: nothing more is to be opened. */
  isStopping(): boolean
  readonly whenReachable: WhenReachable
  /** Where clients reach this server; known once it listens. */
  url(): string
  /** The project over the connections that the server holds. */
  project(): Project
}

/** Parts over what the process is connected to. */
interface Connected extends Opening {
  readonly runtime: Runtime
  readonly observation: Observation
}

/** Before everything that may call other services. */
const openResilience = async ({ config, runtime, observation, log, parts, isStopping }: Connected): Promise<void> => {
  const state = parts.get('state')
  if (!state || isStopping()) return
  const { openServerResilience } = await import('./resilience/resilience.js')
  const resilience = await openServerResilience({ config, state, runtime, observation, log })
  parts.add('resilience', resilience, () => resilience.stop())
}

const openRest = async ({ config, roles, runtime, observation, log, parts, isStopping }: Connected): Promise<void> => {
  const { openServerRest, servesRest } = await import('./rest/rest.js')
  if (!roles.has('rest') || !servesRest(config) || isStopping()) return
  const rest = await openServerRest({ config, runtime, observation, log: log.child('rest') })
  parts.add('rest', rest, () => rest.stop())
}

const openWebhooks = async ({ config, roles, runtime, observation, log, parts, isStopping }: Connected): Promise<void> => {
  const { servesWebhooks } = await import('./webhooks/serves-webhooks.js')
  if (!roles.has('webhooks') || !servesWebhooks(config) || isStopping()) return
  const { openServerWebhooks } = await import('./webhooks/webhooks.js')
  const webhooks = await openServerWebhooks({ config, runtime, observation, log: log.child('webhooks') })
  parts.add('webhooks', webhooks, () => webhooks.stop())
}

const openCaches = async ({
  config,
  runtime,
  observation,
  log,
  parts,
  isStopping,
}: Connected): Promise<ServerCaches | undefined> => {
  if (Object.keys(config.caches).length === 0 || isStopping()) return undefined
  const { cacheNames, cachesLine, openServerCaches } = await import('./caches/caches.js')
  const caches = await openServerCaches({ config, runtime, observation, log })
  log.info(`caching ${cachesLine(cacheNames(config))}`)
  return parts.add('caches', caches, () => caches.stop())
}

const openChanges = async ({
  config,
  roles,
  runtime,
  observation,
  log,
  parts,
  isStopping,
  whenReachable,
}: Connected): Promise<ServerChanges | undefined> => {
  const { servesRealtime } = await import('./realtime/serves-realtime.js')
  if (!roles.has('realtime') || !roles.has('feed') || !servesRealtime(config) || isStopping()) return undefined
  const { openServerChanges } = await import('./realtime/realtime-changes.js')
  const changes = await openServerChanges({ config, runtime, observation, whenReachable, log: log.child('realtime') })
  return parts.add('changes', changes, () => changes.stop())
}

const openRelays = async ({
  config,
  roles,
  runtime,
  observation,
  log,
  parts,
  isStopping,
}: Connected): Promise<ServerRelays | undefined> => {
  const { hasRelays, openServerRelays } = await import('./realtime/realtime-relays.js')
  if (!roles.has('feed') || !hasRelays(config) || isStopping()) return undefined
  const relays = await openServerRelays({ config, runtime, observation, log })
  return parts.add('relays', relays, () => relays.stop())
}

/** What follows changes, and then the feed that brings them. */
const follow = async (opening: Connected): Promise<void> => {
  const { config, roles, runtime, observation, log, parts, isStopping } = opening
  const caches = await openCaches(opening)
  const changes = await openChanges(opening)
  const relays = await openRelays(opening)
  const own = [...(caches ? [caches.cache.follower] : []), ...(changes?.followers ?? []), ...(relays?.followers ?? [])]
  const followers = [...own, ...opening.followers]
  // Loading the feed takes time, and most of it in a project where nothing follows anything.
  const wanted = roles.has('feed') && (followers.length > 0 || config.feed.tables.length > 0)
  if (!wanted || isStopping()) return
  const { openServerFeed } = await import('./feed/feed.js')
  const shared = { config, runtime, observation, followers, log }
  const feed = await openServerFeed({ ...shared, ...changes?.feed, purging: caches?.cache.purging })
  parts.add('feed', feed, () => feed.stop())
  if (feed.node) caches?.attach(feed.node)
  if (feed.node) relays?.attach(feed.node)
}

/** What needs only that the process is connected. All are waited for, so that nothing is under way when the first failure is raised. */
export const openConnected = async (opening: Opening, runtime: Runtime, observation: Observation): Promise<void> => {
  const connected = { ...opening, runtime, observation }
  await openResilience(connected)
  await settled([openRest(connected), openWebhooks(connected), follow(connected)])
}

/** Waits for all, so that nothing is under way any more when the first failure is raised. */
export const settled = async (work: readonly Promise<unknown>[]): Promise<void> => {
  const outcomes = await Promise.allSettled(work)
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed) throw failed.reason
}

/** Where clients reach this server is written into tokens. */
const openAuth = async ({ config, roles, log, parts, isStopping, url }: Opening): Promise<void> => {
  const [keyring, runtime, state] = [parts.get('shell')?.callers.keyring, parts.get('runtime'), parts.get('state')]
  if (!roles.has('auth') || !config.auth.enabled || !keyring || !runtime || !state || isStopping()) return
  const { pools, database } = runtime
  if (!pools.auth) {
    parts.add('auth', 'foreign')
    return
  }
  const { openAuth: open } = await import('../auth/open-auth.js')
  const embedded = database.embedded !== undefined
  const auth = open({ config, state, keyring, embedded, log: log.child('auth'), url: url(), pool: pools.auth })
  parts.add('auth', auth, async () => auth.stop())
}

/** What was measured of requests goes somewhere from now on. */
const attachMetrics = async ({ parts }: Opening): Promise<void> => {
  const shell = parts.get('shell')
  if (shell) parts.get('resilience')?.attach(shell.apiMetrics)
}

/** The sockets stop before what they are told by. */
const openRealtime = async ({ log, parts, isStopping, whenReachable }: Opening): Promise<void> => {
  const [shell, runtime, observation] = [parts.get('shell'), parts.get('runtime'), parts.get('observation')]
  const sockets = shell?.realtime
  if (!sockets || !runtime || !observation || isStopping()) return
  const { openServerRealtime } = await import('./realtime/realtime.js')
  const changes = parts.get('feed')?.node && parts.get('changes')
  const realtime = await openServerRealtime({ runtime, observation, changes, whenReachable, log: log.child('realtime') })
  parts.add('realtime', realtime, () => realtime.stop())
  await sockets.attach(realtime)
}

/** What looks after a server that serves already: requests need not wait until it is loaded. */
export const openWatching = async ({ config, roles, log, parts, isStopping, project }: Opening): Promise<void> => {
  const [runtime, observation, state] = [parts.get('runtime'), parts.get('observation'), parts.get('state')]
  if (!roles.has('alerts') || !config.alerts.enabled || !runtime || !observation || !state || isStopping()) return
  const { openServerAlerts } = await import('./alerts/alerts.js')
  const alerts = await openServerAlerts({ config, state, runtime, observation, project, log })
  parts.add('alerts', alerts, () => alerts.stop())
  const realtime = parts.get('realtime')
  if (realtime) alerts.attachTopics(realtime.topics)
}

/** What needs the server to listen, and everything before. One after the other. */
const whenListening: readonly ((opening: Opening) => Promise<void>)[] = [attachMetrics, openAuth, openRealtime]

export const openListening = async (opening: Opening): Promise<void> => {
  for (const open of whenListening) await open(opening)
}
