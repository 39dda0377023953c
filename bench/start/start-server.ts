import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { get } from 'node:http'
import { acquirePort } from '../../packages/tidemark/dist/state/state.js'
import { residentBytes } from '../measuring/process-memory.ts'

/** From the start of the process, in milliseconds. */
export interface StartTiming {
  /** The first 200 of /livez: it answers. */
  readonly livezMs: number
  /** The first 200 of /health: it answers, and Postgres with it. */
  readonly healthMs: number
  /** The banner: on the first run the sample is moved and verified by then. */
  readonly bannerMs: number
}

const statusOf = (url: string): Promise<number | undefined> =>
  new Promise((resolve) => {
    const request = get(url, { agent: false, timeout: 5_000 }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(undefined))
  })

/** Asking takes from the same processor that the server starts on. */
const everyMs = 10
const timeoutMs = 120_000

interface Started {
  readonly child: ChildProcess
  /** The moment of the spawn. */
  readonly at: number
  failure(): string | undefined
}

/** Asks until the answer is 200. */
const firstSuccess = async (url: string, { at, failure }: Started, signal: AbortSignal): Promise<number> => {
  for (;;) {
    if ((await statusOf(url)) === 200) return performance.now() - at
    signal.throwIfAborted()
    const reason = failure() ?? (performance.now() - at > timeoutMs ? `it took longer than ${timeoutMs / 1000} s` : undefined)
    if (reason !== undefined) throw new Error(`${url} was never answered with 200: ${reason}`)
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}

const start = (args: readonly string[], cwd: string, port: number): Started => {
  // Only what a server needs: the settings of whoever measures decide nothing.
  const env = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', PORT: String(port) }
  const at = performance.now()
  const child = spawn(process.execPath, [...args, '--json'], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = `${said}${text}`.slice(-2_000)
  })
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null
  return { child, at, failure: () => (ended() ? `it ended with ${child.exitCode ?? child.signalCode}:\n${said}` : undefined) }
}

/** With --json the only thing on stdout is the banner's data. */
const banner = async ({ child, at, failure }: Started): Promise<number> => {
  await Promise.race([once(child.stdout!, 'data'), once(child, 'exit')])
  const ms = performance.now() - at
  const reason = failure()
  if (reason !== undefined) throw new Error(`the server never said that it is ready: ${reason}`)
  child.stdout!.resume()
  return ms
}

const stop = async ({ child }: Started): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}

/** How long a server that nobody asks anything is left alone before its memory is looked at. */
const idleMs = 3_000

/** Resident memory of the server's own process, without that of Postgres, when it is ready and idle. */
export const idleMemory = async (args: readonly string[], cwd: string, signal: AbortSignal): Promise<number | undefined> => {
  const port = await acquirePort()
  signal.throwIfAborted()
  const started = start(args, cwd, port)
  try {
    await Promise.all([firstSuccess(`http://127.0.0.1:${port}/health`, started, signal), banner(started)])
    await new Promise((resolve) => setTimeout(resolve, idleMs))
    return residentBytes(started.child.pid!)
  } finally {
    await stop(started)
  }
}

/** Starts the server in that folder, waits until everything is there, and stops it in good order. */
export const timeStart = async (args: readonly string[], cwd: string, signal: AbortSignal): Promise<StartTiming> => {
  const port = await acquirePort()
  signal.throwIfAborted()
  const started = start(args, cwd, port)
  try {
    const url = `http://127.0.0.1:${port}`
    const requests = async () => {
      const livezMs = await firstSuccess(`${url}/livez`, started, signal)
      return { livezMs, healthMs: await firstSuccess(`${url}/health`, started, signal) }
    }
    const [answered, bannerMs] = await Promise.all([requests(), banner(started)])
    return { ...answered, bannerMs }
  } finally {
    await stop(started)
  }
}
