/** The commands of a live move, as a user runs them: the built executable in processes of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { root } from '../../scripts/repository.ts'
import { lastWords, runProcess } from '../measuring/run-process.ts'

const executable = join(root, 'packages/tidemark/bin/tidemark.js')

export interface LiveCommandsOptions {
  readonly path: string
  readonly url: string
  readonly folder: string
  readonly signal: AbortSignal
}

/** What the benchmark reads of `--json` of a switch. */
export interface SwitchJson {
  readonly pauseMs: number
  readonly steps: readonly { readonly step: string; readonly elapsedMs: number }[]
}

/** A `tidemark move follow` that goes on until it is stopped. */
export interface Conductor {
  /** As Ctrl-C does. Raises where it has ended before. */
  stop(): Promise<void>
}

export interface LiveCommands {
  /** Runs `tidemark move … --json` to its end. */
  run<T>(...args: string[]): Promise<T>
  follow(): Conductor
}

const interrupted = 130

export const liveCommands = ({ path, url, folder, signal }: LiveCommandsOptions): LiveCommands => {
  // Only what a command needs: the settings of whoever measures decide nothing.
  const env = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', DATABASE_URL: url }
  return {
    run: async <T>(...args: string[]) => {
      const done = await runProcess(process.execPath, [executable, 'move', ...args, '--json'], { cwd: folder, env, signal })
      if (done.exitCode !== 0) throw new Error(`tidemark move ${args.join(' ')} ended with ${done.exitCode}:\n${lastWords(done)}`)
      return JSON.parse(done.stdout) as T
    },
    follow: () => {
      const child = spawn(process.execPath, [executable, 'move', 'follow', path, '--json'], {
        cwd: folder,
        env,
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      let said = ''
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said = `${said}${text}`.slice(-2000)
      })
      const ended = once(child, 'close') as Promise<[number | null]>
      const abort = (): void => void child.kill('SIGTERM')
      signal.addEventListener('abort', abort, { once: true })
      return {
        stop: async () => {
          signal.removeEventListener('abort', abort)
          child.kill('SIGINT')
          const [code] = await ended
          if (code !== interrupted) throw new Error(`tidemark move follow ended with ${code}:\n${said}`)
        },
      }
    },
  }
}
