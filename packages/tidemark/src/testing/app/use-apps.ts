/** Applications in processes of their own, ended when the tests of a file have ended. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll } from 'vitest'
import { programAddress } from './program-address.js'

export interface TestApp {
  readonly child: ChildProcess
  readonly url: string
}

export interface AppOptions {
  readonly cwd: string
  /** Its whole environment, with PATH and a port of its own. */
  readonly env: Readonly<Record<string, string>>
}

/** Starts a program and waits for the line in which it tells its address. Raises where it ends without one. */
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
    return { child, url: await programAddress(child, program, (text) => process.stderr.write(text)) }
  }
}
