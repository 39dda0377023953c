import { rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { TidemarkError } from '../../errors.js'
import type { Manifest } from '../../postgres/embedded/backup/manifest.js'
import type { RestoreReport } from '../../postgres/embedded/backup/restore-backup.js'
import type { Project } from '../project/project.js'

/** A backup as it is told: what it holds file by file is in its manifest. */
export type Backup = Omit<Manifest, 'format' | 'files' | 'folders'> & { readonly path: string; readonly files: number }

export interface BackupReport {
  readonly backup: Backup
  /** Names of those that `keep` let go. */
  readonly removed: readonly string[]
  /** Files of the archived log that no backup needs any more. */
  readonly prunedSegments: number
}

export interface RestoreRequest {
  readonly folder: string
  readonly to?: Date
  /** Default: the newest that ended before `to`. */
  readonly backup?: string
  readonly timeline?: string
}

const told = (folder: string, { format: _, files, folders: __, ...facts }: Manifest): Backup => ({
  ...facts,
  path: join(folder, facts.name),
  files: Object.keys(files).length,
})

const archiveOf = ({ config, cwd }: Project): string | undefined =>
  config.postgres.archiveDir === undefined ? undefined : resolve(cwd, config.postgres.archiveDir)

const logOf = ({ log }: Project) => {
  const own = log.child('postgres')
  return (message: string) => own.info(message)
}

const thin = async (project: Project, folder: string, keep: number | undefined): Promise<Omit<BackupReport, 'backup'>> => {
  if (keep === undefined) return { removed: [], prunedSegments: 0 }
  const [{ listBackups }, { pruneArchive }] = await Promise.all([
    import('../../postgres/embedded/backup/manifest.js'),
    import('../../postgres/embedded/backup/archive.js'),
  ])
  const all = await listBackups(folder)
  const removed = all.slice(0, Math.max(0, all.length - keep))
  for (const { name } of removed) await rm(join(folder, name), { recursive: true, force: true })
  const oldest = all[removed.length]
  const archive = archiveOf(project)
  const prunedSegments = archive === undefined || oldest === undefined ? 0 : await pruneArchive(archive, oldest.startSegment)
  return { removed: removed.map(({ name }) => name), prunedSegments }
}

/** Copies the embedded Postgres while it works. Raises TM_POSTGRES_NOT_EMBEDDED, TM_POSTGRES_BACKUP_FAILED. */
export const backUp = (project: Project, request: { readonly folder: string; readonly keep?: number }): Promise<BackupReport> =>
  project.withDatabase(undefined, async (database) => {
    if (database.embedded === undefined) throw new TidemarkError('TM_POSTGRES_NOT_EMBEDDED', {})
    const folder = resolve(project.cwd, request.folder)
    const { takeBackup } = await import('../../postgres/embedded/backup/take-backup.js')
    const { url, dataDir } = database.embedded
    const manifest = await takeBackup({ url, dataDir, folder, log: logOf(project) })
    return { backup: told(folder, manifest), ...(await thin(project, folder, request.keep)) }
  })

/** The backups of a folder, the oldest first. Raises TM_POSTGRES_BACKUP_DAMAGED. */
export const backups = async (project: Project, given: string): Promise<readonly Backup[]> => {
  const folder = resolve(project.cwd, given)
  const { listBackups } = await import('../../postgres/embedded/backup/manifest.js')
  return (await listBackups(folder)).map((manifest) => told(folder, manifest))
}

/** Which backup a restore begins from. Raises TM_POSTGRES_BACKUP_MISSING. */
export const chooseBackup = async (project: Project, { folder, to, backup }: RestoreRequest): Promise<Backup> => {
  const all = await backups(project, folder)
  const fits = ({ name, endedAt }: Backup): boolean =>
    backup === undefined ? to === undefined || Date.parse(endedAt) <= to.getTime() : name === backup
  const chosen = all.findLast(fits)
  if (chosen) return chosen
  const wanted = backup === undefined ? (to ? `from before ${to.toISOString()}` : 'at all') : `named ${backup}`
  throw new TidemarkError('TM_POSTGRES_BACKUP_MISSING', { folder, wanted })
}

/** Raises TM_POSTGRES_NOT_EMBEDDED, and what {@link chooseBackup} and `restoreBackup` raise. */
export const restore = async (project: Project, request: RestoreRequest): Promise<RestoreReport> => {
  const { url, migrationUrl } = project.config.postgres
  if ((migrationUrl ?? url) !== undefined) throw new TidemarkError('TM_POSTGRES_NOT_EMBEDDED', {})
  const { path } = await chooseBackup(project, request)
  const { restoreBackup } = await import('../../postgres/embedded/backup/restore-backup.js')
  const archiveDir = archiveOf(project)
  return restoreBackup({
    state: project.state,
    backup: path,
    log: logOf(project),
    ...(archiveDir !== undefined && { archiveDir }),
    ...(request.to && { to: request.to }),
    ...(request.timeline !== undefined && { timeline: request.timeline }),
  })
}
