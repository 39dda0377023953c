import { readFile, rename, rm, writeFile } from 'node:fs/promises'

export interface ServerConf {
  readonly port: number
  readonly password: string
}

export interface ServerPlace {
  /** Holds the other three; mode 0700. */
  readonly dir: string
  readonly dataDir: string
  readonly confPath: string
  readonly logPath: string
  readonly pidPath: string
}

const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`

/** The server's own configuration. The password stands in this file, which only we can read, and never on a command line. */
const confText = ({ port, password }: ServerConf, { dataDir, logPath, pidPath }: ServerPlace): string =>
  [
    '# Written by Tidemark at each start of the server.',
    `port ${port}`,
    'bind 127.0.0.1',
    'protected-mode yes',
    `requirepass ${quoted(password)}`,
    `dir ${quoted(dataDir)}`,
    `logfile ${quoted(logPath)}`,
    `pidfile ${quoted(pidPath)}`,
    'daemonize no',
    'appendonly yes',
    'appendfsync everysec',
    'save ""',
    '# Streams must never lose an entry to make room; what may go bounds itself.',
    'maxmemory-policy noeviction',
    '',
  ].join('\n')

export const writeConf = async (conf: ServerConf, place: ServerPlace): Promise<void> => {
  const fresh = `${place.confPath}.new`
  await rm(fresh, { force: true })
  await writeFile(fresh, confText(conf, place), { mode: 0o600, flag: 'wx' })
  await rename(fresh, place.confPath)
}

/** What the server was last started with; undefined where it never was. */
export const readConf = async ({ confPath }: ServerPlace): Promise<ServerConf | undefined> => {
  const text = await readFile(confPath, 'utf8').catch(() => '')
  const port = Number(/^port (\d+)$/m.exec(text)?.[1])
  const password = /^requirepass "(.*)"$/m.exec(text)?.[1]?.replace(/\\(.)/g, '$1')
  return port > 0 && password !== undefined ? { port, password } : undefined
}
