import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from '../time/until.js'

const executable = fileURLToPath(new URL('../../bin/tidemark.js', import.meta.url))

export interface CliOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** What is typed, all at once. */
  readonly input?: string
}

export interface CliResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** The built executable, running. */
export interface CliProcess {
  readonly child: ChildProcess
  readonly stdout: string
  readonly stderr: string
  /** Resolves when the process has ended and its output is complete. */
  readonly ended: Promise<CliResult>
}

/** Only what a command needs, so that the settings of whoever runs the tests decide nothing. */
const environment = (env: CliOptions['env']): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  HOME: process.env['HOME'] ?? '',
  ...env,
})

/** Starts `tidemark` as a user does. */
export const startCli = (args: readonly string[], { cwd, env, input }: CliOptions): CliProcess => {
  const child = spawn(process.execPath, [executable, ...args], { cwd, env: environment(env), stdio: ['pipe', 'pipe', 'pipe'] })
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

/** Runs `tidemark` to its end. */
export const runCli = (args: readonly string[], options: CliOptions): Promise<CliResult> => startCli(args, options).ended

/** Waits until the server answers `/health` with 200, and gives its URL: the one its JSON banner names. */
export const untilServing = (server: CliProcess, timeoutMs = 60_000): Promise<string> =>
  until(
    async () => {
      if (server.child.exitCode !== null) throw new Error(`it ended with ${server.child.exitCode}:\n${server.stderr}`)
      const { url } = server.stdout.trimEnd().endsWith('}') ? (JSON.parse(server.stdout) as { url: string }) : { url: undefined }
      const answer = url === undefined ? undefined : await fetch(`${url}/health`).catch(() => undefined)
      return answer?.status === 200 ? url : undefined
    },
    { timeoutMs, what: 'The start of the server' },
  )

/** A project folder of its own; remove it with `remove` when nothing runs in it any more. */
export const createProjectFolder = async (): Promise<{ readonly dir: string; remove(): Promise<void> }> => {
  const dir = await mkdtemp(join(tmpdir(), 'tidemark-e2e-'))
  // As root the embedded Postgres runs as another user, who has to find its way through the folder.
  await chmod(dir, 0o755)
  return { dir, remove: () => rm(dir, { recursive: true, force: true, maxRetries: 5 }) }
}
