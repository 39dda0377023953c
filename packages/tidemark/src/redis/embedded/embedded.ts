import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { isTidemarkError, reasonOf } from '../../errors.js'
import { type Logger, silentLogger } from '../../observability/observability.js'
import { acquirePort, type ChildRecord, processIdentity, type State } from '../../state/state.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { until } from '../../time/until.js'
import { readConf, type ServerConf, type ServerPlace, writeConf } from './conf.js'
import { findRedisServer } from './find-server.js'
import { probe } from './probe.js'
import { pidOnFile, type RunningServer, spawnServer, startFailure, stopServer } from './server-process.js'
import { supervise } from './supervise.js'

export { findRedisServer } from './find-server.js'

export interface EmbeddedRedisOptions {
  readonly state: State
  /** Asked for first when the server is started for the first time; later its port of before is. */
  readonly preferredPort?: number
  /** How long a start, with reading its data, may take. Default 60,000. */
  readonly timeoutMs?: number
  /** Restart the server when it dies while this process uses it. Default true. */
  readonly restart?: boolean
  /** Where to look for the program. Default: PATH. */
  readonly path?: string
  readonly log?: Logger
  readonly clock?: Clock
}

/** A running server of this project, held by this process until `stop`. */
export interface EmbeddedRedis {
  /** With its password. */
  readonly url: string
  readonly port: number
  /** True where it ran already; false where this call started it. */
  readonly attached: boolean
  readonly dataDir: string
  /** Such as `7.0.15`. */
  readonly version: string
  /** Lets go of the server, and shuts it down where no other live process holds it. */
  stop(): Promise<void>
}

interface Context {
  readonly state: State
  readonly place: ServerPlace
  readonly program: string
  readonly record: ChildRecord
  readonly preferredPort: number
  readonly timeoutMs: number
  readonly log: Logger
  readonly clock: Clock
}

interface BroughtUp extends RunningServer {
  readonly attached: boolean
}

const firstPort = 56_000
const portRange = 1_000

/** The same for a project every time, and different ones for most projects. */
const projectPort = (dir: string): number => firstPort + (createHash('sha256').update(dir).digest().readUInt32BE(0) % portRange)

/** Where the server of a project has its files. */
export const placeIn = (state: State): ServerPlace => ({
  dir: state.path('redis'),
  dataDir: state.path('redis', 'data'),
  confPath: state.path('redis', 'redis.conf'),
  logPath: state.path('redis', 'redis.log'),
  pidPath: state.path('redis', 'redis.pid'),
})

/** For a server whose configuration file was removed while it runs. */
const confOnRecord = async ({ record, state }: Context): Promise<ServerConf | undefined> => {
  const port = (await record.read())?.port
  return port === undefined ? undefined : { port, password: await state.secret('redis') }
}

const graceMs = 1000

const refuseInDoubt = async (place: ServerPlace, reason: string): Promise<undefined> => {
  const pid = await pidOnFile(place)
  // A server that is just ending takes a moment.
  const gone = async () => pid === undefined || (await processIdentity(pid)) === undefined
  if (pid === undefined || (await until(gone, { timeoutMs: graceMs }).catch(() => false))) return undefined
  throw startFailure(`${reason.replace('{pid}', String(pid))}; end it, or remove ${place.pidPath} if it is another program`)
}

/**
 * The server that runs on this project's data, whoever started it. Two servers on one data folder would destroy it, and
 * Redis itself does not look: in doubt this raises.
 */
const findRunning = async (context: Context): Promise<RunningServer | undefined> => {
  const { place, timeoutMs, clock } = context
  const conf = (await readConf(place)) ?? (await confOnRecord(context))
  if (!conf) return refuseInDoubt(place, 'there is a server of before (pid {pid}) of which nothing else is known')
  const ask = async () => {
    const answer = await probe(conf, place.confPath)
    return answer.kind === 'ours' && answer.loading ? undefined : answer
  }
  const fix = `See ${place.logPath}.`
  const answer = await until(ask, { timeoutMs, clock, what: 'The start of the private Redis', fix })
  if (answer.kind === 'ours') {
    const identity = await processIdentity(answer.pid)
    return identity && { identity, conf, version: answer.version }
  }
  if (answer.kind === 'silent') return refuseInDoubt(place, 'the server of before (pid {pid}) is there but does not answer')
  return undefined
}

