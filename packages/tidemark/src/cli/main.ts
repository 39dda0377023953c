import { type Command, CommanderError } from 'commander'
import { exitCodes } from '../errors.js'
import { createContext, type GlobalFlags } from './context.js'
import { reportFailure } from './failure.js'
import { createProgram } from './program.js'
import { createInterrupt } from './terminal/interrupt.js'
import { createTerminal, type Io, processIo } from './terminal/terminal.js'

/** Help was asked for and printed, or there is nothing to do without a command. */
const isAnswered = (error: unknown): boolean =>
  error instanceof CommanderError && ['commander.helpDisplayed', 'commander.help', 'commander.version'].includes(error.code)

/** The command that a line names, however wrong the rest of it is: `tidemark move copy`. */
const commandNamed = (program: Command, args: readonly string[]): string => {
  let command = program
  for (const arg of args) command = command.commands.find((candidate) => candidate.name() === arg) ?? command
  const names: string[] = []
  for (let at: Command | null = command; at; at = at.parent) names.unshift(at.name())
  return names.join(' ')
}

/** Output flags as they were typed: they count even where the rest of the line cannot be parsed. */
const typedFlags = (args: readonly string[]): GlobalFlags => {
  const end = args.indexOf('--')
  const typed = new Set(end < 0 ? args : args.slice(0, end))
  return {
    json: typed.has('--json'),
    quiet: typed.has('--quiet') || typed.has('-q'),
    verbose: typed.has('--verbose') || typed.has('-v'),
    color: !typed.has('--no-color'),
  }
}

export interface MainOptions {
  /** Where SIGINT and SIGTERM come from. Default: the process. */
  readonly signals?: NodeJS.EventEmitter
  /** What a second signal calls. Default: `process.exit`. */
  readonly exit?: (code: number) => void
}

/** Runs one command line and gives its exit code. Nothing is thrown. */
export const main = async (
  args: readonly string[],
  io: Io,
  { signals = process, exit = process.exit }: MainOptions = {},
): Promise<number> => {
  const terminal = createTerminal(io, typedFlags(args))
  const interrupt = createInterrupt(signals, exit)
  let exitCode: number = exitCodes.ok
  const program = createProgram(io, async (flags, run) => {
    exitCode = (await run(createContext(io, terminal, interrupt, flags))) ?? exitCodes.ok
  })
  try {
    await program.parseAsync([...args], { from: 'user' })
    return exitCode
  } catch (error) {
    if (isAnswered(error)) return (error as CommanderError).exitCode === 0 ? exitCodes.ok : exitCodes.usage
    // What an operation raises after an interrupt is often only its echo.
    return reportFailure(interrupt.signal.aborted ? interrupt.signal.reason : error, terminal, commandNamed(program, args))
  } finally {
    interrupt.release()
  }
}

const flushed = (stream: NodeJS.WriteStream): Promise<void> => new Promise((resolve) => stream.write('', () => resolve()))

/** What the executable calls: runs the process's own command line and ends the process. */
export const run = async (): Promise<void> => {
  // The reader of a pipe may leave early (`| head`); that is not an error of ours.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(exitCodes.ok)
      throw error
    })
  }
  const code = await main(process.argv.slice(2), processIo())
  await Promise.all([flushed(process.stdout), flushed(process.stderr)])
  process.exit(code)
}
