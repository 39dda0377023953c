/** The command line of programs that fill an application's tables with rows that are made up. */
import { parseArgs } from 'node:util'
import { type Client, createNamedPool } from '../../postgres/postgres.js'
import { wholeNumber } from './file-command.js'

export type FillOptions<N extends string> = Readonly<Record<N, number>> & {
  /** Nothing is later. */
  readonly until: Date
}

export interface FillCommand<N extends string> {
  /** Printed behind what is wrong with the options; ends with a line break. */
  readonly usage: string
  /** Options that take a whole number above 0, with their defaults. */
  readonly numbers: Readonly<Record<N, number>>
  /** In one transaction of the owner of the tables. What it gives is printed as JSON. */
  readonly fill: (db: Client, options: FillOptions<N>) => Promise<unknown>
}

const optionsOf = <N extends string>(argv: readonly string[], numbers: Readonly<Record<N, number>>) => {
  const names = Object.keys(numbers) as N[]
  const { OWNER_DATABASE_URL, DATABASE_URL = '' } = process.env
  const text = (value: string) => ({ type: 'string' as const, default: value })
  const { values } = parseArgs({
    args: [...argv],
    options: {
      ...Object.fromEntries(names.map((name) => [name, text(String(numbers[name]))])),
      database: text(OWNER_DATABASE_URL ?? DATABASE_URL),
      until: text(new Date().toISOString()),
    },
  })
  const { database, until: moment, ...given } = values
  const until = new Date(moment)
  if (database === '') throw new Error('name the database')
  if (Number.isNaN(until.getTime())) throw new Error('--until takes a time')
  const counts = names.map((name) => [name, wholeNumber(given, name, 1)])
  return { database, options: { ...Object.fromEntries(counts), until } as FillOptions<N> }
}

const said = (error: unknown): string => `${(error as Error).message}\n`

/**
 * Runs it: `--database` (default: OWNER_DATABASE_URL, then DATABASE_URL), `--until` (default: now) and the numbers. Answers with the exit code:
 * 2 for options that cannot be, 1 where the database refuses it.
 */
export const runFillCommand = async <N extends string>(
  argv: readonly string[],
  { usage, numbers, fill }: FillCommand<N>,
): Promise<number> => {
  let given: ReturnType<typeof optionsOf<N>>
  try {
    given = optionsOf(argv, numbers)
  } catch (error) {
    process.stderr.write(said(error) + usage)
    return 2
  }
  const pool = createNamedPool('migration', { url: given.database, pools: { migration: { minConnections: 0 } } })
  try {
    console.log(JSON.stringify(await pool.transaction((db) => fill(db, given.options))))
    return 0
  } catch (error) {
    process.stderr.write(said(error))
    return 1
  } finally {
    await pool.stop()
  }
}
