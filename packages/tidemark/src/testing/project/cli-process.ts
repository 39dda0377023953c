/** The built executable in processes of its own; a command that only has to be run is called by cli-call.ts. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from '../../time/until.js'
import { type CallOptions, type CliResult, cliEnvironment } from './cli-call.js'

const executable = fileURLToPath(new URL('../../../bin/tidemark.js', import.meta.url))

/** The built executable, running. */
export interface CliProcess {
  readonly child: ChildProcess
  readonly stdout: string
  readonly stderr: string
  /** Resolves when the process has ended and its output is complete. */
  readonly ended: Promise<CliResult>
}

/** Starts `tidemark` as a user does. */
export const startCli = (args: readonly string[], { cwd, env, input }: Omit<CallOptions, 'tty'>): CliProcess => {
  const child = spawn(process.execPath, [executable, ...args], { cwd, env: cliEnvironment(env), stdio: ['pipe', 'pipe', 'pipe'] })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text
  })
  child.stdin.on('error', () => undefined).end(input ?? '')
  const ended = once(child, 'close').then(([code]) => ({ exitCode: Number(code ?? -1), ...output }))
  return {
    child,
    ended,
    get stdout() {
      return output.stdout
    },
    get stderr() {
      return output.stderr
    },
  }
}

/** Waits until the server answers `/health` with 200, and gives its URL: the one its JSON banner names. What it said is part of the error. */
export const untilServing = async (server: CliProcess, timeoutMs = 60_000): Promise<string> => {
  const said = (): string => `${server.stdout}\n${server.stderr}`
  const serving = async (): Promise<string | undefined> => {
    if (server.child.exitCode !== null) throw new Error(`it ended with ${server.child.exitCode}:\n${said()}`)
    const { url } = server.stdout.trimEnd().endsWith('}') ? (JSON.parse(server.stdout) as { url: string }) : { url: undefined }
    const answer = url === undefined ? undefined : await fetch(`${url}/health`).catch(() => undefined)
    return answer?.status === 200 ? url : undefined
  }
  return until(serving, { timeoutMs, what: 'The start of the server' }).catch((cause: unknown) => {
    throw new Error(`the server did not start: ${said()}`, { cause })
  })
}

/** A project folder of its own; remove it with `remove` when nothing runs in it any more. */
export const createProjectFolder = async (): Promise<{ readonly dir: string; remove(): Promise<void> }> => {
  const dir = await mkdtemp(join(tmpdir(), 'tidemark-e2e-'))
  // As root the embedded Postgres runs as another user, who has to find its way through the folder.
  await chmod(dir, 0o755)
  return { dir, remove: () => rm(dir, { recursive: true, force: true, maxRetries: 5 }) }
}
