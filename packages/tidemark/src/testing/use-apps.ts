/** Applications in processes of their own, ended when the tests of a file have ended. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { afterAll } from 'vitest'

export interface TestApp {
  readonly child: ChildProcess
  readonly url: string
}

export interface AppOptions {
  readonly cwd: string
  /** Its whole environment, with PATH and a port of its own. */
  readonly env: Readonly<Record<string, string>>
}

/** Longer than a start takes on the slowest machine. */
const startTimeoutMs = 120_000

/** The end of what it wrote to standard error is why a program did not start. */
const toldChars = 2_000

/** The line in which it tells its address. Raises with what it said where it ends without one. */
const addressOf = (child: ChildProcess, program: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let said = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      process.stderr.write(text)
      said = (said + text).slice(-toldChars)
    })
    const fail = (how: string) => reject(new Error(`${program} ${how}${said === '' ? '.' : `:\n${said}`}`))
    const timer = setTimeout(() => fail('did not tell its address in time'), startTimeoutMs)
    child.once('error', ({ message }) => fail(`could not be started (${message})`))
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      fail(`ended with ${signal ?? code} before it told its address`)
    })
    createInterface({ input: child.stdout! }).on('line', (line) => {
      if (!line.startsWith('{"url"')) return
      clearTimeout(timer)
      resolve((JSON.parse(line) as { url: string }).url)
    })
  })

/** Starts a program and waits for the line in which it tells its address: a JSON object that begins with `url`. */
export const useApps = (): ((program: string, options: AppOptions) => Promise<TestApp>) => {
  const running: ChildProcess[] = []
  afterAll(async () => {
    for (const child of running) {
      child.kill('SIGTERM')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'close')
    }
  })
  return async (program, { cwd, env }) => {
    const whole = { PATH: process.env['PATH'], PORT: '0', ...env }
    const child = spawn(process.execPath, [program], { cwd, env: whole, stdio: ['ignore', 'pipe', 'pipe'] })
    running.push(child)
    return { child, url: await addressOf(child, program) }
  }
}
