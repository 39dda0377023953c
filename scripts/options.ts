import { type ParseArgsConfig, parseArgs } from 'node:util'

/** Said to the user as it is, without a stack. */
export class UsageError extends Error {}

/** Parses the command line; `--help` prints the usage and ends the process. */
export const parseOptions = (
  usage: string,
  options: NonNullable<ParseArgsConfig['options']>,
): Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>> => {
  try {
    const { values } = parseArgs({ options: { ...options, help: { type: 'boolean', short: 'h' } } })
    if (values['help'] !== true) return values
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n\n${usage}`)
  }
  console.log(usage)
  process.exit(0)
}

/** A whole number within bounds. Underscores may separate its digits. */
export const count = (
  name: string,
  text: unknown,
  { default: preset, min, max }: { readonly default: number; readonly min: number; readonly max: number },
): number => {
  if (text === undefined) return preset
  const value = /^\d[\d_]*$/.test(String(text)) ? Number(String(text).replaceAll('_', '')) : Number.NaN
  if (value >= min && value <= max) return value
  throw new UsageError(`--${name} is "${text}", and has to be a whole number from ${min} to ${max}.`)
}

/** Runs to a verdict. Exit code 0: all is well, 1: it is not, or a failure, 2: usage. */
export const toVerdict = async (run: () => Promise<boolean>): Promise<void> => {
  try {
    process.exitCode = (await run()) ? 0 : 1
  } catch (error) {
    console.error(error instanceof UsageError ? error.message : error)
    process.exitCode = error instanceof UsageError ? 2 : 1
  }
}

/** Waits for work until the signal is aborted, and rejects then: whoever began something ends it in a `finally`. */
export const interruptible = <T>(signal: AbortSignal, work: Promise<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    const interrupt = (): void => reject(signal.reason)
    if (signal.aborted) interrupt()
    signal.addEventListener('abort', interrupt, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', interrupt))
  })

/** The same with SIGINT and SIGTERM as an orderly end (130). */
export const main = async (run: (signal: AbortSignal) => Promise<boolean>): Promise<void> => {
  const abort = new AbortController()
  const interrupt = (): void => abort.abort(new UsageError('interrupted'))
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  await toVerdict(() => run(abort.signal))
  // What was given up may still wait for something.
  if (abort.signal.aborted) process.exit(130)
}
