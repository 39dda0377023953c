import type { Auth } from '../auth/open-auth.js'
import type { Cache, Definitions } from '../cache/create-cache.js'
import type { TidemarkConfig } from '../config/config.js'
import { TidemarkError } from '../errors.js'
import type { Follower } from '../feed/feed.js'
import { type Logger, silentLogger } from '../observability/observability.js'
import { openState, type State } from '../state/state.js'
import { systemClock } from '../time/clock.js'
import type { ServerCaches } from './caches.js'
import type { Database } from './database.js'
import { drain } from './drain.js'
import type { ServerFeed } from './feed.js'
import { listen } from './listen.js'
import type { Observation } from './observation.js'
import type { ProjectStatus } from './operations/status.js'
import { announce, findServer, withdraw } from './presence.js'
import { type Project, projectOver } from './project.js'
import type { ServerRealtime } from './realtime.js'
import type { ServerChanges } from './realtime-changes.js'
import type { ServerRelays } from './realtime-relays.js'
import type { ServerRest } from './rest.js'
import { type Role, resolveRoles } from './roles.js'
import type { Runtime } from './runtime.js'
import type { Shell } from './shell.js'

/**
 * One serving process.
 *
 * created ─start─► starting ─► serving ─stop─► draining ─► stopped
 *                     └─ a failure stops what was started and is raised by `start`
 */
export interface TidemarkServer {
  /** Listens, connects, and resolves when requests are served. Raises TM_CONFIG_*, TM_SERVER_*, TM_POSTGRES_*, TM_SCHEMA_*, TM_STATE_*. */
  start(): Promise<void>
  /** Stops being ready, lets requests under way finish (at most `server.drainTimeoutMs`), and lets go of everything. Safe to repeat. */
  stop(): Promise<void>
  /** Where it listens. Raises TM_SERVER_STARTING before that. */
  readonly url: string
  /** Lines for people about how it came up: another port than usual, no Redis, what the database's role may not do. */
  readonly notices: readonly string[]
  /** Raises TM_SERVER_STARTING before `start` resolved. */
  status(): Promise<ProjectStatus>
  /** The project over the connections that the server holds. Raises TM_SERVER_STARTING before `start` resolved. */
  project(): Project
  /** The caches of the configuration; undefined where it has none. Raises TM_SERVER_STARTING before `start` resolved. */
  cache(): Cache<Definitions> | undefined
}

export interface ServerOptions {
  readonly config: TidemarkConfig
  /** Default: JSON lines on stderr from `log.level` on. */
  readonly log?: Logger
  /** The project's folder. Default: the current one. */
  readonly cwd?: string
  /** What reacts to changes in this process, besides the server's own parts. */
  readonly followers?: readonly Follower[]
}

/** Time in which Postgres is asked to start, before loading the rest holds the thread. */
const headStartMs = 50

const loadLogger = async (config: TidemarkConfig): Promise<Logger> => (await import('./logger.js')).defaultLogger(config)

/** Waits for all, so that nothing is under way any more when the first failure is raised. */
const settled = async (work: readonly Promise<unknown>[]): Promise<void> => {
  const outcomes = await Promise.allSettled(work)
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed) throw failed.reason
}

/** What a server is made of once it has started. */
interface Started {
  readonly state: State
  readonly observation: Observation
  readonly shell: Shell
  readonly runtime: Runtime
  readonly feed: ServerFeed
  readonly caches: ServerCaches
  readonly rest: ServerRest
  readonly changes: ServerChanges
  readonly relays: ServerRelays
  readonly realtime: ServerRealtime
  readonly auth: Auth | 'foreign'
}

class Server implements TidemarkServer {
  readonly #config: TidemarkConfig
  readonly #cwd: string
  readonly #followers: readonly Follower[]
  readonly #startedAtMs = Date.now()
  #parts: Partial<Started> = {}
  #log: Logger | undefined
  #url: string | undefined
  #notices: readonly string[] = []
  #starting: Promise<void> | undefined
  #stopping: Promise<void> | undefined

  constructor({ config, log, cwd = process.cwd(), followers = [] }: ServerOptions) {
    this.#followers = followers
    this.#config = config
    this.#log = log
    this.#cwd = cwd
  }

