import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { generate } from './generate.ts'
import { benchTables, rowCounts } from './tables.ts'

const rows = 3_000
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-test-'))
})

afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

const hashOf = async (path: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex')

describe('the generated file', () => {
  it('is the same every time, and is written once', async () => {
    const told: string[] = []
    const options = { rows, folder, log: (message: string) => told.push(message) }
    const path = generate(options)
    const first = await hashOf(path)
    expect(generate(options)).toBe(path)
    expect(told).toHaveLength(1)
    await rm(path)
    expect(await hashOf(generate(options))).toBe(first)
    expect((await readdir(folder)).filter((name) => !name.endsWith('.db'))).toEqual([])
  })

  it('has the rows it should have, and no broken reference', () => {
    const database = new Database(generate({ rows, folder }), { readonly: true })
    try {
      const counts = benchTables.map(
        ({ name }) => [name, database.prepare(`SELECT count(*) FROM ${name}`).pluck().get()] as const,
      )
      expect(new Map(counts)).toEqual(rowCounts(rows))
      expect(counts.reduce((sum, [, count]) => sum + Number(count), 0)).toBe(rows)
      expect(database.pragma('foreign_key_check')).toEqual([])
      expect(
        database.prepare('SELECT count(*) FROM orders WHERE id NOT IN (SELECT order_id FROM order_lines)').pluck().get(),
      ).toBe(0)
    } finally {
      database.close()
    }
  })
})
