import { access, constants, stat, statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { delimiter, dirname, join } from 'node:path'
import { configNotices } from '../../../config/config.js'
import { reasonOf } from '../../../errors.js'
import type { Project } from '../../project/project.js'
import { type Finding, fail, ok, warn } from './finding.js'

const mebibyte = 1024 ** 2

export const checkNode = (): readonly Finding[] => {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const found = `Node ${process.versions.node} on ${process.platform}-${process.arch}`
  if (major > 20 || (major === 20 && minor >= 20)) return [ok('node', found)]
  return [fail('node', found, 'Install Node 20.20 or later.')]
}

/** That it could be read is shown by being here; what remains are its questionable parts. */
export const checkConfiguration = ({ config }: Project): readonly Finding[] => {
  const notices = configNotices(config)
  if (notices.length === 0) return [ok('configuration', 'valid')]
  return notices.map((notice) => warn('configuration', notice, 'See docs/configuration.md.'))
}

/** The nearest folder on the way to `path` that is there. */
const nearestExisting = async (path: string): Promise<string> => {
  const there = await stat(path).then(
    () => true,
    () => false,
  )
  return there || dirname(path) === path ? path : nearestExisting(dirname(path))
}

export const checkStateFolder = async ({ config: { stateDir } }: Project): Promise<readonly Finding[]> => {
  const folder = await nearestExisting(stateDir)
  try {
    await access(folder, constants.W_OK | constants.X_OK)
  } catch {
    return [
      fail(
        'state folder',
        `${folder} cannot be written by this user`,
        'Give this user the right, or choose another with TIDEMARK_STATE_DIR.',
      ),
    ]
  }
  const { mode } = await stat(stateDir).catch(() => ({ mode: 0o700 }))
  if (process.platform !== 'win32' && (mode & 0o022) !== 0) {
    return [
      warn(
        'state folder',
        `${stateDir} can be written by other users, and holds generated secrets`,
        `Run: chmod 700 ${stateDir}`,
      ),
    ]
  }
  return [ok('state folder', folder === stateDir ? stateDir : `${stateDir} (made when it is needed)`)]
}

export const checkDisk = async ({ config: { stateDir } }: Project): Promise<readonly Finding[]> => {
  try {
    const { bavail, bsize } = await statfs(await nearestExisting(stateDir))
    const free = (bavail * bsize) / mebibyte
    const message = `${Math.round(free).toLocaleString('en-US')} MiB free beside ${stateDir}`
    if (free < 200) return [fail('disk', message, 'Free some space: Postgres stops when its disk is full.')]
    if (free < 2048) return [warn('disk', message, 'Free some space before you move a large file.')]
    return [ok('disk', message)]
  } catch (error) {
    return [warn('disk', `free space cannot be told: ${reasonOf(error)}`, 'Check it yourself.')]
  }
}

/** The one part that is compiled for the machine. */
export const checkSqlite = async (): Promise<readonly Finding[]> => {
  try {
    const { sqliteLibraryVersion } = await import('../../../sqlite/open.js')
    return [ok('sqlite', `SQLite ${sqliteLibraryVersion()} is built in; no compiler is needed any more`)]
  } catch (error) {
    return [
      fail(
        'sqlite',
        `better-sqlite3 cannot be loaded: ${reasonOf(error)}`,
        'Run `npm rebuild better-sqlite3`. Where no prebuilt binary can be fetched, that needs a C++ compiler, make and Python.',
      ),
    ]
  }
}

/** The absolute path of a program on PATH; undefined where it is not there. */
export const findProgram = async (name: string, path = process.env['PATH'] ?? ''): Promise<string | undefined> => {
  for (const folder of path.split(delimiter)) {
    const file = join(folder, process.platform === 'win32' ? `${name}.exe` : name)
    const there = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (there) return file
  }
  return undefined
}

export const checkTools = async (): Promise<readonly Finding[]> => {
  const psql = await findProgram('psql')
  return [ok('psql', psql ?? 'not installed; `tidemark db psql` brings a small SQL prompt of its own')]
}

const portIsFree = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host, port }, () => server.close(() => resolve(true)))
  })

export const checkPort = async ({ config, state }: Project): Promise<readonly Finding[]> => {
  const { host, port, portAsked } = config.server
  const { findServer } = await import('../../project/presence.js')
  const running = await findServer(state)
  if (running) return [ok('server', `running at ${running.url} (pid ${running.pid})`)]
  if (port === 0 || (await portIsFree(host, port))) return [ok('server', `not running; ${host}:${port} is free`)]
  if (!portAsked) return [ok('server', `not running; port ${port} is taken, so the next free one will be used`)]
  return [fail('server', `port ${port} on ${host} is taken by another program`, 'End that program, or choose another PORT.')]
}
