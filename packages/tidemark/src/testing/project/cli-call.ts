/** Commands in the process of the tests: what `tidemark` does, without a process that loads all of it for each call. */
import { EventEmitter } from 'node:events'
import { PassThrough } from 'node:stream'
import { main } from '../../cli/main.js'
import type { Io } from '../../cli/terminal/terminal.js'

export interface CallOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** What is typed, all at once. */
  readonly input?: string
  /** Whether a person sits there. Default false. */
  readonly tty?: boolean
}

export interface CliResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

export interface CliCall {
  /** Where it hears of Ctrl-C. */
  readonly signals: EventEmitter
  /** What a second signal ended it with. */
  readonly exits: readonly number[]
  readonly stdout: string
  readonly stderr: string
  readonly ended: Promise<CliResult>
}

/** Only what a command needs, so that the settings of whoever runs the tests decide nothing. */
export const cliEnvironment = (env: CallOptions['env']): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  HOME: process.env['HOME'] ?? '',
  ...env,
})

const collected = (tty: boolean) => {
  let text = ''
  const stream = Object.assign(new PassThrough(), { isTTY: tty, columns: 90 })
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  return { stream, text: () => text }
}

/** Begins a command line, with streams of its own. */
export const startCall = (args: readonly string[], { cwd, env, input, tty = false }: CallOptions): CliCall => {
  const stdin = Object.assign(new PassThrough(), { isTTY: tty })
  const [stdout, stderr] = [collected(tty), collected(tty)]
  if (input !== undefined || !tty) stdin.end(input ?? '')
  const signals = new EventEmitter()
  const exits: number[] = []
  const io = { stdin, stdout: stdout.stream, stderr: stderr.stream, cwd, env: cliEnvironment(env) } as unknown as Io
  const ended = main(args, io, { signals, exit: (code) => exits.push(code) }).then(async (exitCode) => {
    // Streams hand their last chunk on in the next turn.
    await new Promise((resolve) => setImmediate(resolve))
    return { exitCode, stdout: stdout.text(), stderr: stderr.text() }
  })
  return {
    signals,
    exits,
    ended,
    get stdout() {
      return stdout.text()
    },
    get stderr() {
      return stderr.text()
    },
  }
}

/** Runs a command line to its end. */
export const runCli = (args: readonly string[], options: CallOptions): Promise<CliResult> => startCall(args, options).ended
