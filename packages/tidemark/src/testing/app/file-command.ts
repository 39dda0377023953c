/** The command line of programs that write a SQLite file with rows that are made up. */
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { reasonOf } from '../../errors.js'

export type FileCommandValues = Readonly<Record<string, unknown>>

export interface FileCommand {
  /** Printed behind what is wrong with the options; ends with a line break. */
  readonly usage: string
  readonly options: NonNullable<ParseArgsConfig['options']>
  /** What it gives is printed behind the file's name. Raises where the options, or the file, cannot be. */
  readonly write: (path: string, values: FileCommandValues) => string
}

/** The whole number that an option has. Raises where it is none, or less than `least`. */
export const wholeNumber = (values: FileCommandValues, name: string, least = Number.MIN_SAFE_INTEGER): number => {
  const number = Number(values[name])
  if (Number.isInteger(number) && number >= least) return number
  throw new Error(`--${name} takes a whole number${least === 1 ? ' above 0' : ''}`)
}

/** Runs it for the one file that is named. Answers with the exit code: 2 where it could not be written. */
export const runFileCommand = (argv: readonly string[], { usage, options, write }: FileCommand): number => {
  try {
    const { values, positionals } = parseArgs({ args: [...argv], allowPositionals: true, options })
    const [path, ...rest] = positionals
    if (path === undefined || rest.length > 0) throw new Error('name one file')
    process.stdout.write(`${path}: ${write(path, values)}\n`)
    return 0
  } catch (error) {
    process.stderr.write(`${reasonOf(error)}\n${usage}`)
    return 2
  }
}

/** Whether the module of that `import.meta.url` is what was started, and not only imported. */
export const isStarted = (moduleUrl: string): boolean => {
  const [, started] = process.argv
  return started !== undefined && realpathSync(started) === fileURLToPath(moduleUrl)
}