  get url(): string {
    if (this.#url === undefined) throw new TidemarkError('TM_SERVER_STARTING', {})
    return this.#url
  }

  get notices(): readonly string[] {
    return this.#notices
  }

  async start(): Promise<void> {
    this.#starting = this.#bringUp()
    try {
      await this.#starting
    } catch (error) {
      await this.stop()
      throw error
    }
    if (this.#stopping) {
      await this.#stopping
      throw new TidemarkError('TM_SERVER_STOPPING', {})
    }
    await this.#present()
  }

  async #bringUp(): Promise<void> {
    const roles = resolveRoles(this.#config.server.roles)
    const state = await openState(this.#config.stateDir)
    this.#parts = { ...this.#parts, state }
    const log = this.#log ?? (await loadLogger(this.#config))
    this.#log = log
    const opening = import('./database.js').then(({ openDatabase }) =>
      openDatabase({ config: this.#config, state, log, cwd: this.#cwd }),
    )
    try {
      await settled([opening, this.#assemble(state, roles, log, opening)])
      await this.#openAuth(state, roles, log)
      await this.#openRealtime(log)
    } catch (error) {
      // Where it did not become part of a runtime, nobody else lets go of it.
      if (!this.#parts.runtime) await opening.then((database) => database.stop()).catch(() => undefined)
      throw error
    }
  }

  /** Loads, listens and connects, while Postgres starts in a process of its own. */
  async #assemble(state: State, roles: ReadonlySet<Role>, log: Logger, opening: Promise<Database>): Promise<void> {
    // Loading the rest keeps this thread busy. Postgres takes longer to start than that, so it is asked first.
    await Promise.race([opening, systemClock.sleep(headStartMs)])
    const { createObservation } = await import('./observation.js')
    const observation = createObservation(log)
    this.#parts = { ...this.#parts, observation }
    await settled([this.#listen(state, roles, observation, log), this.#connect(state, roles, observation, log, opening)])
  }

  async #connect(
    state: State,
    roles: ReadonlySet<Role>,
    observation: Observation,
    log: Logger,
    opening: Promise<Database>,
  ): Promise<void> {
    const { openRuntime } = await import('./runtime.js')
    const { metrics, signals } = observation
    const runtime = await openRuntime({ config: this.#config, state, log, metrics, signals, database: opening })
    this.#parts = { ...this.#parts, runtime }
    observation.watch(runtime)
    await settled([this.#openRest(runtime, roles, observation, log), this.#follow(runtime, roles, observation, log)])
  }

  async #openRest(runtime: Runtime, roles: ReadonlySet<Role>, observation: Observation, log: Logger): Promise<void> {
    const { openServerRest, servesRest } = await import('./rest.js')
    if (!roles.has('rest') || !servesRest(this.#config) || this.#stopping) return
    const rest = await openServerRest({ config: this.#config, runtime, observation, log: log.child('rest') })
    this.#parts = { ...this.#parts, rest }
  }

  async #follow(runtime: Runtime, roles: ReadonlySet<Role>, observation: Observation, log: Logger): Promise<void> {
    const caches = await this.#openCaches(runtime, observation, log)
    const changes = await this.#openChanges(runtime, roles, observation, log)
    const relays = roles.has('feed') ? await this.#openRelays(runtime, observation, log) : undefined
    const own = [...(changes?.followers ?? []), ...(relays?.followers ?? [])]
    const followers = [...(caches ? [caches.cache.follower] : []), ...own, ...this.#followers]
    // Loading the feed takes time, and most of it in a project where nothing follows anything.
    const wanted = roles.has('feed') && (followers.length > 0 || this.#config.feed.tables.length > 0)
    if (!wanted || this.#stopping) return
    const { openServerFeed } = await import('./feed.js')
    const shared = { config: this.#config, runtime, observation, followers, log }
    const feed = await openServerFeed({ ...shared, ...changes?.feed, purging: caches?.cache.purging })
    this.#parts = { ...this.#parts, feed }
    if (feed.node) caches?.attach(feed.node)
    if (feed.node) relays?.attach(feed.node)
  }

  async #openRelays(runtime: Runtime, observation: Observation, log: Logger): Promise<ServerRelays | undefined> {
    const { hasRelays, openServerRelays } = await import('./realtime-relays.js')
    if (!hasRelays(this.#config) || this.#stopping) return undefined
    const relays = await openServerRelays({ config: this.#config, runtime, observation, log })
    this.#parts = { ...this.#parts, relays }
    return relays
  }

  async #openChanges(
    runtime: Runtime,
    roles: ReadonlySet<Role>,
    observation: Observation,
    log: Logger,
  ): Promise<ServerChanges | undefined> {
    const { servesRealtime } = await import('./serves-realtime.js')
    if (!roles.has('realtime') || !roles.has('feed') || !servesRealtime(this.#config) || this.#stopping) return undefined
    const { openServerChanges } = await import('./realtime-changes.js')
    const changes = await openServerChanges({ config: this.#config, runtime, observation, log: log.child('realtime') })
    this.#parts = { ...this.#parts, changes }
    return changes
  }

  async #openCaches(runtime: Runtime, observation: Observation, log: Logger): Promise<ServerCaches | undefined> {
    if (Object.keys(this.#config.caches).length === 0 || this.#stopping) return undefined
    const { cacheNames, cachesLine, openServerCaches } = await import('./caches.js')
    const caches = await openServerCaches({ config: this.#config, runtime, observation, log })
    this.#parts = { ...this.#parts, caches }
    log.info(`caching ${cachesLine(cacheNames(this.#config))}`)
    return caches
  }

  /** Once it is known where clients reach this server: that is written into tokens. */
  async #openAuth(state: State, roles: ReadonlySet<Role>, log: Logger): Promise<void> {
    const { shell, runtime } = this.#parts
    const keyring = shell?.callers.keyring
    if (!roles.has('auth') || !this.#config.auth.enabled || !keyring || !runtime || this.#stopping) return
    const { pools, database } = runtime
    if (!pools.auth) {
      this.#parts = { ...this.#parts, auth: 'foreign' }
      return
    }
    const { openAuth } = await import('../auth/open-auth.js')
    const shared = {
      config: this.#config,
      state,
      log: log.child('auth'),
      url: this.url,
      embedded: database.embedded !== undefined,
    }
    this.#parts = { ...this.#parts, auth: openAuth({ ...shared, pool: pools.auth, keyring }) }
  }

  /** Once changes come and it is known whose they are. */
  async #openRealtime(log: Logger): Promise<void> {
    const { shell, runtime, observation } = this.#parts
    if (!shell?.realtime || !runtime || !observation || this.#stopping) return
    const { openServerRealtime } = await import('./realtime.js')
    const changes = this.#parts.feed?.node && this.#parts.changes
    const realtime = await openServerRealtime({ runtime, observation, changes, log: log.child('realtime') })
    this.#parts = { ...this.#parts, realtime }
    await shell.realtime.attach(realtime)
  }

  async #listen(state: State, roles: ReadonlySet<Role>, observation: Observation, log: Logger): Promise<void> {
    const { createShell } = await import('./shell.js')
    const shell = await createShell({
      roles,
      state,
      observation,
      log,
      config: this.#config,
      startedAtMs: this.#startedAtMs,
      runtime: () => this.#parts.runtime,
      feed: () => this.#parts.feed,
      cache: () => this.#parts.caches?.cache,
      rest: () => this.#parts.rest?.rest,
      changes: () => (this.#parts.feed?.node ? this.#parts.changes : undefined),
      auth: () => this.#parts.auth,
      project: () => this.project(),
      status: () => this.status(),
    })
    this.#parts = { ...this.#parts, shell }
    if (this.#stopping) return
    this.#url = await listen(shell.app, this.#config.server)
  }

  async #present(): Promise<void> {
    const { noticesOf } = await import('./start-notices.js')
    const { state, runtime, observation } = this.#started()
    const feedNotice = this.#parts.feed?.notice()
    const notices = noticesOf(runtime, this.#config, this.url, await findServer(state))
    const more = [feedNotice, await this.#exposureNotice(runtime)].filter((notice) => notice !== undefined)
    this.#notices = [...notices, ...more]
    await announce(state, this.url, this.#startedAtMs)
    observation.health.setPhase('serving')
    this.#log?.info('serving', { url: this.url, pid: process.pid })
  }

  /** Nobody is kept from starting by it: what was open before is no worse now. */
  async #exposureNotice(runtime: Runtime): Promise<string | undefined> {
    if (!this.#parts.rest) return undefined
    const { exposureNotice } = await import('./exposure-notice.js')
    return exposureNotice(runtime, this.#config).catch((err: unknown) => {
      this.#log?.warn('what is exposed could not be looked at', { err })
      return undefined
    })
  }

  #started(): Omit<Started, 'feed' | 'caches' | 'rest' | 'changes' | 'relays' | 'realtime' | 'auth'> {
    const { state, observation, shell, runtime } = this.#parts
    if (!state || !observation || !shell || !runtime) throw new TidemarkError('TM_SERVER_STARTING', {})
    return { state, observation, shell, runtime }
  }

  async status(): Promise<ProjectStatus> {
    const { state, observation, runtime } = this.#started()
    const { statusOf } = await import('./server-status.js')
    const { body: health } = await observation.health.report()
    return statusOf({ state, runtime, health, config: this.#config, url: this.url, startedAtMs: this.#startedAtMs })
  }

  project(): Project {
    const { state, runtime } = this.#started()
    return projectOver(runtime.database, { state, config: this.#config, log: this.#log ?? silentLogger, cwd: this.#cwd })
  }

  cache(): Cache<Definitions> | undefined {
    this.#started()
    return this.#parts.caches?.cache
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    // What is half started cannot be let go of; starting is bounded.
    await this.#starting?.catch(() => undefined)
    const { state, observation, shell, runtime, feed, caches, rest, changes, relays, realtime, auth } = this.#parts
    observation?.health.setPhase('draining')
    if (state) await withdraw(state).catch((err: unknown) => this.#log?.warn('the record of this server stays', { err }))
    if (shell) await drain(shell, this.#config.server.drainTimeoutMs)
    await shell?.realtime?.stop()
    await realtime?.stop()
    await feed?.stop()
    await changes?.stop()
    await relays?.stop()
    await caches?.stop()
    await rest?.stop()
    if (auth !== 'foreign') await auth?.stop()
    await runtime?.stop()
    this.#log?.info('stopped')
  }
}

/** Makes a server. Nothing happens before `start`. */
export const createServer = (options: ServerOptions): TidemarkServer => new Server(options)
