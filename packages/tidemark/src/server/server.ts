import type { Cache, Definitions } from '../cache/create-cache.js'
import type { TidemarkConfig } from '../config/config.js'
import { TidemarkError } from '../errors.js'
import type { Follower } from '../feed/feed.js'
import { type Logger, type Metrics, silentLogger } from '../observability/observability.js'
import { openState, type State } from '../state/state.js'
import { systemClock } from '../time/clock.js'
import type { Database } from './database/database.js'
import { drain } from './http/drain.js'
import { listen } from './http/listen.js'
import type { Observation } from './observation/observation.js'
import { type Opening, openConnected, openListening, openWatching, settled } from './open-parts.js'
import type { ProjectStatus } from './operations/status.js'
import { Parts, type Started } from './parts.js'
import { announce, findServer, withdraw } from './project/presence.js'
import { type Project, projectOver } from './project/project.js'
import type { Resilience } from './resilience/open-resilience.js'
import { resolveRoles } from './roles.js'
import type { Runtime } from './runtime.js'
import { createWhenReachable, type WhenReachable } from './when-reachable.js'

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
  /** Variables by which a program beside it finds what it uses, secrets included. Raises TM_SERVER_STARTING before `start` resolved. */
  environment(): Promise<Readonly<Record<string, string>>>
  /** The project over the connections that the server holds. Raises TM_SERVER_STARTING before `start` resolved. */
  project(): Project
  /** The caches of the configuration; undefined where it has none. Raises TM_SERVER_STARTING before `start` resolved. */
  cache(): Cache<Definitions> | undefined
  /** Breakers, limits and guards over the server's own connections. Raises TM_SERVER_STARTING before `start` resolved. */
  resilience(): Resilience
  /** What `/metrics` shows and rules of alerts look at; a program adds its own. Raises TM_SERVER_STARTING before `start` resolved. */
  metrics(): Metrics
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

