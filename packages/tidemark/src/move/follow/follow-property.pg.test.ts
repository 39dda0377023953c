import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Database } from 'better-sqlite3'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { propertyRuns } from '../../testing/property-runs.js'
import {
  type AnyFile,
  type AnyTable,
  type AnyValue,
  anyChoices,
  anyFile,
  bindAny,
  createTable,
  isRaw,
} from '../quirks/any-file.js'
import { type AnyTarget, anyTarget } from '../quirks/any-target.js'
import { dishonesties } from '../quirks/honesty.js'
import { lookPlainly } from '../quirks/run-quirk.js'
import { type FollowedFile, followedFile } from './testing/followed-file.js'
import { useFollowedFiles } from './testing/use-followed-files.js'

const files = useFollowedFiles()
const parameters = propertyRuns(8, 4500)

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** One step of the application or of the follower. `row` and `other` are rows of the table as it was drawn. */
interface Step {
  readonly kind:
    | 'insert'
    | 'replace'
    | 'update'
    | 'updateOrReplace'
    | 'delete'
    | 'deleteAll'
    | 'tick'
    | 'restart'
    | 'vacuum'
    | 'rebuild'
  readonly table: number
  readonly row: number
  readonly other: number
  readonly column: number
  /** Together with the next one, in one transaction. */
  readonly joined: boolean
}

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    kind: fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom('insert', 'replace', 'update', 'updateOrReplace', 'delete') },
      { weight: 3, arbitrary: fc.constant('tick') },
      { weight: 1, arbitrary: fc.constantFrom('deleteAll', 'restart', 'vacuum', 'rebuild') },
    ) as fc.Arbitrary<Step['kind']>,
    table: fc.nat({ max: 1 }),
    row: fc.nat({ max: 24 }),
    other: fc.nat({ max: 24 }),
    column: fc.nat({ max: 5 }),
    joined: fc.boolean(),
  }),
  { maxLength: 60, size: 'max' },
)

const mark = (value: AnyValue): string => (isRaw(value) ? 'CAST(? AS TEXT)' : '?')

class Application {
  readonly #app: Database
  readonly #file: AnyFile

  constructor(app: Database, file: AnyFile) {
    this.#app = app
    this.#file = file
  }

  /** NULL in a key is not made: rows that only that tells apart are printed alike. */
  #isNullKey(table: AnyTable, values: readonly AnyValue[], from = 0): boolean {
    return table.kind === 'key' && values.some((value, i) => value === null && i + from < table.keyWidth)
  }

  #run(sql: string, values: readonly AnyValue[]): void {
    try {
      this.#app.prepare(sql).run(...values.map((value) => bindAny(value, this.#file.encoding)))
    } catch (error) {
      // The application's own constraints refuse it, or its numbers are used up ("disk is full"); a broken trigger of ours would be told otherwise.
      if (!/constraint failed|datatype mismatch|cannot store|generated column|disk is full/.test(String(error))) throw error
    }
  }

  write(step: Step): void {
    const table = this.#file.tables[step.table % this.#file.tables.length]!
    if (table.rows.length === 0) return
    const row = table.rows[step.row % table.rows.length]!
    const other = table.rows[step.other % table.rows.length]!
    const at = step.column % table.columns.length
    const name = quoted(table.name)
    const where = `WHERE ${quoted(table.columns[0]!.name)} IS ${mark(row[0]!)}`
    if (step.kind === 'insert' || step.kind === 'replace') {
      const or = step.kind === 'insert' ? 'IGNORE' : 'REPLACE'
      if (!this.#isNullKey(table, row)) this.#run(`INSERT OR ${or} INTO ${name} VALUES (${row.map(mark).join(', ')})`, row)
    } else if (step.kind === 'update' || step.kind === 'updateOrReplace') {
      const verb = step.kind === 'update' ? 'UPDATE' : 'UPDATE OR REPLACE'
      const set = `SET ${quoted(table.columns[at]!.name)} = ${mark(other[at]!)}`
      if (!this.#isNullKey(table, [other[at]!], at)) this.#run(`${verb} ${name} ${set} ${where}`, [other[at]!, row[0]!])
    } else if (step.kind === 'delete') this.#run(`DELETE FROM ${name} ${where}`, [row[0]!])
    else if (step.kind === 'deleteAll') this.#run(`DELETE FROM ${name}`, [])
    else if (step.kind === 'rebuild') this.#rebuild(table)
  }

  #rebuild(table: AnyTable): void {
    const [name, old] = [quoted(table.name), quoted(`${table.name} before`)]
    this.#app.exec(
      `ALTER TABLE ${name} RENAME TO ${old}; ${createTable(table)}; INSERT INTO ${name} SELECT * FROM ${old}; DROP TABLE ${old}`,
    )
  }
}

