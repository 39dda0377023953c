import { createHash } from 'node:crypto'
import { isTidemarkError } from '../../errors.js'
import { acquirePort, type ChildRecord, isAlive } from '../../state/state.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { until } from '../../time/until.js'
import { archiveSettings, prepareArchive } from './backup/archive.js'
import { ensureCluster, resetPassword } from './cluster.js'
import { confirm } from './confirm.js'
import type { EmbeddedPostgresOptions } from './embedded.js'
import { linkLibraries } from './libraries.js'
import { type Place, preparePlace } from './place.js'
import { findBinaries, majorOf } from './platform.js'
import { disownPid, findPostmaster, type Postmaster, spawnPostmaster, stopPostmaster } from './postmaster.js'
import { defaultSettings, disposableSettings, statisticsSettings } from './settings.js'
import { isPortTaken, isStillInUse, startFailure } from './start-failure.js'

/** Everything one start works with. */
export interface Context {
  readonly place: Place
  /** Of the installed binaries. */
  readonly major: number
  readonly record: ChildRecord
  readonly password: string
  readonly preferredPort: number
  readonly settings: Readonly<Record<string, string>>
  readonly disposable: boolean
  readonly timeoutMs: number
  readonly log: (message: string) => void
  readonly clock: Clock
}

export interface Running {
  readonly postmaster: Postmaster
  readonly version: string
  readonly attached: boolean
}

/** Below the range from which systems take the ports of outgoing connections. */
const firstPort = 15_432
const portRange = 1_000
export const startTimeoutMs = 60_000

/** The same for a project every time, and different ones for most projects. */
const projectPort = (dir: string): number => firstPort + (createHash('sha256').update(dir).digest().readUInt32BE(0) % portRange)

/** Finds binaries, folders, port and password, and makes what of them is missing. */
export const resolveContext = async (options: EmbeddedPostgresOptions): Promise<Context> => {
  const { state, preferredPort, disposable = false, settings = {}, timeoutMs = startTimeoutMs } = options
  const { archiveDir, log = () => undefined, clock = systemClock } = options
  const binaries = await findBinaries()
  const place = await preparePlace(state.dir, binaries)
  await linkLibraries(place.nativeDir, place.libraryDir)
  const archive = archiveDir === undefined ? {} : archiveSettings(await prepareArchive(archiveDir, place.account))
  const statistics = await statisticsSettings(place.nativeDir)
  const record = state.child('postgres')
  return {
    place,
    major: majorOf(binaries.version),
    record,
    password: await state.secret('postgres-superuser'),
    preferredPort: (await record.read())?.port ?? preferredPort ?? projectPort(state.dir),
    settings: { ...defaultSettings, ...statistics, ...(disposable ? disposableSettings : {}), ...archive, ...settings },
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
    try {
      const postmaster = await spawnPostmaster(place, { port, settings, timeoutMs, clock })
      if (port !== preferredPort) log(`port ${preferredPort} is taken; Postgres listens on ${port}`)
      return postmaster
    } catch (error) {
      if (isPortTaken(error) && tries < spawnTries) wanted = port + 1
      else if (!isStillInUse(error) || clock.monotonicMs() >= deadline) throw error
      // Sessions of a killed server look for it about once a second and then end.
      else await clock.sleep(100)
    }
  }
}

const stop = (context: Context, { identity }: Postmaster): Promise<void> =>
  stopPostmaster(identity, context.timeoutMs, context.clock)

/** Starts the server and logs in; undefined where it runs and has another password. One that does not work is not left running. */
const startAndConfirm = async (context: Context): Promise<Running | undefined> => {
  const { place, password } = context
  const postmaster = await spawnOnFreePort(context)
  const version = await confirm(postmaster.port, password, place.dataDir).catch(async (error: unknown) => {
    await stop(context, postmaster)
    throw error
  })
  if (version !== undefined) return { postmaster, version, attached: false }
  await stop(context, postmaster)
  return undefined
}

/** The folder with the secrets was removed and the data was not: whoever may read the data may set the password. */
const startWithNewPassword = async (context: Context): Promise<Running> => {
  context.log('the password of the Postgres superuser is not the one on record; setting it anew')
  await resetPassword(context.place, context.password)
  const running = await startAndConfirm(context)
  if (running === undefined) throw startFailure('the superuser cannot log in')
  return running
}

const startNew = async (context: Context): Promise<Running> => {
  const { place, major, password, disposable, log } = context
  const created = await ensureCluster(place, major, password, !disposable)
  if (created) log(`created a Postgres cluster in ${place.dataDir}`)
  if (place.elsewhere !== undefined) log(place.elsewhere)
  return (await startAndConfirm(context)) ?? startWithNewPassword(context)
}

/** Waits until a server that is starting is ready (true), or one that is stopping is gone (false). */
const settled = ({ place, timeoutMs, clock }: Context): Promise<Postmaster | 'gone'> =>
  until(
    async () => {
      const found = await findPostmaster(place.dataDir)
      return found === undefined ? ('gone' as const) : found.ready && found
    },
    { timeoutMs, clock, what: 'The start of the embedded Postgres', fix: `See ${place.logFile}.` },
  )

const attach = async (context: Context, postmaster: Postmaster): Promise<Running> => {
  const { place, record, password } = context
  const version = await confirm(postmaster.port, password, place.dataDir)
  if (version !== undefined) return { postmaster, version, attached: true }
  if ((await record.holders()).length > 0) {
    throw startFailure('it runs with another superuser password, and other commands use it')
  }
  await stop(context, postmaster)
  return startWithNewPassword(context)
}

/** So long a server that was killed may still be seen, and take connections that nobody answers. */
const dyingMs = 2_000

const dies = ({ identity }: Postmaster, clock: Clock): Promise<boolean> =>
  until(async () => !(await isAlive(identity)), { timeoutMs: dyingMs, intervalMs: 10, clock }).catch(() => false)

/** As {@link attach}; one that died since it was found is started anew. */
const attachOrStart = async (context: Context, found: Postmaster): Promise<Running> => {
  try {
    return await attach(context, found)
  } catch (error) {
    if (isTidemarkError(error) || !(await dies(found, context.clock))) throw error
    return startNew(context)
  }
}

const note = async ({ record, clock, place }: Context, { postmaster, version }: Running): Promise<void> => {
  const known = await record.read()
  if (known && known.pid === postmaster.identity.pid && (await isAlive(known))) return
  const { identity, port } = postmaster
  await record.write({ ...identity, port, startedAtMs: clock.now(), details: { version, dataDir: place.dataDir } })
}

/** Attaches to the server, or starts it, and records it. Call it holding the lock. */
export const bringUp = async (context: Context): Promise<Running> => {
  const found = await settled(context)
  const running = found === 'gone' ? await startNew(context) : await attachOrStart(context, found)
  await note(context, running)
  return running
}
