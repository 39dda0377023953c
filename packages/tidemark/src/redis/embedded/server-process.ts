import { spawn } from 'node:child_process'
import { open, readFile, rename, stat } from 'node:fs/promises'
import { TidemarkError } from '../../errors.js'
import { isAlive, type ProcessIdentity, processIdentity } from '../../state/state.js'
import type { Clock } from '../../time/clock.js'
import { until } from '../../time/until.js'
import type { ServerConf, ServerPlace } from './conf.js'
import { probe } from './probe.js'

export interface RunningServer {
  readonly identity: ProcessIdentity
  readonly conf: ServerConf
  readonly version: string
}

export const startFailure = (reason: string) => new TidemarkError('TM_REDIS_EMBEDDED_START', { reason })

/** The log line that says why, without the server's prefix of pid, time and level. */
const whyIn = (log: string): string => {
  const lines = log.split('\n').filter((line) => line.trim() !== '')
  const telling =
    lines.findLast((line) => /FATAL|ERROR|[Cc]ould not|[Cc]an't|[Ff]ailed|Bad file|# Warning/.test(line)) ?? lines.at(-1)
  return (telling ?? 'it ended without a word').replace(/^\d+:\w .*? [.*#-] /, '').trim()
}

/** The pid that the server wrote when it started and removes when it is shut down in order. */
export const pidOnFile = async ({ pidPath }: ServerPlace): Promise<number | undefined> => {
  const pid = Number.parseInt(await readFile(pidPath, 'utf8').catch(() => ''), 10)
  return Number.isSafeInteger(pid) ? pid : undefined
}

const maxLogBytes = 4 * 1024 * 1024

const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => size,
    () => 0,
  )

const openLog = async ({ logPath }: ServerPlace) => {
  if ((await sizeOf(logPath)) > maxLogBytes) await rename(logPath, `${logPath}.1`)
  const file = await open(logPath, 'a', 0o600)
  return { file, offset: (await file.stat()).size }
}

interface SpawnOptions {
  readonly program: string
  readonly timeoutMs: number
  readonly clock: Clock
}

/**
 * Starts the server on the configuration that is in place, and waits until it has read its data. Gives undefined where its
 * port is taken: then it ended before it touched the data. Raises TM_REDIS_EMBEDDED_START with the log's own words.
 */
export const spawnServer = async (
  conf: ServerConf,
  place: ServerPlace,
  { program, timeoutMs, clock }: SpawnOptions,
): Promise<RunningServer | undefined> => {
  const { file, offset } = await openLog(place)
  const child = spawn(program, [place.confPath], {
    cwd: place.dir,
    // A process group of its own: Ctrl-C at the terminal is for the command, which stops the server when it is done with it.
    detached: true,
    // A file, not a pipe: the server outlives a command that is killed.
    stdio: ['ignore', file.fd, file.fd],
  })
  let ended: string | undefined
  child.once('error', (error) => {
    ended = error.message
  })
  child.once('exit', () => {
    ended ??= ''
  })
  child.unref()
  await file.close()
  const ready = async (): Promise<RunningServer | 'taken' | undefined> => {
    if (ended !== undefined) {
      const log = (await readFile(place.logPath).catch(() => Buffer.alloc(0))).subarray(offset).toString('utf8')
      if (/Address already in use/i.test(log)) return 'taken'
      throw startFailure(ended || whyIn(log))
    }
    const answer = await probe(conf, place.confPath)
    if (answer.kind !== 'ours' || answer.loading || answer.pid !== child.pid) return undefined
    const identity = await processIdentity(answer.pid)
    return identity && { identity, conf, version: answer.version }
  }
  const fix = `See ${place.logPath}.`
  const started = await until(ready, { timeoutMs, intervalMs: 10, clock, what: 'The start of the private Redis', fix })
  return started === 'taken' ? undefined : started
}

const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name)
  } catch {
    // It is gone already.
  }
}

/** Ends the server: in order, with everything on disk (SIGTERM); only one that hangs is killed. */
export const stopServer = async (identity: ProcessIdentity, clock: Clock, timeoutMs = 10_000): Promise<void> => {
  for (const name of ['SIGTERM', 'SIGKILL'] as const) {
    signal(identity.pid, name)
    const gone = await until(async () => !(await isAlive(identity)), { timeoutMs, intervalMs: 10, clock }).catch(() => false)
    if (gone) return
  }
}
