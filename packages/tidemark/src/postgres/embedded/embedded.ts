import { createHash } from 'node:crypto'
import { isTidemarkError, reasonOf } from '../../errors.js'
import { acquirePort, type ChildRecord, type State } from '../../state/state.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { until } from '../../time/until.js'
import { ensureCluster, resetPassword } from './cluster.js'
import { confirm, host, superuserUrl } from './confirm.js'
import { linkLibraries } from './libraries.js'
import { findPlace, type Place, preparePlace } from './place.js'
import { findBinaries, majorOf, type PlatformBinaries } from './platform.js'
import { disownPid, findPostmaster, type Postmaster, spawnPostmaster, stopPostmaster } from './postmaster.js'
import { defaultSettings, disposableSettings } from './settings.js'
import { isPortTaken, isStillInUse, startFailure } from './start-failure.js'
import { supervise } from './supervise.js'

export { embeddedPlatformPackage } from './platform.js'

export interface EmbeddedPostgresOptions {
  readonly state: State
  /** Asked for first when the server is started for the first time; later its port of before is. */
  readonly preferredPort?: number
  /** For data that is thrown away after use: nothing waits for the disk. Default false. */
  readonly disposable?: boolean
  /** Server settings on top of Tidemark's own. */
  readonly settings?: Readonly<Record<string, string>>
  /** How long a start (with recovery after a crash) may take. Default 60,000. */
  readonly timeoutMs?: number
  /** Restart the server when it dies while this process uses it. Default true. */
  readonly restart?: boolean
  /** Told in a sentence what happens. Never a secret. */
  readonly log?: (message: string) => void
  readonly clock?: Clock
}

/** A running server of this project, held by this process until `stop`. */
export interface EmbeddedPostgres {
  /** As the superuser, with its password: for bootstrap only. */
  readonly url: string
  readonly host: string
  readonly port: number
  readonly superuserPassword: string
  /** True where it ran already; false where this call started it. */
  readonly attached: boolean
  readonly dataDir: string
  /** Such as `18.4`. */
  readonly version: string
  /** Why the data or the binaries are not in the state folder or the package; undefined where they are. */
  readonly elsewhere: string | undefined
  /** Lets go of the server, and shuts it down where no other live process holds it. */
  stop(): Promise<void>
}

/** Everything one start works with. */
interface Context {
  readonly place: Place
  readonly binaries: PlatformBinaries
  readonly record: ChildRecord
  readonly password: string
  readonly preferredPort: number
  readonly settings: Readonly<Record<string, string>>
  readonly disposable: boolean
  readonly timeoutMs: number
  readonly log: (message: string) => void
  readonly clock: Clock
}

interface Running {
  readonly postmaster: Postmaster
  readonly version: string
  readonly attached: boolean
}

const firstPort = 54_000
const portRange = 1_000

/** The same for a project every time, and different ones for most projects. */
const projectPort = (dir: string): number => firstPort + (createHash('sha256').update(dir).digest().readUInt32BE(0) % portRange)

const resolveContext = async (options: EmbeddedPostgresOptions): Promise<Context> => {
  const { state, preferredPort, disposable = false, settings = {}, timeoutMs = 60_000 } = options
  const { log = () => undefined, clock = systemClock } = options
  const binaries = await findBinaries()
  const place = await preparePlace(state.dir, binaries)
  await linkLibraries(place.nativeDir, `${place.baseDir}/lib`)
  const record = state.child('postgres')
  return {
    place,
    binaries,
    record,
    password: await state.secret('postgres-superuser'),
    preferredPort: (await record.read())?.port ?? preferredPort ?? projectPort(state.dir),
    settings: { ...defaultSettings, ...(disposable ? disposableSettings : {}), ...settings },
    disposable,
    timeoutMs,
    log,
    clock,
  }
}

const spawnTries = 10

/** Starts the server on the preferred port, or on the next free one where another program was quicker. */
const spawnOnFreePort = async ({ place, preferredPort, settings, timeoutMs, clock, log }: Context): Promise<Postmaster> => {
  const deadline = clock.monotonicMs() + timeoutMs
  let wanted = preferredPort
  for (let tries = 1; ; tries++) {
    const port = await acquirePort(wanted)
    await disownPid(place.dataDir, place.account)
    if (port !== preferredPort) log(`port ${preferredPort} is taken; Postgres listens on ${port}`)
    try {
      return await spawnPostmaster(place, { port, settings, timeoutMs, clock })
    } catch (error) {
      if (isPortTaken(error) && tries < spawnTries) wanted = port + 1
      else if (!isStillInUse(error) || clock.monotonicMs() >= deadline) throw error
      // Sessions of a killed server look for it about once a second and then end.
      else await clock.sleep(100)
    }
  }
}

