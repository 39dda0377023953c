import { createHash, randomBytes } from 'node:crypto'
import { link, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { TidemarkError } from '../errors.js'
import type { Clock } from '../time/clock.js'
import { hasErrno, temporaryPath, usable } from './files.js'
import { isAlive, ownIdentity, type ProcessIdentity } from './process-identity.js'

interface LockFileOptions {
  readonly timeoutMs: number
  readonly clock: Clock
  readonly signal?: AbortSignal
}

interface Contents extends ProcessIdentity {
  readonly token: string
}

const pollMs = 20
/** A lock file that cannot be read may be one that is being written, on file systems without hard links. */
const graceForUnreadableMs = 2_000

/** Creates the file with its content in one step, or gives false where it exists. */
const createExclusive = async (path: string, content: string): Promise<boolean> => {
  const temporary = temporaryPath(path)
  try {
    await writeFile(temporary, content, { flag: 'wx', mode: 0o600 })
    await link(temporary, path)
    return true
  } catch (error) {
    if (hasErrno(error, 'EEXIST')) return false
    if (!hasErrno(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS')) throw error
    return createWithoutLink(path, content)
  } finally {
    await rm(temporary, { force: true })
  }
}

const createWithoutLink = async (path: string, content: string): Promise<boolean> => {
  try {
    await writeFile(path, content, { flag: 'wx', mode: 0o600 })
    return true
  } catch (error) {
    if (hasErrno(error, 'EEXIST')) return false
    throw error
  }
}

const read = async (path: string): Promise<string | undefined> => {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

const parse = (content: string): Contents | undefined => {
  try {
    const { pid, start, token } = JSON.parse(content) as Partial<Contents>
    return typeof pid === 'number' && typeof start === 'string' && typeof token === 'string' ? { pid, start, token } : undefined
  } catch {
    return undefined
  }
}

const isHeld = async (path: string, content: string, clock: Clock): Promise<boolean> => {
  const holder = parse(content)
  if (holder) return isAlive(holder)
  const written = await stat(path).catch(() => undefined)
  return written === undefined || clock.now() - written.mtimeMs < graceForUnreadableMs
}

/**
 * One try to get the lock file.
 *
 * A dead holder's file may be replaced only by the one contender that holds the lock *named after that file's content*
 * (every acquisition has a token of its own, so a content never comes twice) and finds that content still in place.
 * Without this, of two that saw the same dead holder the slower would throw out the faster. That second lock can itself
 * be left behind by a death, and is then taken over in the same way.
 */
const tryAcquire = async (path: string, content: string, clock: Clock): Promise<boolean> => {
  if (await createExclusive(path, content)) return true
  const found = await read(path)
  if (found === undefined || (await isHeld(path, found, clock))) return false
  const right = `${path}.${createHash('sha256').update(found).digest('hex').slice(0, 16)}`
  if (!(await tryAcquire(right, content, clock))) return false
  try {
    if ((await read(path)) !== found) return false
    const temporary = temporaryPath(path)
    await writeFile(temporary, content, { flag: 'wx', mode: 0o600 })
    await rename(temporary, path)
    return true
  } finally {
    await rm(right, { force: true })
  }
}

const release = async (path: string, content: string): Promise<void> => {
  // The folder may have been removed as a whole by then; a foreign content means that this process was taken for dead.
  if ((await read(path).catch(() => undefined)) === content) await rm(path, { force: true })
}

const acquire = async (path: string, content: string, { timeoutMs, clock, signal }: LockFileOptions): Promise<void> => {
  const deadline = clock.monotonicMs() + timeoutMs
  while (!(await tryAcquire(path, content, clock))) {
    signal?.throwIfAborted()
    if (clock.monotonicMs() >= deadline) {
      const pid = parse((await read(path)) ?? '')?.pid ?? 'unknown'
      throw new TidemarkError('TM_STATE_LOCKED', { path, pid, timeoutMs })
    }
    await clock.sleep(pollMs, signal)
  }
}

/** Runs `fn` while holding the lock file `path`. Raises TM_STATE_LOCKED and TM_STATE_FOLDER_UNUSABLE. */
export const withLock = async <T>(path: string, fn: () => Promise<T>, options: LockFileOptions): Promise<T> => {
  const content = JSON.stringify({ ...(await ownIdentity()), token: randomBytes(12).toString('hex') } satisfies Contents)
  await usable(dirname(path), () => acquire(path, content, options))
  try {
    return await fn()
  } finally {
    await release(path, content)
  }
}
