import { join } from 'node:path'
import BetterSqlite, { type Database } from 'better-sqlite3'
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { makeSqlite } from '../../testing/make-sqlite.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { useFolder } from '../../testing/use-folder.js'
import { copyMove } from '../copy/copy.js'
import { CopyWriter } from '../copy/copy-writer.js'
import type { MovePlan, TableVerification } from '../move.js'
import { planMove } from '../plan/plan.js'
import { verifyMove } from './verify.js'

const folder = useFolder('verify')
const path = join(folder, 'app.db')
const database = useDatabase()
const client = useClient(database)
let schemas = 0

const rows = 12_000

/** One table for each way in which verification walks: whole-number keys, other keys, none. */
const write = (writer: Database): void => {
  writer.exec(`
    CREATE TABLE by_id (id INTEGER PRIMARY KEY, n INTEGER, v TEXT, x REAL);
    CREATE TABLE by_pair (a INTEGER, b INTEGER, v TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
    CREATE TABLE by_text (k TEXT PRIMARY KEY, n INTEGER);
    CREATE TABLE keyless (a INTEGER, v TEXT);
    CREATE TABLE flawed (id INTEGER PRIMARY KEY, v TEXT);
    INSERT INTO flawed (v) VALUES ('fine'), (CAST(x'6100' AS TEXT)), ('fine too')`)
  const [byId, byPair, byText, keyless] = [
    'INSERT INTO by_id (n, v, x) VALUES (?, ?, ?)',
    'INSERT INTO by_pair VALUES (?, ?, ?)',
    'INSERT INTO by_text VALUES (?, ?)',
    'INSERT INTO keyless VALUES (?, ?)',
  ].map((sql) => writer.prepare(sql))
  writer.transaction(() => {
    for (let i = 0; i < rows; i++) {
      byId!.run(i, `row ${i}`, i / 7)
      byPair!.run(i % 100, Math.floor(i / 100), `pair ${i}`)
      byText!.run(`key ${(i * 7919) % rows}`, i)
      keyless!.run(i % 50, `text ${i % 500}`)
    }
  })()
}

beforeAll(() => void makeSqlite(path, write))

