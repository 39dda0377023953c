import { rmSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { makeSqlite } from '../testing/make-sqlite.js'
import { useClient, useDatabase } from '../testing/postgres/use-database.js'
import { propertyRuns } from '../testing/property-runs.js'
import { useFolder } from '../testing/use-folder.js'
import { type AnyFile, anyChoices, anyFile, createTable, writeFile } from './quirks/any-file.js'
import { type AnyTarget, anyTarget } from './quirks/any-target.js'
import { dishonesties } from './quirks/honesty.js'
import { moveFile } from './quirks/run-quirk.js'

const folder = useFolder('any')
const database = useDatabase()
const client = useClient(database)
let runs = 0

const parameters = propertyRuns(20, 2000)

const write = (file: AnyFile): string => makeSqlite(join(folder, `${++runs}.db`), (writer) => writeFile(writer, file))

const describeFile = (file: AnyFile): string => file.tables.map(createTable).join('; ')

const moveAny = async (file: AnyFile, choices: object | undefined, into?: AnyTarget) => {
  const path = write(file)
  const schema = `p${runs}`
  try {
    if (into) await client.query(`CREATE SCHEMA ${schema}; SET search_path TO ${schema}; ${into.sql}`)
    return await moveFile({ folder, path, schema, target: { url: database.url }, choices, map: into?.map })
  } finally {
    rmSync(path, { force: true })
  }
}

describe('MOVE-3: a move of any file is never silently wrong', () => {
  it('under the defaults', async () => {
    const property = fc.asyncProperty(anyFile, async (file) => {
      const moved = await moveAny(file, undefined)
      await client.query(`DROP SCHEMA IF EXISTS p${runs} CASCADE`)
      expect(dishonesties(moved), describeFile(file)).toEqual([])
      expect(moved.verification.ok).toBe(true)
    })
    await fc.assert(property, parameters)
  }, 600_000)

  it('under any choices', async () => {
    const arbitrary = anyFile.chain((file) => fc.tuple(fc.constant(file), anyChoices(file)))
    const property = fc.asyncProperty(arbitrary, async ([file, choices]) => {
      const moved = await moveAny(file, choices)
      await client.query(`DROP SCHEMA IF EXISTS p${runs} CASCADE`)
      expect(dishonesties(moved), `${describeFile(file)}\n${JSON.stringify(choices)}`).toEqual([])
      expect(moved.verification.ok).toBe(true)
    })
    await fc.assert(property, parameters)
  }, 600_000)

  it('into any tables that exist, under any map', async () => {
    const arbitrary = anyFile.chain((file) => fc.tuple(fc.constant(file), anyTarget(file)))
    const property = fc.asyncProperty(arbitrary, async ([file, into]) => {
      const moved = await moveAny(file, undefined, into)
      await client.query(`DROP SCHEMA IF EXISTS p${runs} CASCADE`)
      expect(dishonesties(moved), `${describeFile(file)}\n${into.sql}\n${JSON.stringify(into.map)}`).toEqual([])
      expect(moved.verification.ok).toBe(true)
    })
    await fc.assert(property, parameters)
  }, 600_000)
})