const startNew = async (context: Context): Promise<Running> => {
  const { place, binaries, password, disposable, log } = context
  const created = await ensureCluster(place, majorOf(binaries.version), password, !disposable)
  if (created) log(`created a Postgres cluster in ${place.dataDir}`)
  const postmaster = await spawnOnFreePort(context)
  const version = await confirm(postmaster.port, password, place.dataDir)
  if (version !== undefined) return { postmaster, version, attached: false }
  log('the password of the Postgres superuser is not the one on record; setting it anew')
  return startAfterReset(context, postmaster)
}

/** The folder with the secrets was removed and the data was not: whoever may read the data may set the password. */
const startAfterReset = async (context: Context, running: Postmaster): Promise<Running> => {
  const { place, password } = context
  await stopPostmaster(running.identity, context.timeoutMs, context.clock)
  await resetPassword(place, password)
  const postmaster = await spawnOnFreePort(context)
  const version = await confirm(postmaster.port, password, place.dataDir)
  if (version === undefined) throw startFailure('the superuser cannot log in')
  return { postmaster, version, attached: false }
}

const attach = async (context: Context, found: Postmaster): Promise<Running> => {
  const { place, record, password, timeoutMs, clock, log } = context
  const postmaster = found.ready
    ? found
    : await until(async () => ((await findPostmaster(place.dataDir)) ?? found).ready && findPostmaster(place.dataDir), {
        timeoutMs,
        clock,
        what: 'The start of the embedded Postgres',
        fix: `See ${place.baseDir}/postgres.log.`,
      })
  const version = await confirm(postmaster.port, password, place.dataDir)
  if (version !== undefined) return { postmaster, version, attached: true }
  if ((await record.holders()).length > 0)
    throw startFailure('it runs with another superuser password, and other commands use it')
  log('the running Postgres has another superuser password than the one on record; restarting it')
  return startAfterReset(context, postmaster)
}

/** Call it holding the lock. */
const bringUp = async (context: Context): Promise<Running> => {
  const found = await findPostmaster(context.place.dataDir)
  const running = found ? await attach(context, found) : await startNew(context)
  const { identity, port } = running.postmaster
  await context.record.write({
    ...identity,
    port,
    startedAtMs: context.clock.now(),
    details: { version: running.version, dataDir: context.place.dataDir },
  })
  return running
}

/**
 * Attaches to this project's server, or starts it: on its existing data, or on a new cluster. Raises
 * TM_POSTGRES_EMBEDDED_MISSING, TM_POSTGRES_EMBEDDED_START, TM_POSTGRES_DISK_FULL, TM_STATE_LOCKED and TM_STATE_FOLDER_UNUSABLE.
 */
export const startEmbeddedPostgres = async (options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> => {
  const { state, restart = true } = options
  const lockOptions = { timeoutMs: (options.timeoutMs ?? 60_000) * 2 }
  return state.lock(
    'postgres',
    async () => {
      const context = await resolveContext(options).catch((error: unknown) => {
        throw isTidemarkError(error) ? error : startFailure(reasonOf(error))
      })
      const { postmaster, version, attached } = await bringUp(context)
      const { place, record, password } = context
      await record.hold()
      const watch = restart
        ? supervise({
            ...context,
            identity: postmaster.identity,
            lock: (fn) => state.lock('postgres', fn, lockOptions),
            bringUp: async () => (await bringUp({ ...context, preferredPort: postmaster.port })).postmaster.identity,
          })
        : undefined
      const stop = async (): Promise<void> => {
        await watch?.stop()
        await state.lock(
          'postgres',
          async () => {
            if (!(await record.release())) return
            const running = await findPostmaster(place.dataDir)
            if (running) await stopPostmaster(running.identity, undefined, context.clock)
          },
          lockOptions,
        )
      }
      let stopped: Promise<void> | undefined
      return {
        url: superuserUrl(postmaster.port, password),
        host,
        port: postmaster.port,
        superuserPassword: password,
        attached,
        dataDir: place.dataDir,
        version,
        elsewhere: place.elsewhere,
        stop: () => {
          stopped ??= stop()
          return stopped
        },
      }
    },
    lockOptions,
  )
}

/** Where this project's server has, or would have, its files, for `doctor`. Nothing is created. Raises TM_POSTGRES_EMBEDDED_MISSING. */
export const describeEmbeddedPostgres = async (
  stateDir: string,
): Promise<{ readonly dataDir: string; readonly version: string; readonly elsewhere: string | undefined }> => {
  const binaries = await findBinaries()
  const { dataDir, elsewhere } = await findPlace(stateDir, binaries)
  return { dataDir, version: binaries.version, elsewhere }
}