describe('MOVE-3: verification', () => {
  let plan: MovePlan
  let schema = ''
  const verify = async (table: string): Promise<TableVerification> => {
    const report = await verifyMove(plan, { target: { url: database.url }, tables: [table] })
    expect(report.tables).toHaveLength(1)
    const [verification] = report.tables
    const isClean = verification!.missing + verification!.extra + verification!.differing === 0
    expect(report.ok).toBe(isClean)
    return verification!
  }

  beforeEach(async () => {
    schema = `v${++schemas}`
    plan = await planMove({ path, schema })
    const report = await copyMove(plan, { target: { url: database.url } })
    expect(report.unallowedRejects).toBe(1)
    await client.query(`SET search_path TO ${schema}`)
  })

  it('finds nothing in a good copy, and the checksums of both sides are the same', async () => {
    const report = await verifyMove(plan, { target: { url: database.url } })
    expect(report.ok).toBe(true)
    for (const { table, sourceChecksum, targetChecksum } of report.tables) {
      expect({ table, sum: targetChecksum }).toEqual({ table, sum: sourceChecksum })
      if (table !== 'flawed') expect(sourceChecksum).not.toBe('0000000000000000')
    }
    expect(report.tables.find(({ table }) => table === 'flawed')).toMatchObject({ rows: 3, equal: 2, rejected: 1 })
  })

  it('shows the row that was changed by hand, with both of its values', async () => {
    await client.query("UPDATE by_id SET v = 'changed' WHERE id = 11345")
    expect(await verify('by_id')).toMatchObject({
      rows,
      equal: rows - 1,
      differing: 1,
      differences: [{ key: 'id=11345', state: 'differs', columns: [{ column: 'v', source: 'row 11344', target: 'changed' }] }],
    })
  })

  it('sees the last bit of a real', async () => {
    await client.query('UPDATE by_id SET x = x * (1 + 2.3e-16) WHERE id = 777')
    expect(await verify('by_id')).toMatchObject({ differing: 1, differences: [{ key: 'id=777', columns: [{ column: 'x' }] }] })
  })

  it('tells NULL from the empty text', async () => {
    await client.query("UPDATE by_id SET v = NULL WHERE id = 1; UPDATE by_id SET v = '' WHERE id = 2")
    const { differences, differing } = await verify('by_id')
    expect(differing).toBe(2)
    expect(differences.map(({ columns }) => columns[0]?.target)).toEqual([null, ''])
  })

  it('sees two values that changed places, in one row and between rows', async () => {
    await client.query(`UPDATE by_id SET v = CASE id WHEN 10 THEN 'row 10' WHEN 11 THEN 'row 9' END WHERE id IN (10, 11)`)
    expect(await verify('by_id')).toMatchObject({ differing: 2, missing: 0, extra: 0 })
  })

  it('shows rows that are missing and rows that are too many, at both ends and between stretches', async () => {
    await client.query('DELETE FROM by_id WHERE id IN (1, 10000, 10001, 12000)')
    await client.query('INSERT INTO by_id (id, n) VALUES (-5, 1), (99999, 2)')
    const { differences, ...sums } = await verify('by_id')
    expect(sums).toMatchObject({ rows, equal: rows - 4, missing: 4, extra: 2, differing: 0 })
    expect(differences.filter(({ state }) => state === 'missing').map(({ key }) => key)).toEqual([
      'id=1',
      'id=10000',
      'id=10001',
      'id=12000',
    ])
    expect(differences.filter(({ state }) => state === 'extra').map(({ key }) => key)).toEqual(['id=-5', 'id=99999'])
  })

  it('follows keys of two columns', async () => {
    await client.query("DELETE FROM by_pair WHERE (a, b) = (7, 7); UPDATE by_pair SET v = 'x' WHERE (a, b) = (99, 119)")
    const { differences, ...sums } = await verify('by_pair')
    expect(sums).toMatchObject({ missing: 1, differing: 1, extra: 0, equal: rows - 2 })
    expect(differences.map(({ key }) => key).sort()).toEqual(['a=7, b=7', 'a=99, b=119'])
  })

  it('pairs rows by a text key, whose order differs on the two sides', async () => {
    await client.query("UPDATE by_text SET n = -1 WHERE k = 'key 42'; DELETE FROM by_text WHERE k = 'key 43'")
    await client.query("INSERT INTO by_text VALUES ('new', 0)")
    const { differences, ...sums } = await verify('by_text')
    expect(sums).toMatchObject({ rows, equal: rows - 2, missing: 1, extra: 1, differing: 1 })
    expect(differences.map(({ key, state }) => `${state} ${key}`).sort()).toEqual([
      "differs k='key 42'",
      'extra k=new',
      "missing k='key 43'",
    ])
  })

  it('counts rows that are alike in a table without a key', async () => {
    await client.query("DELETE FROM keyless WHERE ctid = (SELECT ctid FROM keyless WHERE a = 3 AND v = 'text 3' LIMIT 1)")
    expect(await verify('keyless')).toMatchObject({ rows, equal: rows - 1, missing: 1, extra: 0 })
    await client.query("INSERT INTO keyless VALUES (3, 'text 3'), (3, 'text 3')")
    expect(await verify('keyless')).toMatchObject({ rows, equal: rows, missing: 0, extra: 1 })
    await client.query("UPDATE keyless SET a = 4 WHERE ctid = (SELECT ctid FROM keyless WHERE v = 'text 5' LIMIT 1)")
    expect(await verify('keyless')).toMatchObject({ rows, equal: rows - 1, missing: 1, extra: 2 })
  })

  it('sees that a table was emptied, and shows no more differences than asked for', async () => {
    await client.query('TRUNCATE by_text')
    const report = await verifyMove(plan, { target: { url: database.url }, tables: ['by_text'], maxDifferences: 3 })
    expect(report).toMatchObject({ ok: false, tables: [{ rows, equal: 0, missing: rows }] })
    expect(report.tables[0]!.differences).toHaveLength(3)
  })

  it('does not take a rejected row for rejected when it is in Postgres', async () => {
    await client.query("INSERT INTO flawed (id, v) VALUES (2, 'a')")
    expect(await verify('flawed')).toMatchObject({ rows: 3, equal: 2, rejected: 1, extra: 1 })
  })

  it('takes a row for missing when its reject is not on record', async () => {
    await client.query("DELETE FROM tidemark.move_rejects WHERE table_name = 'flawed'")
    expect(await verify('flawed')).toMatchObject({ rows: 3, equal: 2, rejected: 0, missing: 1, extra: 0 })
  })

  it('sees what the application wrote into the file meanwhile', async () => {
    const writer = new BetterSqlite(path)
    writer.exec(
      "UPDATE by_id SET n = -1 WHERE id = 5; INSERT INTO by_id (id, v) VALUES (30000, 'later'); DELETE FROM by_id WHERE id = 6",
    )
    try {
      expect(await verify('by_id')).toMatchObject({ rows, equal: rows - 2, differing: 1, missing: 1, extra: 1 })
    } finally {
      writer.exec(
        "UPDATE by_id SET n = 4 WHERE id = 5; DELETE FROM by_id WHERE id = 30000; INSERT INTO by_id VALUES (6, 5, 'row 5', 5 / 7.0)",
      )
      writer.close()
    }
  })

  describe('does not share the mistakes of the copy', () => {
    const { prototype } = CopyWriter
    const wrong: readonly (readonly [string, () => void])[] = [
      ['reals cut to four bytes', () => mistake('float64', (write, value) => write(Math.fround(value)))],
      ['whole numbers off by one', () => mistake('int64', (write, value) => write(value === 700 ? 701 : value))],
      ['texts cut at a NUL or a digit', () => mistake('text', (write, value) => write(value.replace(/7.*/, '')))],
      [
        'NULLs written as zeros',
        () => mistake('text', (write, value) => (value === 'row 5' ? prototype.nothing.call(writing) : write(value))),
      ],
    ]
    let writing: CopyWriter
    const mistake = <M extends 'float64' | 'int64' | 'text'>(
      method: M,
      make: (write: (value: Parameters<CopyWriter[M]>[0]) => unknown, value: Parameters<CopyWriter[M]>[0]) => unknown,
    ): void => {
      const right = prototype[method] as (value: Parameters<CopyWriter[M]>[0], prefix?: number) => never
      vi.spyOn(prototype, method).mockImplementation(function (this: CopyWriter, value: never, prefix?: number) {
        writing = this
        return make((given) => right.call(this, given, prefix), value) as never
      } as never)
    }
    afterEach(() => vi.restoreAllMocks())

    it.each(wrong)('%s', async (_name, make) => {
      const other = await planMove({ path, schema: `v${++schemas}` })
      make()
      const report = await copyMove(other, { target: { url: database.url } })
      vi.restoreAllMocks()
      expect(report.tables.find(({ table }) => table === 'by_id')).toMatchObject({ copied: rows, rejected: 0 })
      const verification = await verifyMove(other, { target: { url: database.url }, tables: ['by_id'] })
      expect(verification.ok).toBe(false)
      const [{ differing, missing }] = verification.tables as [TableVerification]
      expect(differing + missing).toBeGreaterThan(0)
    })
  })

  it('asks for a move first', async () => {
    const other = await planMove({ path, schema: 'never_moved' })
    await expect(verifyMove(other, { target: { url: database.url } })).rejects.toMatchObject({ code: 'TM_MOVE_NO_PLAN' })
  })
})
