import { chown, open, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import pg from 'pg'
import { isTidemarkError, reasonOf, TidemarkError } from '../../../errors.js'
import { acquirePort, type State } from '../../../state/state.js'
import { type Clock, systemClock } from '../../../time/clock.js'
import { startTimeoutMs } from '../bring-up.js'
import { resetPassword } from '../cluster.js'
import { superuserUrl } from '../confirm.js'
import { linkLibraries } from '../libraries.js'
import { type Place, preparePlace } from '../place.js'
import { findBinaries, majorOf } from '../platform.js'
import { findPostmaster, spawnPostmaster, stopPostmaster } from '../postmaster.js'
import { defaultSettings } from '../settings.js'
import { archiveSettings, prepareArchive } from './archive.js'
import { copyFile, factsOf, forEachFile, listFiles, makeFolders } from './copy-files.js'
import { type Manifest, readManifest } from './manifest.js'
import { finishSwap, restoredFolder, swap } from './swap.js'

export interface RestoreOptions {
  readonly state: State
  /** The folder of one backup. */
  readonly backup: string
  /** Where the server has archived its write-ahead log; undefined where it has not. */
  readonly archiveDir?: string
  /** Everything that was committed up to then, and nothing after; undefined: all there is. */
  readonly to?: Date
  /** Which branch to follow where there were restores before: its number, `current` (that of the backup) or `latest` (default). */
  readonly timeline?: string
  readonly clock?: Clock
  readonly log?: (message: string) => void
}

export interface RestoreReport {
  readonly backup: string
  /** Of the history that begins now. The feed's epoch holds it, so every follower starts anew. */
  readonly timeline: number
  /** When the last transaction that is there was committed; null where none came after the backup. */
  readonly lastCommitAt: string | null
  readonly dataDir: string
  /** Where the data of before is kept; null where there was none. */
  readonly replaced: string | null
}

/** Replaying a long log takes as long as it takes. */
const recoveryTimeoutMs = 7 * 86_400_000

const failed = (reason: string, cause?: unknown): TidemarkError =>
  new TidemarkError('TM_POSTGRES_RESTORE_FAILED', { reason }, { cause })

/** Before anything is touched: each file is what was copied. */
const checkFiles = async (backup: string, { files }: Manifest): Promise<void> =>
  forEachFile(Object.keys(files), async (path) => {
    const full = join(backup, 'data', path)
    const facts = await factsOf(full).catch((error: unknown) => {
      throw new TidemarkError('TM_POSTGRES_BACKUP_DAMAGED', { path: full, reason: reasonOf(error) })
    })
    const { bytes, sha256 } = files[path]!
    if (facts.bytes !== bytes || facts.sha256 !== sha256)
      throw new TidemarkError('TM_POSTGRES_BACKUP_DAMAGED', { path: full, reason: 'it is not what was copied' })
  })

/** A cluster's number, from the first eight bytes of its control file, signed as SQL shows it; undefined where there is none. */
const systemIdOf = async (dataDir: string): Promise<string | undefined> => {
  const file = await open(join(dataDir, 'global/pg_control'), 'r').catch(() => undefined)
  if (file === undefined) return undefined
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(8), 0, 8, 0)
    return bytesRead === 8 ? buffer.readBigInt64LE().toString() : undefined
  } finally {
    await file.close()
  }
}

/** What the dead server wrote last is in no archive yet. It is copied, so that the recovery cannot change it. */
const salvageLog = async (place: Place, { systemId }: Manifest, to: string): Promise<boolean> => {
  if ((await systemIdOf(place.dataDir)) !== systemId) return false
  const from = join(place.dataDir, 'pg_wal')
  const { files } = await listFiles(from, (path) => /^[0-9A-F]{24}$|^[0-9A-F]{8}\.history$/.test(path))
  await makeFolders(to, [], place.account)
  await forEachFile(files, async (file) => {
    await copyFile(join(from, file), join(to, file), place.account)
  })
  return true
}

