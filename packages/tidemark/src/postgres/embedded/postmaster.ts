import { spawn } from 'node:child_process'
import { lchown, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isAlive, type ProcessIdentity, processIdentity } from '../../state/process-identity.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { until } from '../../time/until.js'
import type { Account } from './account.js'
import { commandLineNames } from './command-line.js'
import { serverEnvironment } from './libraries.js'
import type { Place } from './place.js'
import { startFailure } from './start-failure.js'

/** What the running server wrote into its `postmaster.pid`. */
export interface Postmaster {
  readonly identity: ProcessIdentity
  readonly port: number
  readonly ready: boolean
}

const pidFile = (dataDir: string): string => join(dataDir, 'postmaster.pid')

/** Lines: pid, data folder, start time, port, socket folder, address, shared memory, status. */
const parsePidFile = (text: string) => {
  const lines = text.split('\n').map((line) => line.trim())
  return { pid: Number.parseInt(lines[0] ?? '', 10), port: Number.parseInt(lines[3] ?? '', 10), status: lines[7] }
}

/**
 * The server that runs on this data folder, whoever started it. A `postmaster.pid` that a killed server left behind
 * names a process that is gone, or one of another program that was given its pid: then there is none.
 */
export const findPostmaster = async (dataDir: string): Promise<Postmaster | undefined> => {
  const text = await readFile(pidFile(dataDir), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const { pid, port, status } = parsePidFile(text)
  const identity = await processIdentity(pid)
  if (identity === undefined || !(await commandLineNames(pid, dataDir))) return undefined
  return { identity, port, ready: status === 'ready' }
}

/** True where the server was not shut down in order: it left its `postmaster.pid`. */
export const leftPidFile = (dataDir: string): Promise<boolean> =>
  stat(pidFile(dataDir)).then(
    () => true,
    () => false,
  )

/** What Postgres itself goes by: also true of a zombie, and of a process of another user. */
const takesSignals = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** Above every system's highest pid. */
const impossiblePid = 2_147_483_646

/**
 * Postgres refuses to start where the pid in a left-behind file belongs to any live process, also one of another program.
 * Only that pid is replaced: the file also names the shared memory by which Postgres notices that a killed server's
 * sessions still write to the data. Call it only where {@link findPostmaster} found none.
 */
export const disownPid = async (dataDir: string, account: Account | undefined): Promise<void> => {
  const path = pidFile(dataDir)
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (text === undefined || !takesSignals(parsePidFile(text).pid)) return
  const replacement = `${path}.new`
  await rm(replacement, { force: true })
  await writeFile(replacement, text.replace(/^\d+/, String(impossiblePid)), { mode: 0o600, flag: 'wx' })
  if (account) await lchown(replacement, account.uid, account.gid)
  await rename(replacement, path)
}

const maxLogBytes = 4 * 1024 * 1024

const openLog = async ({ logFile: path }: Place) => {
  const size = await stat(path).then(
    (entry) => entry.size,
    () => 0,
  )
  if (size > maxLogBytes) await rename(path, `${path}.1`)
  const file = await open(path, 'a', 0o600)
  return { file, path, offset: (await file.stat()).size }
}

const readFrom = async (path: string, offset: number): Promise<string> =>
  (await readFile(path).catch(() => Buffer.alloc(0))).subarray(offset).toString('utf8')

export interface SpawnOptions {
  readonly port: number
  readonly settings: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly clock?: Clock
}

/** Starts the server and waits until it says that it is ready. Raises TM_POSTGRES_EMBEDDED_START with the log's own words. */
export const spawnPostmaster = async (place: Place, options: SpawnOptions): Promise<Postmaster> => {
  const { port, settings, timeoutMs, clock = systemClock } = options
  const { file, path, offset } = await openLog(place)
  const args = Object.entries({ ...settings, port: String(port) }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  let ended: string | undefined
  const child = spawn(join(place.nativeDir, 'bin', 'postgres'), ['-D', place.dataDir, ...args], {
    cwd: place.baseDir,
    env: serverEnvironment(place.nativeDir, place.libraryDir),
    // A process group of its own: Ctrl-C at the terminal is for the command, which stops the server when it is done with it.
    detached: true,
    // A file, not a pipe: the server outlives a command that is killed.
    stdio: ['ignore', file.fd, file.fd],
    ...place.account,
  })
  child.once('error', (error) => {
    ended = error.message
  })
  child.once('exit', (code, signal) => {
    ended ??= `exit ${code ?? signal}`
  })
  child.unref()
  await file.close()
  const ready = async () => {
    if (ended !== undefined) throw startFailure((await readFrom(path, offset)) || ended)
    const found = await findPostmaster(place.dataDir)
    return found?.ready && found.identity.pid === child.pid ? found : undefined
  }
  return until(ready, { timeoutMs, intervalMs: 10, clock, what: 'The start of the embedded Postgres', fix: `See ${path}.` })
}

const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name)
  } catch {
    // It is gone already.
  }
}

/** Ends the server: sessions are cut and the data is left clean (SIGINT); only a server that hangs is ended harder. */
export const stopPostmaster = async (
  identity: ProcessIdentity,
  timeoutMs = 30_000,
  clock: Clock = systemClock,
): Promise<void> => {
  for (const name of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    signal(identity.pid, name)
    const gone = await until(async () => !(await isAlive(identity)), { timeoutMs, intervalMs: 10, clock }).catch(() => false)
    if (gone) return
  }
}
