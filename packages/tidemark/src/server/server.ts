import type { TidemarkConfig } from '../config/config.js'
import { TidemarkError } from '../errors.js'
import { type Logger, silentLogger } from '../observability/observability.js'
import { openState, type State } from '../state/state.js'
import { listen } from './listen.js'
import type { Observation } from './observation.js'
import type { ProjectStatus } from './operations/status.js'
import { announce, findServer, withdraw } from './presence.js'
import { type Project, projectOver } from './project.js'
import { resolveRoles } from './roles.js'
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
}

export interface ServerOptions {
  readonly config: TidemarkConfig
  /** Default: JSON lines on stderr from `log.level` on. */
  readonly log?: Logger
  /** The project's folder. Default: the current one. */
  readonly cwd?: string
}

class Server implements TidemarkServer {
  readonly #config: TidemarkConfig
  readonly #log: Logger
  readonly #cwd: string
  readonly #startedAtMs = Date.now()
  readonly #observation: Observation
  #state: State | undefined
  #shell: Shell | undefined
  #runtime: Runtime | undefined
  #url: string | undefined
  #notices: readonly string[] = []
  #stopping: Promise<void> | undefined

  constructor({ config, log = defaultLogger(config), cwd = process.cwd() }: ServerOptions) {
    this.#config = config
    this.#log = log
    this.#cwd = cwd
    this.#observation = createObservation(log)
  }

  get url(): string {
    if (this.#url === undefined) throw new TidemarkError('TM_SERVER_STARTING', {})
    return this.#url
  }

  get notices(): readonly string[] {
    return this.#notices
  }

  async start(): Promise<void> {
    const roles = resolveRoles(this.#config.server.roles)
    const state = await openState(this.#config.stateDir)
    this.#state = state
    // Postgres starts in another process while this one loads and listens, so they go side by side.
    const outcomes = await Promise.allSettled([this.#connect(state), this.#listen(state, roles)])
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed) await this.stop()
    if (failed) throw failed.reason
    if (this.#stopping) throw new TidemarkError('TM_SERVER_STOPPING', {})
    this.#notices = noticesOf(this.#runtime!, this.#config, this.url, await findServer(state))
    await announce(state, this.url, this.#startedAtMs)
    this.#observation.health.setPhase('serving')
    this.#log.info('serving', { url: this.url, pid: process.pid })
  }

  async #connect(state: State): Promise<void> {
    const { openRuntime } = await import('./runtime.js')
    const { metrics, signals } = this.#observation
    const runtime = await openRuntime({ config: this.#config, state, log: this.#log, cwd: this.#cwd, metrics, signals })
    if (this.#stopping) return runtime.stop()
    this.#runtime = runtime
    this.#observation.watch(runtime)
  }

  async #listen(state: State, roles: ReturnType<typeof resolveRoles>): Promise<void> {
    const { createShell } = await import('./shell.js')
    const shell = await createShell({
      roles,
      state,
      observation: this.#observation,
      config: this.#config,
      log: this.#log,
      cwd: this.#cwd,
      startedAtMs: this.#startedAtMs,
      runtime: () => this.#runtime,
      project: () => this.project(),
      status: () => this.status(),
    })
    this.#shell = shell
    this.#url = await listen(shell.app, this.#config.server)
  }

  async status(): Promise<ProjectStatus> {
    if (!this.#runtime || !this.#state) throw new TidemarkError('TM_SERVER_STARTING', {})
    const phase = (await this.#observation.health.report()).body
    return statusOf({
      config: this.#config,
      state: this.#state,
      runtime: this.#runtime,
      health: phase,
      url: this.url,
      startedAtMs: this.#startedAtMs,
    })
  }

  project(): Project {
    if (!this.#runtime || !this.#state) throw new TidemarkError('TM_SERVER_STARTING', {})
    return projectOver(this.#runtime.database, { config: this.#config, state: this.#state, log: this.#log, cwd: this.#cwd })
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.#observation.health.setPhase('draining')
    if (this.#state)
      await withdraw(this.#state).catch((err: unknown) => this.#log.warn('the record of this server stays', { err }))
    if (this.#shell) await this.#drain(this.#shell)
    await this.#runtime?.stop()
    this.#log.info('stopped')
  }

  /** Requests and jobs under way get their time; then they are cancelled, and answer so. */
  async #drain({ app, jobs, drain }: Shell): Promise<void> {
    drain()
    const deadline = new AbortController()
    const timer = setTimeout(() => deadline.abort(), this.#config.server.drainTimeoutMs)
    const late = new Promise<void>((resolve) => deadline.signal.addEventListener('abort', () => resolve(), { once: true }))
    const closed = app.close()
    await Promise.race([late, Promise.all([closed, jobs.idle()])])
    clearTimeout(timer)
    await jobs.stop()
    // Answers to what was cancelled are on their way; a client that does not read them is not waited for.
    const cut = setTimeout(() => app.server.closeAllConnections(), 500)
    await closed
    clearTimeout(cut)
  }
}

/** Makes a server. Nothing happens before `start`. */
export const createServer = (options: ServerOptions): TidemarkServer => new Server(options)