class Server implements TidemarkServer {
  readonly #config: TidemarkConfig
  readonly #cwd: string
  readonly #followers: readonly Follower[]
  readonly #startedAtMs = Date.now()
  readonly #parts = new Parts()
  #log: Logger | undefined
  #url: string | undefined
  #notices: readonly string[] = []
  #isServing = false
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
  }

  async #bringUp(): Promise<void> {
    const roles = resolveRoles(this.#config.server.roles)
    const state = this.#parts.add('state', await openState(this.#config.stateDir))
    const log = this.#log ?? (await loadLogger(this.#config))
    this.#log = log
    const opening = this.#opening(roles, log)
    const database = import('./database/database.js').then(({ openDatabase }) =>
      opening.whenReachable(() => openDatabase({ config: this.#config, state, log, cwd: this.#cwd })),
    )
    try {
      await settled([database, this.#assemble(opening, state, database)])
      await openListening(opening)
      if (opening.isStopping()) return
      await this.#present()
      await openWatching(opening)
    } catch (error) {
      // Where it did not become part of a runtime, nobody else lets go of it.
      if (!this.#parts.get('runtime')) await database.then((opened) => opened.stop()).catch(() => undefined)
      throw error
    }
  }

  #opening(roles: Opening['roles'], log: Logger): Opening {
    return {
      roles,
      log,
      config: this.#config,
      parts: this.#parts,
      followers: this.#followers,
      isStopping: () => this.#stopping !== undefined,
      whenReachable: this.#whenReachable(log),
      url: () => this.url,
      project: () => this.project(),
    }
  }

  #whenReachable(log: Logger): WhenReachable {
    const { startTimeoutMs: timeoutMs } = this.#config.server
    return createWhenReachable({ timeoutMs, log, isUnwanted: () => this.#stopping !== undefined })
  }

  /** Loads, listens and connects, while Postgres starts in a process of its own. */
  async #assemble(opening: Opening, state: State, database: Promise<Database>): Promise<void> {
    // Loading the rest keeps this thread busy. Postgres takes longer to start than that, so it is asked first.
    await Promise.race([database, systemClock.sleep(headStartMs)])
    const { createObservation } = await import('./observation/observation.js')
    const observation = this.#parts.add('observation', createObservation(opening.log))
    await settled([this.#listen(opening, state, observation), this.#connect(opening, state, observation, database)])
  }

  async #connect(opening: Opening, state: State, observation: Observation, database: Promise<Database>): Promise<void> {
    const { openRuntime } = await import('./runtime.js')
    const { metrics, signals } = observation
    const { log, whenReachable } = opening
    const runtime = await openRuntime({ config: this.#config, state, log, metrics, signals, database, whenReachable })
    this.#parts.add('runtime', runtime, () => runtime.stop())
    observation.watch(runtime)
    await openConnected(opening, runtime, observation)
  }

  async #listen({ roles, log, parts, isStopping }: Opening, state: State, observation: Observation): Promise<void> {
    const { createShell } = await import('./http/shell.js')
    const shell = await createShell({
      roles,
      state,
      observation,
      log,
      config: this.#config,
      startedAtMs: this.#startedAtMs,
      runtime: () => parts.get('runtime'),
      feed: () => parts.get('feed'),
      cache: () => parts.get('caches')?.cache,
      resilience: () => parts.get('resilience')?.resilience,
      rest: () => parts.get('rest')?.rest,
      changes: () => (parts.get('feed')?.node ? parts.get('changes') : undefined),
      alerts: () => parts.get('alerts')?.alerts,
      auth: () => parts.get('auth'),
      webhooks: () => parts.get('webhooks'),
      project: () => this.project(),
      status: () => this.status(),
    })
    parts.add('shell', shell)
    if (isStopping()) return
    this.#url = await listen(shell.app, this.#config.server)
  }

  async #present(): Promise<void> {
    const { noticesOf } = await import('./start-notices.js')
    const { state, runtime, observation } = this.#started()
    const feedNotice = this.#parts.get('feed')?.notice()
    const notices = noticesOf(runtime, this.#config, this.url, await findServer(state))
    const more = [feedNotice, await this.#exposureNotice(runtime)].filter((notice) => notice !== undefined)
    this.#notices = [...notices, ...more]
    await announce(state, this.url, this.#startedAtMs)
    observation.health.setPhase('serving')
    this.#isServing = true
    this.#log?.info('serving', { url: this.url, pid: process.pid })
  }

  /** Nobody is kept from starting by it: what was open before is no worse now. */
  async #exposureNotice(runtime: Runtime): Promise<string | undefined> {
    if (!this.#parts.get('rest')) return undefined
    const { exposureNotice } = await import('./rest/exposure-notice.js')
    return exposureNotice(runtime, this.#config).catch((err: unknown) => {
      this.#log?.warn('what is exposed could not be looked at', { err })
      return undefined
    })
  }

  #started(): Pick<Started, 'state' | 'observation' | 'shell' | 'runtime'> {
    const [state, observation] = [this.#parts.get('state'), this.#parts.get('observation')]
    const [shell, runtime] = [this.#parts.get('shell'), this.#parts.get('runtime')]
    if (!state || !observation || !shell || !runtime) throw new TidemarkError('TM_SERVER_STARTING', {})
    return { state, observation, shell, runtime }
  }

  async status(): Promise<ProjectStatus> {
    const { state, observation, runtime } = this.#started()
    const { statusOf } = await import('./project/server-status.js')
    const { body: health } = await observation.health.report()
    return statusOf({ state, runtime, health, config: this.#config, url: this.url, startedAtMs: this.#startedAtMs })
  }

  async environment(): Promise<Readonly<Record<string, string>>> {
    const { state, runtime } = this.#started()
    const { programEnvironment } = await import('./program-environment.js')
    return programEnvironment({ state, runtime, config: this.#config, url: this.url })
  }

  project(): Project {
    const { state, runtime } = this.#started()
    return projectOver(runtime.database, { state, config: this.#config, log: this.#log ?? silentLogger, cwd: this.#cwd })
  }

  cache(): Cache<Definitions> | undefined {
    this.#started()
    return this.#parts.get('caches')?.cache
  }

  resilience(): Resilience {
    const resilience = this.#parts.get('resilience')
    if (!resilience) throw new TidemarkError('TM_SERVER_STARTING', {})
    return resilience.resilience
  }

  metrics(): Metrics {
    return this.#started().observation.metrics
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    // What is half started cannot be let go of; starting is bounded.
    await this.#starting?.catch(() => undefined)
    const [state, shell] = [this.#parts.get('state'), this.#parts.get('shell')]
    this.#parts.get('observation')?.health.setPhase('draining')
    if (state) await withdraw(state).catch((err: unknown) => this.#log?.warn('the record of this server stays', { err }))
    // Whoever balances asks at /readyz now and then, and sends requests here until it has.
    if (this.#isServing) await systemClock.sleep(this.#config.server.leaveMs)
    // Whom a server that never came up would answer is answered by another.
    if (shell) await drain(shell, this.#isServing ? this.#config.server.drainTimeoutMs : 0)
    await shell?.realtime?.stop()
    await this.#parts.stop()
    this.#log?.info('stopped')
  }
}

/** Makes a server. Nothing happens before `start`. */
export const createServer = (options: ServerOptions): TidemarkServer => new Server(options)
