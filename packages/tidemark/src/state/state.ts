import { chmod, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { TidemarkError } from '../errors.js'
import { type Clock, systemClock } from '../time/clock.js'
import { type ChildRecord, openChild } from './children.js'
import { ensureFolder, hasErrno, usable } from './files.js'
import { withLock } from './lock.js'
import { openSecrets } from './secrets-file.js'

export type { ChildInfo, ChildRecord, Holder } from './children.js'
export { acquirePort } from './ports.js'
export { isAlive, ownIdentity, type ProcessIdentity, processIdentity } from './process-identity.js'

export interface LockOptions {
  /** How long to wait for another holder before TM_STATE_LOCKED. Default 30,000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/**
 * The folder in which a project keeps what outlives a command: its lock, its generated secrets, and the record of the
 * servers that were started for it. Every method raises TM_STATE_FOLDER_UNUSABLE where the folder cannot be written.
 */
export interface State {
  /** Absolute path. */
  readonly dir: string
  /** A path inside the folder. Nothing is created. */
  path(...names: string[]): string
  /**
   * Runs `fn` while no other process (and no other caller here) holds the lock of that name. The lock of a process that
   * died is taken over. Not reentrant. Raises TM_STATE_LOCKED.
   */
  lock<T>(name: string, fn: () => Promise<T>, options?: LockOptions): Promise<T>
  /** The generated secret of that name: made once (32 random bytes as base64url, or what `make` gives) and the same ever after. */
  secret(name: string, make?: () => string): Promise<string>
  /** The record of a server that runs for this project. Each call gives a record with its own hold. */
  child(name: string): ChildRecord
}

export interface StateOptions {
  readonly clock?: Clock
}

const nameForm = /^[a-z0-9][a-z0-9._-]*$/i

const checked = (name: string): string => {
  if (nameForm.test(name)) return name
  throw new TidemarkError('TM_INTERNAL', { reason: `"${name}" is not a name for something in the state folder` })
}

/** What the folder holds is for this machine and this user alone: it stays out of version control by itself. */
const ignoreFile = async (dir: string): Promise<void> => {
  await writeFile(join(dir, '.gitignore'), '*\n', { flag: 'wx' }).catch((error: unknown) => {
    if (!hasErrno(error, 'EEXIST')) throw error
  })
}

/**
 * Opens the state folder, creating it (mode 0700) where it is missing.
 * Raises TM_STATE_FOLDER_UNUSABLE where it is not a folder, cannot be written, or the disk is full.
 */
export const openState = async (folder: string, { clock = systemClock }: StateOptions = {}): Promise<State> => {
  const dir = resolve(folder)
  await usable(dir, async () => {
    // The umask may have taken bits away, or the parent's default ACL added some.
    if (await ensureFolder(dir, 0o700)) await chmod(dir, 0o700)
    await ensureFolder(join(dir, 'locks'), 0o700)
    await ignoreFile(dir)
  })
  const lock: State['lock'] = (name, fn, options = {}) =>
    withLock(join(dir, 'locks', `${checked(name)}.lock`), fn, { timeoutMs: 30_000, clock, ...options })
  const secrets = openSecrets(dir, lock)
  return {
    dir,
    lock,
    path: (...names) => join(dir, ...names),
    secret: (name, make) => secrets(checked(name), make),
    child: (name) => openChild(dir, checked(name)),
  }
}
