import type Sqlite from 'better-sqlite3'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { RawText } from '../raw-text.js'
import { takeControl } from './control.js'
import { appendLog, logHead, pruneLog, readLog } from './log.js'
import { createRowCondition } from './row-condition.js'
import { byColumns, byRowid, captureFile, captureTables, refusal, removeFiles } from './testing/captured-file.js'

afterEach(removeFiles)

const everyKind = `CREATE TABLE t(a, b, PRIMARY KEY(a, b))`
const text = (bytes: string) => new RawText(Buffer.from(bytes, 'hex'))

describe('readLog', () => {
  it('gives keys with nothing lost, each in its storage class', async () => {
    const { app, file } = await captureFile(everyKind, { t: byColumns('a', 'b') })
    const values = `(1, '1'), (1.0, x'31'), (9223372036854775807, -9223372036854775808), (9007199254740993, NULL), (1e300, -0.5),
      ('Ä', ''), (CAST(x'ff00' AS TEXT), 'a' || char(0) || 'b'), (char(65533), x'')`
    app.exec(`INSERT INTO t VALUES ${values}`)
    expect(readLog(file.db, { after: 0n, limit: 100 }).map(({ key }) => key)).toEqual([
      [1n, '1'],
      [1, Buffer.from('1')],
      [9223372036854775807n, -9223372036854775808n],
      [9007199254740993n, null],
      [1e300, -0.5],
      ['Ä', ''],
      [text('ff00'), 'a\0b'],
      ['\uFFFD', Buffer.alloc(0)],
    ])
  })

  it('gives the bytes of texts of a UTF-16 file, as that file has them', async () => {
    const { app, file } = await captureFile(`PRAGMA encoding = 'UTF-16le'; ${everyKind}`, { t: byColumns('a', 'b') })
    app.exec(`INSERT INTO t VALUES ('ä', 1), (CAST(x'00d8' AS TEXT), x'61')`)
    expect(readLog(file.db, { after: 0n, limit: 100 }).map(({ key }) => key)).toEqual([
      [text('e400'), 1n],
      [text('00d8'), Buffer.from('a')],
    ])
  })

  it('gives no key for tables without one', async () => {
    const { app, file } = await captureFile('CREATE TABLE t(rowid, oid, _rowid_)', { t: { kind: 'none' } })
    app.exec('INSERT INTO t VALUES (1, 2, 3); UPDATE t SET oid = 9; DELETE FROM t')
    expect(readLog(file.db, { after: 0n, limit: 9 })).toEqual([1n, 2n, 3n].map((seq) => ({ seq, table: 1, key: null })))
  })

  it('goes on behind a number, as far as it is asked', async () => {
    const { app, file } = await captureFile('CREATE TABLE t(x)', { t: byRowid() })
    app.exec('INSERT INTO t VALUES (1), (2), (3), (4)')
    expect(readLog(file.db, { after: 1n, limit: 2 }).map(({ seq }) => seq)).toEqual([2n, 3n])
    expect(logHead(file.db)).toBe(4n)
  })
})

describe('pruneLog', () => {
  const fill = (app: Sqlite.Database, n: number) =>
    app.exec(`WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${n}) INSERT INTO t SELECT i FROM c`)

  it('removes what was read, in small steps, and never the newest entry', async () => {
    const { app, file, hold } = await captureFile('CREATE TABLE t(x)', { t: byRowid() })
    fill(app, 6500)
    let transactions = 0
    const counting = {
      ...file,
      db: file.db,
      read: file.read.bind(file),
      write: (...given: Parameters<typeof file.write>) => {
        transactions++
        return file.write(...given)
      },
    } as typeof file
    expect(await pruneLog(counting, hold.captureId, 5000n)).toBe(5000)
    expect(transactions).toBe(3)
    expect(await pruneLog(file, hold.captureId, 99_999n)).toBe(1499)
    expect(readLog(file.db, { after: 0n, limit: 9 }).map(({ seq }) => seq)).toEqual([6500n])
    expect(await pruneLog(file, hold.captureId, 99_999n)).toBe(0)
    app.exec('INSERT INTO t VALUES (1)')
    expect(logHead(file.db)).toBe(6501n)
  })

  it('leaves the log of another capture alone', async () => {
    const { app, file } = await captureFile('CREATE TABLE t(x)', { t: byRowid() })
    fill(app, 3)
    expect((await refusal(() => pruneLog(file, 'another', 2n))).code).toBe('TM_SQLITE_CHANGED')
  })
})