/** For a shell, as one word. */
const quoted = (path: string): string => `'${path.replaceAll("'", `'\\''`)}'`

/** A setting's own placeholders begin with a percent sign. */
const copyCommand = (folders: readonly string[]): string =>
  folders.map((folder) => `cp ${quoted(folder).replaceAll('%', '%%')}/%f "%p" 2>/dev/null`).join(' || ')

/** With its zone as a number: when the command line is read, Postgres knows no names of zones yet. */
const momentText = (moment: Date): string => moment.toISOString().replace('T', ' ').replace('Z', '+00')

const recoverySettings = ({ to, timeline = 'latest' }: RestoreOptions, folders: readonly string[]) => ({
  restore_command: folders.length === 0 ? 'false' : copyCommand(folders),
  recovery_target_timeline: timeline,
  recovery_target_action: 'promote',
  ...(to && { recovery_target_time: momentText(to), recovery_target_inclusive: 'on' }),
})

interface Recovered {
  readonly timeline: number
  readonly last: Date | null
}

const askRecovered = async (port: number, password: string): Promise<Recovered> => {
  const client = new pg.Client({ connectionString: superuserUrl(port, password), application_name: 'tidemark/restore' })
  client.on('error', () => undefined)
  await client.connect()
  try {
    // The timeline of the control file is that of the last checkpoint, which the end of a recovery may still owe.
    const { rows } = await client.query<Recovered>(
      `select ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int as timeline,
              pg_last_xact_replay_timestamp() as last`,
    )
    return rows[0]!
  } finally {
    await client.end().catch(() => undefined)
  }
}

const recoveryFailure = (error: unknown): TidemarkError => {
  const reason = isTidemarkError(error) ? String(error.parameters['reason'] ?? error.message) : reasonOf(error)
  if (!/recovery ended before configured recovery target was reached/.test(reason)) return failed(reason, error)
  return failed(
    'the write-ahead log that is there ends before that moment. Leave the moment out to have everything that is there, or name the folder with the rest of the log',
    error,
  )
}

/** Replays the log on the copy until the moment is reached, begins a new history, and stops the server in order. */
const recover = async (place: Place, options: RestoreOptions, folders: readonly string[]): Promise<Recovered> => {
  const { state, clock = systemClock } = options
  const password = await state.secret('postgres-superuser')
  await askForRecovery(place)
  const port = await acquirePort(0)
  const archive =
    options.archiveDir === undefined ? {} : archiveSettings(await prepareArchive(resolve(options.archiveDir), place.account))
  const settings = { ...defaultSettings, ...archive, hot_standby: 'off', ...recoverySettings(options, folders) }
  const postmaster = await spawnPostmaster(place, { port, settings, timeoutMs: recoveryTimeoutMs, clock }).catch((error) => {
    throw recoveryFailure(error)
  })
  try {
    return await askRecovered(port, password).catch(async (error: unknown) => {
      if (!(error instanceof pg.DatabaseError && error.code === '28P01')) throw error
      // The backup is of a project with another password: as when the folder with the secrets was lost.
      await stopPostmaster(postmaster.identity, startTimeoutMs, clock)
      await resetPassword(place, password)
      const again = await spawnPostmaster(place, { port, settings: defaultSettings, timeoutMs: startTimeoutMs, clock })
      try {
        return await askRecovered(port, password)
      } finally {
        await stopPostmaster(again.identity, startTimeoutMs, clock)
      }
    })
  } finally {
    await stopPostmaster(postmaster.identity, startTimeoutMs, clock)
  }
}

const askForRecovery = async ({ dataDir, account }: Place): Promise<void> => {
  const path = join(dataDir, 'recovery.signal')
  await writeFile(path, '', { mode: 0o600 })
  if (account) await chown(path, account.uid, account.gid)
}

const copyBack = async (backup: string, { folders, files }: Manifest, { dataDir, account }: Place): Promise<void> => {
  await makeFolders(dataDir, folders, account)
  await forEachFile(Object.keys(files), async (path) => {
    await copyFile(join(backup, 'data', path), join(dataDir, path), account)
  })
}

const unused = async (state: State, place: Place, clock: Clock): Promise<void> => {
  const holders = await state.child('postgres').holders()
  if (holders.length > 0) {
    const pids = holders.map(({ pid }) => pid).join(', ')
    throw new TidemarkError('TM_POSTGRES_IN_USE', { dataDir: place.dataDir, pids })
  }
  const left = await findPostmaster(place.dataDir)
  if (left) await stopPostmaster(left.identity, startTimeoutMs, clock)
}

/**
 * Brings a backup back, up to a moment. The data of before is kept beside it until the recovery has succeeded, and after. The backup itself is only
 * read. Raises TM_POSTGRES_IN_USE while anything uses the server, TM_POSTGRES_BACKUP_DAMAGED and TM_POSTGRES_RESTORE_FAILED; then nothing has changed.
 */
export const restoreBackup = async (options: RestoreOptions): Promise<RestoreReport> => {
  const { state, backup, clock = systemClock, log = () => undefined } = options
  const manifest = await readManifest(backup)
  const binaries = await findBinaries()
  if (majorOf(manifest.version) !== majorOf(binaries.version))
    throw failed(`the backup is of Postgres ${manifest.version}, and the installed binaries are Postgres ${binaries.version}`)
  if (options.to && options.to.getTime() < Date.parse(manifest.endedAt))
    throw failed(`the backup ended at ${manifest.endedAt}, after that moment; take an older one`)
  return state.lock('postgres', async () => {
    const place = await preparePlace(state.dir, binaries)
    await linkLibraries(place.nativeDir, place.libraryDir)
    await unused(state, place, clock)
    await finishSwap(place)
    log('checking every file of the backup')
    await checkFiles(backup, manifest)
    const recovering: Place = { ...place, dataDir: join(place.baseDir, 'data.restoring') }
    const salvage = join(place.baseDir, 'wal.salvaged')
    const clear = () =>
      Promise.all([recovering.dataDir, restoredFolder(place), salvage].map((path) => rm(path, { recursive: true, force: true })))
    await clear()
    try {
      const salvaged = await salvageLog(place, manifest, salvage)
      log('copying it back')
      await copyBack(backup, manifest, recovering)
      const archive = options.archiveDir === undefined ? [] : [resolve(options.archiveDir)]
      log('replaying the write-ahead log')
      const { timeline, last } = await recover(recovering, options, [...archive, ...(salvaged ? [salvage] : [])])
      const replaced = await swap(place, recovering.dataDir, clock.now())
      return {
        backup: manifest.name,
        timeline,
        lastCommitAt: last?.toISOString() ?? null,
        dataDir: place.dataDir,
        replaced,
      }
    } catch (error) {
      throw isTidemarkError(error) ? error : failed(reasonOf(error), error)
    } finally {
      await clear()
    }
  })
}
