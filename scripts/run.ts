import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { root } from './repository.ts'

/** Runs a command at the root with its output passed on, and gives its exit code. A signal that ended it counts as shells count it. */
export const run = (command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<number> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] })
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)))
  })
