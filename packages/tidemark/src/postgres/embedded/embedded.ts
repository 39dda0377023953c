import { isTidemarkError, reasonOf, type TidemarkError } from '../../errors.js'
import type { State } from '../../state/state.js'
import type { Clock } from '../../time/clock.js'
import { bringUp, type Context, resolveContext, startTimeoutMs } from './bring-up.js'
import { host, superuserUrl } from './confirm.js'
import { findPlace } from './place.js'
import { findBinaries } from './platform.js'
import { findPostmaster, stopPostmaster } from './postmaster.js'
import { startFailure } from './start-failure.js'
import { type Locked, supervise, type Watch } from './supervise.js'

export { embeddedPlatformPackage } from './platform.js'

export interface EmbeddedPostgresOptions {
  readonly state: State
  /** Asked for first when the server is started for the first time; later its port of before is. */
  readonly preferredPort?: number
  /** For data that is thrown away after use: nothing waits for the disk. Default false. */
  readonly disposable?: boolean
  /** Server settings on top of Tidemark's own. */
  readonly settings?: Readonly<Record<string, string>>
  /** Where the server archives its write-ahead log, for {@link restoreBackup}. Counts from the next start of the server on. */
  readonly archiveDir?: string
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

const failure = (error: unknown): TidemarkError => (isTidemarkError(error) ? error : startFailure(reasonOf(error)))

/**
 * Attaches to this project's server, or starts it: on its existing data, or on a new cluster. Raises
 * TM_POSTGRES_EMBEDDED_MISSING, TM_POSTGRES_EMBEDDED_START, TM_POSTGRES_DISK_FULL, TM_STATE_LOCKED and TM_STATE_FOLDER_UNUSABLE.
 */
export const startEmbeddedPostgres = async (options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> => {
  const { state, restart = true } = options
  const locked: Locked = (fn) => state.lock('postgres', fn, { timeoutMs: 2 * (options.timeoutMs ?? startTimeoutMs) })
  const { context, running } = await locked(async () => {
    const resolved = await resolveContext(options)
    const brought = await bringUp(resolved)
    await resolved.record.hold()
    return { context: resolved, running: brought }
  }).catch((error: unknown) => {
    throw failure(error)
  })
  const { place, password } = context
  const { port, identity } = running.postmaster
  const again = async () => (await bringUp({ ...context, preferredPort: port })).postmaster.identity
  const watch = restart ? supervise({ place, identity, log: context.log, locked, bringUp: again }) : undefined
  let stopped: Promise<void> | undefined
  return {
    url: superuserUrl(port, password),
    host,
    port,
    superuserPassword: password,
    attached: running.attached,
    dataDir: place.dataDir,
    version: running.version,
    elsewhere: place.elsewhere,
    stop: () => {
      stopped ??= letGo(context, locked, watch)
      return stopped
    },
  }
}

/** The last one out stops the server. */
const letGo = async ({ place, record, clock }: Context, locked: Locked, watch: Watch | undefined): Promise<void> => {
  await watch?.stop()
  await locked(async () => {
    if (!(await record.release())) return
    const running = await findPostmaster(place.dataDir)
    if (running) await stopPostmaster(running.identity, startTimeoutMs, clock)
  })
}

/** Where this project's server has, or would have, its files, for `doctor`. Nothing is created. Raises TM_POSTGRES_EMBEDDED_MISSING. */
export const describeEmbeddedPostgres = async (
  stateDir: string,
): Promise<{ readonly dataDir: string; readonly version: string; readonly elsewhere: string | undefined }> => {
  const binaries = await findBinaries()
  const { dataDir, elsewhere } = await findPlace(stateDir, binaries)
  return { dataDir, version: binaries.version, elsewhere }
}
