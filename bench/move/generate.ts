// Writes the SQLite file that the benchmarks copy, or finds the one that an earlier run has written.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { count, main, parseOptions } from '../../scripts/options.ts'
import { createRandom } from '../measuring/random.ts'
import { rowsOf } from './rows.ts'
import { benchTables, rowCounts, sqliteSchema } from './tables.ts'

export const defaultRows = 2_000_000
const seed = 20_260_101

export interface GenerateOptions {
  /** Rows of all tables together. */
  readonly rows: number
  /** Where the file is kept. Default: the system's folder for temporary files. */
  readonly folder?: string
  /** Told in a sentence what happens. */
  readonly log?: (message: string) => void
}

/** Names the file after everything that shapes it, so that a changed generator never meets an old file. */
const versionOf = (rows: number): string => {
  const hash = createHash('sha256').update(`${seed} ${rows}`)
  for (const name of ['generate.ts', '../measuring/random.ts', 'rows.ts', 'tables.ts'])
    hash.update(readFileSync(new URL(name, import.meta.url)))
  return hash.digest('hex').slice(0, 12)
}

const removeWithJournals = (path: string): void => {
  for (const suffix of ['', '-journal', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true })
}

const fill = (path: string, rows: number): void => {
  const database = new Database(path)
  try {
    database.pragma('journal_mode = OFF')
    database.pragma('synchronous = OFF')
    const counts = rowCounts(rows)
    for (const [index, table] of benchTables.entries()) {
      const { create, indexes } = sqliteSchema(table)
      database.exec(create)
      const insert = database.prepare(`INSERT INTO "${table.name}" VALUES (${table.columns.map(() => '?').join(', ')})`)
      database.transaction(() => {
        for (const row of rowsOf(table.name, createRandom(seed + index), counts)) insert.run(row)
      })()
      for (const sql of indexes) database.exec(sql)
    }
    // What a live application's file would be.
    database.pragma('journal_mode = WAL')
  } finally {
    database.close()
  }
}

/** The path of the file; writing it takes about ten seconds per million rows, once. */
export const generate = ({ rows, folder = tmpdir(), log = () => undefined }: GenerateOptions): string => {
  const path = join(folder, `tidemark-bench-${versionOf(rows)}.db`)
  if (existsSync(path)) return path
  log(`writing ${rows.toLocaleString('en')} rows to ${path}`)
  const partial = `${path}.${process.pid}.partial`
  removeWithJournals(partial)
  try {
    fill(partial, rows)
    // Of a file that somebody removed; a journal that is left belongs to no other.
    removeWithJournals(path)
    renameSync(partial, path)
  } finally {
    removeWithJournals(partial)
  }
  return path
}

const usage = `npx jiti bench/move/generate.ts [--rows <n>]   writes the file, or finds it, and prints its path`

/** The bounds of --rows wherever it is an option. */
export const rowsOption = { default: defaultRows, min: 1_000, max: 100_000_000 } as const

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(async () => {
    const { rows } = parseOptions(usage, { rows: { type: 'string' } })
    console.log(generate({ rows: count('rows', rows, rowsOption), log: (message) => console.error(message) }))
    return true
  })
}