const play = async (file: FollowedFile, described: AnyFile, script: readonly Step[], maxBatchBytes: number): Promise<void> => {
  const application = new Application(file.app, described)
  let follow = await file.follow({ maxBatchBytes })
  for (const step of script) {
    if (step.kind === 'tick' || step.kind === 'restart') {
      if (file.app.inTransaction) file.app.exec('COMMIT')
      if (step.kind === 'tick') await follow.tick()
      else {
        await follow.close()
        follow = await file.follow({ maxBatchBytes })
      }
      continue
    }
    if (step.kind === 'vacuum') {
      if (file.app.inTransaction) file.app.exec('COMMIT')
      file.app.exec('VACUUM')
      continue
    }
    if (!file.app.inTransaction) file.app.exec('BEGIN')
    application.write(step)
    if (!step.joined) file.app.exec('COMMIT')
  }
  if (file.app.inTransaction) file.app.exec('COMMIT')
  await follow.drain()
}

/** Everything in which the two sides are not as one would say they are. */
const complaints = async (file: FollowedFile): Promise<readonly string[]> => {
  const verification = await file.verify()
  const looked = await lookPlainly({ path: file.path, target: { url: files.url } }, file.plan, file.copy.runId)
  const { rows } = await file.client.query<{ table: string; replaced: number }>(
    `SELECT table_name AS table, count(*)::int AS replaced FROM tidemark.move_rejects WHERE run_id = $1 AND outcome = 'valueReplaced' GROUP BY 1`,
    [file.copy.runId],
  )
  // The copy's own report is of another time; what it would be now follows from the record.
  const tables = file.copy.tables.map((copied) => {
    const now = verification.tables.find(({ table }) => table === copied.table)!
    const rejected = looked.noted[copied.table] ?? 0
    const replaced = rows.find(({ table }) => table === copied.table)?.replaced ?? 0
    return { ...copied, rows: now.rows, copied: now.rows - rejected, rejected, replaced }
  })
  const copy = { ...file.copy, ok: true, unallowedRejects: 0, objects: { ...file.copy.objects, failed: [] }, tables }
  return dishonesties({ plan: file.plan, copy, verification, ...looked })
}

let runs = 0

const follow = async (
  described: AnyFile,
  script: readonly Step[],
  rest: { choices?: object; into?: AnyTarget },
  bytes: number,
) => {
  const schema = `p${++runs}`
  const { into, choices } = rest
  const make = (app: Database) => {
    for (const table of described.tables) {
      app.exec(createTable(table))
      const half = table.rows.slice(0, Math.ceil(table.rows.length / 2))
      const application = new Application(app, { ...described, tables: [{ ...table, rows: half }] })
      for (const row of half.keys()) application.write({ kind: 'insert', table: 0, row, other: 0, column: 0, joined: false })
    }
  }
  if (into) await files.ask(`CREATE SCHEMA ${schema}; SET search_path TO ${schema}; ${into.sql}`)
  let file: FollowedFile | undefined
  try {
    file = await followedFile({
      folder: files.folder,
      url: files.url,
      schema,
      make,
      encoding: described.encoding,
      ...(choices && { choices }),
      ...(into && { map: into.map }),
    })
    await play(file, described, script, bytes)
    return await complaints(file)
  } finally {
    await file?.close()
    await files.ask(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
    rmSync(join(files.folder, `${schema}.db`), { force: true })
  }
}

const describeRun = (file: AnyFile, script: readonly Step[], rest: object): string =>
  [file.tables.map(createTable).join('; '), JSON.stringify(script.map((step) => Object.values(step))), JSON.stringify(rest)].join(
    '\n',
  )

const bytes = fc.constantFrom(200, 1000, 100_000)

describe('MOVE-2, MOVE-3: following any file through any statements', () => {
  it('ends with both sides the same, under the defaults', async () => {
    const property = fc.asyncProperty(anyFile, steps, bytes, async (file, script, maxBytes) => {
      expect(await follow(file, script, {}, maxBytes), describeRun(file, script, {})).toEqual([])
    })
    await fc.assert(property, parameters)
  }, 600_000)

  it('ends with both sides the same, under any choices', async () => {
    const arbitrary = anyFile.chain((file) => fc.tuple(fc.constant(file), anyChoices(file)))
    const property = fc.asyncProperty(arbitrary, steps, bytes, async ([file, choices], script, maxBytes) => {
      expect(await follow(file, script, { choices }, maxBytes), describeRun(file, script, choices)).toEqual([])
    })
    await fc.assert(property, parameters)
  }, 600_000)

  it('ends with both sides the same, into any tables that exist', async () => {
    const arbitrary = anyFile.chain((file) => fc.tuple(fc.constant(file), anyTarget(file)))
    const property = fc.asyncProperty(arbitrary, steps, bytes, async ([file, into], script, maxBytes) => {
      expect(await follow(file, script, { into }, maxBytes), describeRun(file, script, into)).toEqual([])
    })
    await fc.assert(property, parameters)
  }, 600_000)
})