const spawnTries = 10

/** Starts the server on its port, or on the next free one where another program was quicker. */
const startNew = async (context: Context): Promise<BroughtUp> => {
  const { place, state, preferredPort, log } = context
  // The password stays while the data does: a process that used the server before it died goes on with the URL it has.
  const password = (await readConf(place))?.password ?? (await state.secret('redis'))
  let wanted = preferredPort
  for (let tries = 1; tries <= spawnTries; tries++) {
    const conf: ServerConf = { port: await acquirePort(wanted), password }
    if (conf.port !== preferredPort) log.info('the port is taken; using another', { wanted: preferredPort, port: conf.port })
    await writeConf(conf, place)
    const started = await spawnServer(conf, place, context)
    if (started) return { ...started, attached: false }
    // Taken between looking and listening: perhaps by our own server, whose starter was killed before it could note it.
    const running = await findRunning(context)
    if (running) return { ...running, attached: true }
    wanted = conf.port + 1
  }
  throw startFailure('other programs took every port it tried')
}

/** Call it holding the lock. */
const bringUp = async (context: Context): Promise<BroughtUp> => {
  const found = await findRunning(context)
  const running = found ? { ...found, attached: true } : await startNew(context)
  const { identity, conf, version } = running
  await context.record.write({ ...identity, port: conf.port, startedAtMs: context.clock.now(), details: { version } })
  return running
}

const release = async (context: Context): Promise<void> => {
  if (!(await context.record.release())) return
  const running = await findRunning(context)
  if (running) await stopServer(running.identity, context.clock)
  await context.record.clear()
}

const resolveContext = async (options: EmbeddedRedisOptions, program: string): Promise<Context> => {
  const { state, timeoutMs = 60_000, clock = systemClock } = options
  const place = placeIn(state)
  await mkdir(place.dataDir, { recursive: true, mode: 0o700 })
  const record = state.child('redis')
  return {
    state,
    place,
    program,
    record,
    preferredPort: (await readConf(place))?.port ?? options.preferredPort ?? projectPort(state.dir),
    timeoutMs,
    log: (options.log ?? silentLogger).child('redis.embedded'),
    clock,
  }
}

/**
 * Attaches to this project's private Redis, or starts it on its data. Gives undefined where no server program is on PATH: the
 * caller goes on without Redis. Raises TM_REDIS_EMBEDDED_START, TM_STATE_LOCKED and TM_STATE_FOLDER_UNUSABLE.
 */
export const startEmbeddedRedis = async (options: EmbeddedRedisOptions): Promise<EmbeddedRedis | undefined> => {
  const program = await findRedisServer(options.path)
  if (program === undefined) return undefined
  const { state, restart = true, timeoutMs = 60_000 } = options
  const locked = <T>(step: () => Promise<T>): Promise<T> => state.lock('redis', step, { timeoutMs: timeoutMs * 2 })
  return locked(async () => {
    try {
      const context = await resolveContext(options, program)
      const running = await bringUp(context)
      await context.record.hold()
      const again = async () => (await bringUp({ ...context, preferredPort: running.conf.port })).identity
      const watch = restart ? supervise({ ...context, identity: running.identity, locked, bringUp: again }) : undefined
      const stop = async () => {
        await watch?.stop()
        await locked(() => release(context))
      }
      return embedded(running, context, stop)
    } catch (error) {
      throw isTidemarkError(error) ? error : startFailure(reasonOf(error))
    }
  })
}

const embedded = ({ conf, attached, version }: BroughtUp, { place, log }: Context, stop: () => Promise<void>): EmbeddedRedis => {
  const { port, password } = conf
  log.info(attached ? 'attached to the running server' : 'started a server', { port, version })
  let stopped: Promise<void> | undefined
  return {
    url: `redis://:${encodeURIComponent(password)}@127.0.0.1:${port}`,
    port,
    attached,
    dataDir: place.dataDir,
    version,
    stop: () => {
      stopped ??= stop()
      return stopped
    },
  }
}
