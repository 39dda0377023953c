import { rmSync } from 'node:fs'
import { join } from 'node:path'
import BetterSqlite, { type Database } from 'better-sqlite3'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { introspect } from '../../sqlite/introspect.js'
import { makeSqlite } from '../../testing/make-sqlite.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { propertyRuns } from '../../testing/property-runs.js'
import { useFolder } from '../../testing/use-folder.js'
import { exportMove } from '../export/export-move.js'
import type { MovePlan, TablePlan } from '../move.js'
import { type AnyFile, anyChoices, anyFile, createTable, writeFile } from '../quirks/any-file.js'
import { moveFile } from '../quirks/run-quirk.js'
import { quoteSqlite } from '../row-source.js'
import { goesBackExactly } from './create-inverter.js'

const folder = useFolder('invert')
const database = useDatabase()
const client = useClient(database)
let runs = 0

const parameters = propertyRuns(6, 2000)

/** Rows as bytes and classes, sorted; only the columns that go back exactly. */
const rowsOf = (db: Database, plan: TablePlan, sources: readonly string[], without: ReadonlySet<string>): string[] => {
  const cells = sources.map((name) => {
    const column = quoteSqlite(name)
    return `typeof(${column}) || ':' || CASE typeof(${column}) WHEN 'text' THEN hex(CAST(${column} AS BLOB)) ELSE quote(${column}) END`
  })
  const names = plan.reportKey.map(quoteSqlite)
  const rows = db
    .prepare(`SELECT ${[...cells, ...names].join(', ') || 'NULL'} FROM ${quoteSqlite(plan.source)}`)
    .raw(true)
    .safeIntegers(true)
    .all() as unknown[][]
  return rows
    .filter((row) => without.size === 0 || !without.has(String(row.slice(sources.length).join(','))))
    .map((row) => row.slice(0, sources.length).join(' '))
    .sort()
}

/** What every value becomes on its way to Postgres and back, beside what it was. */
const thereAndBack = async (file: AnyFile, choices: object | undefined) => {
  const path = makeSqlite(join(folder, `${++runs}.db`), (writer) => writeFile(writer, file))
  const outPath = join(folder, `${runs}.out.db`)
  const schema = `i${runs}`
  const target = { url: database.url }
  const { plan, copy } = await moveFile({ folder, path, schema, target, choices })
  const report = await exportMove({ run: { id: copy.runId, path, plan }, target, outPath })
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
  return { path, outPath, plan, copy, report }
}

const exactColumns = (db: Database, plan: MovePlan, table: TablePlan): readonly string[] => {
  const own = introspect(db).tables.find(({ name }) => name === table.source)!
  return plan.tables
    .find(({ source }) => source === table.source)!
    .columns.filter((column) => goesBackExactly(column, own))
    .map(({ source }) => source)
}

describe('R90: every file', () => {
  const check = async (file: AnyFile, choices: object | undefined): Promise<void> => {
    const { path, outPath, plan, copy, report } = await thereAndBack(file, choices)
    const [before, after] = [new BetterSqlite(path), new BetterSqlite(outPath)]
    const told = `${file.tables.map(createTable).join('; ')}\n${JSON.stringify(choices)}`
    try {
      expect(after.pragma('encoding', { simple: true })).toBe(file.encoding)
      for (const table of plan.tables) {
        const counts = copy.tables.find((each) => each.table === table.source)!
        const exported = report.tables.find((each) => each.table === table.source)!
        expect(exported.rows + exported.refused, told).toBe(counts.copied)
        // Which rows were left out is known by their keys alone; where some were, the rest is counted only.
        if (counts.rejected > 0 || exported.refused > 0) continue
        const sources = exactColumns(before, plan, table)
        const rows = (db: Database) => rowsOf(db, table, sources, new Set())
        expect(rows(after), `${told}\n${JSON.stringify(report.differences)}`).toEqual(rows(before))
      }
    } finally {
      before.close()
      after.close()
      rmSync(path, { force: true })
      rmSync(outPath, { force: true })
    }
  }

  it('comes back byte for byte where its columns can be inverted', async () => {
    await fc.assert(
      fc.asyncProperty(anyFile, (file) => check(file, undefined)),
      parameters,
    )
  }, 600_000)

  it('comes back byte for byte under any choices, but for what they change', async () => {
    const arbitrary = anyFile.chain((file) => fc.tuple(fc.constant(file), anyChoices(file)))
    await fc.assert(
      fc.asyncProperty(arbitrary, ([file, choices]) => check(file, choices)),
      parameters,
    )
  }, 600_000)
})