describe('appendLog', () => {
  it('asks SQLite to prepare a statement once for each shape of key', async () => {
    const { file, hold } = await captureFile('CREATE TABLE t(id INTEGER PRIMARY KEY)', { t: byColumns('id') })
    const [t] = captureTables({ t: byColumns('id') })
    const prepare = vi.spyOn(file.db, 'prepare')
    const append = () =>
      file.write((db) => {
        takeControl(db, hold)
        appendLog(db, t!, [[1n], ['a'], [null], [text('ff')], [2n]])
      })
    await append()
    await append()
    expect(prepare.mock.calls.filter(([sql]) => sql.includes('INSERT INTO _tidemark_log'))).toHaveLength(2)
    expect(readLog(file.db, { after: 0n, limit: 9 })).toHaveLength(9)
  })

  it('logs keys of every kind as the triggers would', async () => {
    const keys = { t: byColumns('a', 'b'), r: byRowid(), n: { kind: 'none' } as const }
    const { file } = await captureFile(`${everyKind}; CREATE TABLE r(x); CREATE TABLE n(rowid, oid, _rowid_)`, keys)
    const [t, r, n] = captureTables(keys)
    await file.write((db) => {
      appendLog(db, t!, [
        [1n, 'a'],
        [text('ff'), null],
        [1.5, Buffer.from('a')],
      ])
      appendLog(db, r!, [[9223372036854775807n]])
      appendLog(db, n!, [null])
    })
    expect(readLog(file.db, { after: 0n, limit: 9 }).map(({ table, key }) => [table, key])).toEqual([
      [1, [1n, 'a']],
      [1, [text('ff'), null]],
      [1, [1.5, Buffer.from('a')]],
      [2, [9223372036854775807n]],
      [3, null],
    ])
  })
})

describe('createRowCondition', () => {
  const find = (db: Sqlite.Database, table: string, condition: ReturnType<ReturnType<typeof createRowCondition>>) =>
    db
      .prepare(`SELECT n FROM ${table} WHERE ${condition.sql}`)
      .pluck()
      .all(...condition.values)
  const plan = (db: Sqlite.Database, table: string, condition: ReturnType<ReturnType<typeof createRowCondition>>) =>
    (
      db.prepare(`EXPLAIN QUERY PLAN SELECT n FROM ${table} WHERE ${condition.sql}`).get(...condition.values) as {
        detail: string
      }
    ).detail

  it.each([
    ['no collation', 'CREATE TABLE t(n, a, b, PRIMARY KEY(a, b))'],
    ['a collation of the column', 'CREATE TABLE t(n, a COLLATE NOCASE, b COLLATE RTRIM, PRIMARY KEY(a, b))'],
    ['a collation of the key alone', 'CREATE TABLE t(n, a, b, PRIMARY KEY(a COLLATE NOCASE, b))'],
    ['another collation in the key', 'CREATE TABLE t(n, a COLLATE NOCASE, b, PRIMARY KEY(a COLLATE RTRIM, b))'],
    ['no rowid', 'CREATE TABLE t(n, a COLLATE NOCASE, b, PRIMARY KEY(a, b)) WITHOUT ROWID'],
    ['UTF-16', `PRAGMA encoding = 'UTF-16be'; CREATE TABLE t(n, a COLLATE NOCASE, b, PRIMARY KEY(a, b))`],
  ])('finds exactly the row of a logged key, by the index (%s)', async (_what, sql) => {
    const { app, file } = await captureFile(sql, { t: byColumns('a', 'b') })
    app.exec(`INSERT INTO t VALUES (1, 1, 1), (2, '1', 1), (3, x'31', 1), (4, 'a', 'b '), (5, 'a', 'B'), (6, 9007199254740993, 0),
      (7, 2.5, 0), (8, CAST(x'ff61' AS TEXT), 0), (9, 'Ä', 0), (10, 9007199254740992, 0)`)
    const condition = createRowCondition(file.db, captureTables({ t: byColumns('a', 'b') })[0]!)
    const keys = readLog(file.db, { after: 0n, limit: 100 }).map(({ key }) => key ?? [])
    expect(keys.map((key) => find(app, 't', condition(key)))).toEqual(keys.map((_, i) => [i + 1]))
    for (const key of keys) expect(plan(app, 't', condition(key))).toMatch(/^SEARCH t USING/)
    expect(find(app, 't', condition(['A', 'b ']))).toEqual([])
    expect(find(app, 't', condition([1, 1n]))).toEqual([])
  })

  it('tells 1 from 1.0 where a column may hold both, and finds NULL', async () => {
    const { app, file } = await captureFile('CREATE TABLE t(n, a, b, PRIMARY KEY(a, b))', { t: byColumns('a', 'b') })
    app.exec(`INSERT INTO t VALUES (1, 1, NULL), (2, 1.0, NULL), (3, NULL, NULL), (4, NULL, 1)`)
    const condition = createRowCondition(file.db, { name: 't', key: byColumns('a', 'b') })
    expect(find(app, 't', condition([1n, null]))).toEqual([1])
    expect(find(app, 't', condition([1, null]))).toEqual([2])
    expect(find(app, 't', condition([null, null]))).toEqual([3])
  })

  it('finds rows by their rowid, and has nothing to say about rows without a key', async () => {
    const { app, file } = await captureFile('CREATE TABLE t(n)', { t: byRowid('oid') })
    app.exec('INSERT INTO t(rowid, n) VALUES (9223372036854775807, 1), (-3, 2)')
    const condition = createRowCondition(file.db, { name: 't', key: byRowid('oid') })
    expect(find(app, 't', condition([9223372036854775807n]))).toEqual([1])
    expect(plan(app, 't', condition([-3n]))).toContain('USING INTEGER PRIMARY KEY')
    expect(() => createRowCondition(file.db, { name: 't', key: { kind: 'none' } })).toThrow(RangeError)
  })
})
