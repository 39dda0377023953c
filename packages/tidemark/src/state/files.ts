import { randomBytes } from 'node:crypto'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isTidemarkError, reasonOf, TidemarkError } from '../errors.js'

/** The errno of a failed system call, such as `ENOENT`. */
const errnoOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined

export const hasErrno = (error: unknown, ...codes: string[]): boolean => codes.includes(errnoOf(error) ?? '')

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left on its disk',
  EDQUOT: 'the disk quota of this user is used up',
  EROFS: 'it is on a read-only file system',
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  ENOTDIR: 'a file stands where a folder is needed',
  EEXIST: 'a file stands where a folder is needed',
  ENOENT: 'it was removed while in use',
  EMFILE: 'this process has too many open files',
  EIO: 'its disk reports an error',
}

/** Runs `fn`; a failure of the file system becomes TM_STATE_FOLDER_UNUSABLE, anything else passes. */
export const usable = async <T>(path: string, fn: () => Promise<T>): Promise<T> => {
  try {
    return await fn()
  } catch (error) {
    const errno = errnoOf(error)
    if (isTidemarkError(error) || errno === undefined || !(error instanceof Error) || !('syscall' in error)) throw error
    const reason = reasons[errno] ?? reasonOf(error)
    throw new TidemarkError('TM_STATE_FOLDER_UNUSABLE', { path, reason }, { cause: error })
  }
}

/** A name beside `path` that nobody else uses. */
export const temporaryPath = (path: string): string => `${path}.${process.pid}-${randomBytes(6).toString('hex')}.tmp`

/** Writes the whole file or nothing: readers see the old content or the new, also after a power cut. */
export const writeWhole = async (path: string, content: string, mode = 0o600): Promise<void> => {
  const temporary = temporaryPath(path)
  try {
    const file = await open(temporary, 'wx', mode)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw error
  }
}

/**
 * Creates a folder and those above it; true where it was not there before. Not by Node's recursive mkdir, which reports a
 * read-only file system as a missing file.
 */
export const ensureFolder = async (path: string, mode?: number): Promise<boolean> => {
  try {
    await mkdir(path, mode)
    return true
  } catch (error) {
    if (hasErrno(error, 'ENOENT') && dirname(path) !== path) {
      await ensureFolder(dirname(path))
      return ensureFolder(path, mode)
    }
    if (hasErrno(error, 'EEXIST') && (await stat(path)).isDirectory()) return false
    throw error
  }
}
