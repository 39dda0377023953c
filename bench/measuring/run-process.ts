import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type MemoryPeak, watchMemory } from './process-memory.ts'

export interface RunOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  readonly signal: AbortSignal
  /** Longest time that it may take. Default: 30 minutes. */
  readonly timeoutMs?: number
}

export interface RunResult {
  /** From the call to the end of the process. */
  readonly wallMs: number
  /** Null where a signal ended it. */
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
  readonly memory: MemoryPeak | undefined
}

const collect = (stream: NodeJS.ReadableStream): { text(): string } => {
  const parts: Buffer[] = []
  stream.on('data', (part: Buffer) => parts.push(part))
  return { text: () => Buffer.concat(parts).toString('utf8') }
}

/** Runs a program to its end and measures it. Raises where it cannot be started or the signal is raised, not where it fails. */
export const runProcess = (command: string, args: readonly string[], options: RunOptions): Promise<RunResult> =>
  new Promise((resolve, reject) => {
    const { cwd, env = process.env, signal, timeoutMs = 1_800_000 } = options
    signal.throwIfAborted()
    const started = performance.now()
    const child = spawn(command, args, { ...(cwd !== undefined && { cwd }), env, stdio: ['ignore', 'pipe', 'pipe'] })
    const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)]
    const memory = child.pid === undefined ? undefined : watchMemory(child.pid)
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    // An interrupt lets the program clean up; what it leaves behind goes with the database.
    const interrupt = (): void => void child.kill('SIGTERM')
    signal.addEventListener('abort', interrupt, { once: true })
    let wallMs = 0
    child.once('exit', () => {
      wallMs = performance.now() - started
    })
    const end = (): MemoryPeak | undefined => {
      clearTimeout(timer)
      signal.removeEventListener('abort', interrupt)
      return memory?.stop()
    }
    child.once('error', (error) => {
      end()
      reject(error)
    })
    child.once('close', (exitCode) => {
      const peak = end()
      if (signal.aborted) reject(signal.reason)
      else resolve({ wallMs, exitCode, stdout: stdout.text(), stderr: stderr.text(), memory: peak })
    })
  })

/** The last lines of what a program said, for a failure. */
export const lastWords = ({ stdout, stderr }: RunResult): string =>
  (stderr.trim() || stdout.trim()).split('\n').slice(-5).join('\n')

/** The path of a program on PATH. */
export const findProgram = (name: string): string | undefined =>
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
