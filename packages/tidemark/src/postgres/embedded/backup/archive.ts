import { chmod, chown, mkdir, readdir, realpath, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { TidemarkError } from '../../../errors.js'
import type { Account } from '../account.js'
import { firstClosedFolder } from '../place.js'

/** How much of the latest past may be lost with the disk of the data: a file of the log is closed and archived this often. */
const archiveTimeout = '60s'

/**
 * The settings under which the server puts each full file of its write-ahead log into the folder, by the module that comes with
 * Postgres: it writes under another name, waits for the disk, and renames.
 */
export const archiveSettings = (archiveDir: string): Readonly<Record<string, string>> => ({
  archive_mode: 'on',
  archive_library: 'basic_archive',
  archive_command: '',
  'basic_archive.archive_directory': archiveDir,
  archive_timeout: archiveTimeout,
})

/** Makes the folder where it is missing, and the server's account its owner. Gives its real path. */
export const prepareArchive = async (archiveDir: string, account: Account | undefined): Promise<string> => {
  await mkdir(archiveDir, { recursive: true, mode: 0o700 })
  const path = await realpath(archiveDir)
  if (account === undefined) return path
  const closed = await firstClosedFolder(join(path, '..'), account)
  if (closed !== undefined) {
    throw new TidemarkError('TM_POSTGRES_EMBEDDED_START', {
      reason: `Postgres runs as uid ${account.uid}, which may not enter ${closed}, where its write-ahead log is to be archived`,
      fix: 'Name another folder as postgres.archiveDir, or run Tidemark as an ordinary user.',
    })
  }
  const { uid, mode } = await stat(path)
  if (uid !== account.uid) await chown(path, account.uid, account.gid)
  if ((mode & 0o700) !== 0o700) await chmod(path, 0o700)
  return path
}

/** Removes files of the log that no backup that is kept needs; gives how many. What tells of branches stays: it is small. */
export const pruneArchive = async (archiveDir: string, oldestSegment: string): Promise<number> => {
  const names = (await readdir(archiveDir)).filter((name) => /^[0-9A-F]{24}(?:\.[0-9A-F]{8}\.backup)?$/.test(name))
  // Without the first eight digits, which name the timeline: a segment of an older one is needed up to where the next begins.
  const old = names.filter((name) => name.slice(8, 24) < oldestSegment.slice(8))
  for (const name of old) await rm(join(archiveDir, name), { force: true })
  return old.length
}
