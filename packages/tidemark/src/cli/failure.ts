import { CommanderError } from 'commander'
import { reasonOf, TidemarkError, toTidemarkError } from '../errors.js'
import { maskSecrets } from '../secrets.js'
import type { Colors, Terminal } from './terminal/terminal.js'

/** What commander says, without its own prefix, and its "did you mean" as a sentence. */
const usageReason = (message: string): string =>
  message.replace(/^error: /, '').replace(/\n\(Did you mean (.*)\?\)/s, '. Did you mean $1?')

/** Anything a command threw as one of our errors. */
export const toFailure = (error: unknown, command: string): TidemarkError =>
  error instanceof CommanderError
    ? new TidemarkError('TM_CLI_USAGE', { reason: usageReason(error.message), command })
    : toTidemarkError(error)

const causesOf = (error: unknown): unknown[] => {
  const causes: unknown[] = []
  for (let at = error; at instanceof Error && at.cause !== undefined && causes.length < 10; at = at.cause) causes.push(at.cause)
  return causes
}

const details = (failure: TidemarkError): string[] => {
  const causes = causesOf(failure).map((cause) => `  because: ${reasonOf(cause)}`)
  const deepest = causesOf(failure).at(-1) ?? failure
  const stack = deepest instanceof Error ? (deepest.stack ?? '').split('\n').slice(1) : []
  return [...causes, ...stack].map(maskSecrets)
}

/** What, what to do, and the code to look up. */
export const renderFailure = (failure: TidemarkError, colors: Colors, verbose: boolean): string => {
  const lines = [
    `${colors.red('✗')} ${colors.bold(failure.message)}`,
    `  ${failure.fix}`,
    `  ${colors.dim(`${failure.code} · docs/errors.md`)}`,
  ]
  if (verbose) lines.push(...details(failure).map((line) => colors.dim(line)))
  return lines.join('\n')
}

/** Prints the failure where the caller looks for it, and gives the exit code. */
export const reportFailure = (error: unknown, terminal: Terminal, command: string): number => {
  const failure = toFailure(error, command)
  if (terminal.json) {
    terminal.result({ error: failure.toJSON() }, () => '')
    if (terminal.verbose) terminal.detail(details(failure).join('\n'))
  } else {
    terminal.stderr.write(`${renderFailure(failure, terminal.colors, terminal.verbose)}\n`)
  }
  return failure.exitCode
}
