import type { Database } from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import type { MoveEvent } from '../move.js'
import type { FollowedFile } from './testing/followed-file.js'
import { expectSame, ticksToHead, useFollowedFiles } from './testing/use-followed-files.js'

const files = useFollowedFiles()
const { followed } = files

const rejects = async ({ client, copy }: FollowedFile): Promise<readonly { row_key: string; outcome: string }[]> =>
  (
    await client.query<{ row_key: string; outcome: string }>(
      'SELECT row_key, outcome FROM tidemark.move_rejects WHERE run_id = $1 ORDER BY 1, 2',
      [copy.runId],
    )
  ).rows

describe('following', () => {
  it('brings inserts, updates and deletes over, those made during the copy too', async () => {
    const file = await followed("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')", {
      meanwhile: (app) => app.exec("UPDATE t SET v = 'A' WHERE id = 1"),
    })
    const follow = await file.follow()
    file.app.exec("INSERT INTO t VALUES (3, 'c'); DELETE FROM t WHERE id = 2; UPDATE t SET v = 'aa' WHERE id = 1")
    const tick = await follow.tick()
    expect(tick).toMatchObject({ applied: 4, appliedSeq: 4n, atHead: true, rejected: 0, renewed: [] })
    expect([...tick.changedKeys]).toEqual([['t', [[1n], [3n], [2n]]]])
    expect(await file.rows('t')).toEqual([
      ['1', 'aa'],
      ['3', 'c'],
    ])
    expect(follow.lag()).toEqual({ behind: 0, behindMs: 0 })
    await expectSame(file)
    expect(await follow.tick()).toMatchObject({ applied: 0, appliedSeq: 4n, atHead: true })
  })

  it('S17: rows that exchange unique values in one transaction do so in Postgres', async () => {
    const file = await followed(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, slot INTEGER UNIQUE, name TEXT); CREATE UNIQUE INDEX by_name ON t (name); INSERT INTO t VALUES (1, 10, 'x'), (2, 20, 'y')",
    )
    const follow = await file.follow()
    file.app.exec(
      "BEGIN; UPDATE t SET slot = -1, name = '?' WHERE id = 1; UPDATE t SET slot = 10, name = 'x' WHERE id = 2; UPDATE t SET slot = 20, name = 'y' WHERE id = 1; COMMIT",
    )
    expect(await follow.tick()).toMatchObject({ atHead: true, rejected: 0 })
    expect(await file.rows('t')).toEqual([
      ['1', '20', 'y'],
      ['2', '10', 'x'],
    ])
    const { rows } = await file.client.query(
      'SELECT kind, name, state FROM tidemark.move_waiting WHERE run_id = $1 ORDER BY ordinal',
      [file.copy.runId],
    )
    expect(rows).toEqual([
      { kind: 'unique', name: 't_slot_key', state: 'waiting' },
      { kind: 'unique', name: 'by_name', state: 'waiting' },
    ])
  })

  it('notices the rows that REPLACE and UPDATE OR REPLACE remove through a secondary unique index', async () => {
    const file = await followed(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE, v INTEGER); INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)",
    )
    const follow = await file.follow()
    file.app.exec("INSERT OR REPLACE INTO t VALUES (9, 'a', 9); UPDATE OR REPLACE t SET u = 'c' WHERE id = 2")
    await follow.drain()
    expect(await file.rows('t')).toEqual([
      ['2', 'c', '2'],
      ['9', 'a', '9'],
    ])
    await expectSame(file)
  })

  it('follows keys that change, cascades, and tables WITHOUT ROWID', async () => {
    const file = await followed((app) => {
      app.pragma('foreign_keys = ON')
      app.exec(`
        CREATE TABLE parent (a TEXT, b INTEGER, note TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
        CREATE TABLE child (id INTEGER PRIMARY KEY, a TEXT, b INTEGER, FOREIGN KEY (a, b) REFERENCES parent ON UPDATE CASCADE ON DELETE CASCADE);
        INSERT INTO parent VALUES ('x', 1, 'one'), ('x', 2, 'two'), ('y', 1, 'three');
        INSERT INTO child VALUES (1, 'x', 1), (2, 'x', 1), (3, 'x', 2), (4, 'y', 1);`)
    })
    const follow = await file.follow()
    file.app.exec("UPDATE parent SET a = 'z', b = 7 WHERE a = 'x' AND b = 1; DELETE FROM parent WHERE a = 'x' AND b = 2")
    await follow.drain()
    expect(await file.rows('parent', '1, 2')).toEqual([
      ['y', '1', 'three'],
      ['z', '7', 'one'],
    ])
    expect(await file.rows('child')).toEqual([
      ['1', 'z', '7'],
      ['2', 'z', '7'],
      ['4', 'y', '1'],
    ])
    await expectSame(file)
  })

  it('follows tables without a key by their rowids, in a column that the plan names', async () => {
    const file = await followed("CREATE TABLE t (v TEXT, n INTEGER); INSERT INTO t VALUES ('a', 1), ('a', 1), ('b', 2)")
    const follow = await file.follow()
    file.app.exec("UPDATE t SET n = 5 WHERE rowid = 2; DELETE FROM t WHERE rowid = 3; INSERT INTO t VALUES ('c', 3)")
    await follow.drain()
    expect(await file.rows('t', '3')).toEqual([
      ['a', '1', '1'],
      ['a', '5', '2'],
      ['c', '3', '3'],
    ])
    await expectSame(file)
  })

  it('copies a table anew whose rows cannot be told apart', async () => {
    const file = await followed(
      "CREATE TABLE t (rowid TEXT, oid TEXT, _rowid_ TEXT); INSERT INTO t VALUES ('a', 'b', 'c'), ('a', 'b', 'c')",
    )
    const follow = await file.follow()
    file.app.exec("INSERT INTO t VALUES ('d', 'e', 'f'); INSERT INTO t VALUES ('d', 'e', 'f')")
    const tick = await follow.tick()
    expect(tick).toMatchObject({ applied: 2, atHead: true, renewed: [] })
    expect([...tick.changedKeys]).toEqual([['t', []]])
    expect(await file.rows('t')).toHaveLength(4)
    await expectSame(file)
  })

  it('tells keys apart that SQLite calls equal: NOCASE, and numbers of two classes', async () => {
    const file = await followed(`
      CREATE TABLE nocase (k TEXT COLLATE NOCASE PRIMARY KEY, v INTEGER) WITHOUT ROWID;
      CREATE TABLE plain (k TEXT PRIMARY KEY COLLATE NOCASE, v INTEGER);
      CREATE TABLE loose (k PRIMARY KEY, v INTEGER);
      INSERT INTO nocase VALUES ('Ann', 1), ('Bob', 2); INSERT INTO plain VALUES ('Ann', 1), ('Bob', 2); INSERT INTO loose VALUES (1, 1), (2.5, 2);`)
    const follow = await file.follow()
    for (const table of ['nocase', 'plain']) {
      file.app.exec(`UPDATE ${table} SET k = 'ANN' WHERE k = 'ann'`)
      file.app.exec(`REPLACE INTO ${table} VALUES ('bOB', 3)`)
    }
    file.app.exec('UPDATE loose SET k = 1.0, v = 7 WHERE k = 1; REPLACE INTO loose VALUES (2.5, 9)')
    await follow.drain()
    for (const table of ['nocase', 'plain'])
      expect((await file.rows(table)).map(([k, v]) => [k, v])).toEqual([
        ['ANN', '1'],
        ['bOB', '3'],
      ])
    await expectSame(file)
  })

  it('sets rows aside that become dirty, and carries them when they are clean again', async () => {
    const file = await followed(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'a' || char(0)), (3, 'c')",
    )
    expect(await rejects(file)).toEqual([{ row_key: 'id=2', outcome: 'rowRejected' }])
    const events: MoveEvent[] = []
    const follow = await file.follow({ onEvent: (event) => events.push(event) })
    file.app.exec("UPDATE t SET v = CAST(x'ff' AS TEXT) WHERE id = 1; UPDATE t SET v = 'clean' WHERE id = 2")
    expect(await follow.tick()).toMatchObject({ rejected: 1, acceptedAgain: 1 })
    expect(await rejects(file)).toEqual([{ row_key: 'id=1', outcome: 'rowRejected' }])
    expect(events.filter(({ type }) => type === 'reject')).toMatchObject([
      { reject: { key: 'id=1', bytes: Buffer.from([0xff]) } },
    ])
    expect(await file.rows('t')).toEqual([
      ['2', 'clean'],
      ['3', 'c'],
    ])
    await expectSame(file)
    file.app.exec('DELETE FROM t WHERE id = 1')
    expect(await follow.tick()).toMatchObject({ rejected: 0, acceptedAgain: 1 })
    expect(await rejects(file)).toEqual([])
    await expectSame(file)
  })

  it('keeps the policies of the choices, and notes each value that they replace', async () => {
    const choices = { tables: { t: { columns: { v: { nulBytes: 'strip' }, n: { type: 'integer', badValue: 'null' } } } } }
    const file = await followed('CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, n INTEGER)', { choices })
    const follow = await file.follow()
    file.app.exec("INSERT INTO t VALUES (1, 'a' || char(0) || 'b', 5), (2, 'c', 'five'), (3, 'd', 5000000000)")
    expect(await follow.tick()).toMatchObject({ rejected: 0 })
    expect(await file.rows('t')).toEqual([
      ['1', 'ab', 5],
      ['2', 'c', null],
      ['3', 'd', null],
    ])
    expect(await rejects(file)).toEqual([1, 2, 3].map((id) => ({ row_key: `id=${id}`, outcome: 'valueReplaced' })))
    await expectSame(file)
    file.app.exec("UPDATE t SET v = 'plain', n = 1")
    await follow.drain()
    expect(await rejects(file)).toEqual([])
  })

  it('follows keys of every kind: beyond 2^53, bytes, invalid UTF-8, quotes', async () => {
    const write = (app: Database) => {
      app.exec(`CREATE TABLE big (id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE bytes (k BLOB PRIMARY KEY, v TEXT);
        CREATE TABLE texts (k TEXT PRIMARY KEY, v TEXT); CREATE TABLE "a ""b" ("c ""d" TEXT PRIMARY KEY, "e'f" TEXT)`)
      const insert = app.prepare('INSERT INTO big VALUES (?, ?)')
      for (const id of [2n ** 53n + 1n, 2n ** 53n + 2n, -(2n ** 63n), 2n ** 63n - 1n]) insert.run(id, 'old')
      app.exec(
        "INSERT INTO bytes VALUES (x'00ff', 'old'), (x'', 'old'); INSERT INTO texts VALUES (CAST(x'61ff' AS TEXT), 'old'), ('é', 'old')",
      )
      app.exec(`INSERT INTO "a ""b" VALUES ('it''s', 'old')`)
    }
    const file = await followed(write)
    const follow = await file.follow()
    file.app.exec(
      "UPDATE big SET v = 'new' WHERE id % 2 = 1; DELETE FROM big WHERE id < 0; UPDATE bytes SET v = 'new'; UPDATE texts SET v = 'new'",
    )
    file.app.exec(
      `UPDATE "a ""b" SET "e'f" = 'new', "c ""d" = '"'; INSERT INTO texts VALUES (CAST(x'fe' AS TEXT), 'x'), ('', 'empty')`,
    )
    file.app.exec("DELETE FROM texts WHERE k = CAST(x'61ff' AS TEXT)")
    await follow.drain()
    expect(await rejects(file)).toEqual([{ row_key: "k=text x'fe'", outcome: 'rowRejected' }])
    expect(await file.rows('texts')).toEqual([
      ['', 'empty'],
      ['é', 'new'],
    ])
    await expectSame(file)
  })

  it('follows a UTF-16 file', async () => {
    const file = await followed("CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT); INSERT INTO t VALUES ('ä', 'ö'), ('𝄞', 'x')", {
      encoding: 'UTF-16le',
    })
    const follow = await file.follow()
    file.app.exec("UPDATE t SET v = 'ü' WHERE k = 'ä'; DELETE FROM t WHERE k = '𝄞'; INSERT INTO t VALUES ('日本', '語')")
    await follow.drain()
    expect(await file.rows('t')).toEqual([
      ['ä', 'ü'],
      ['日本', '語'],
    ])
    await expectSame(file)
  })

  it('S18: counts as at the head only when a batch reached it, and takes rows of several tables from one moment', async () => {
    const file = await followed(
      'CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER)',
    )
    const follow = await file.follow({ maxBatchBytes: 2000 })
    const insert = [file.app.prepare('INSERT INTO a VALUES (?, ?)'), file.app.prepare('INSERT INTO b VALUES (?, ?)')]
    for (let id = 1; id <= 50; id++) {
      insert[0]!.run(id, `row ${id}`)
      insert[1]!.run(id, id)
    }
    const ticks = await ticksToHead(follow)
    expect(ticks.length).toBeGreaterThan(3)
    expect(ticks.map(({ atHead }) => atHead).indexOf(true)).toBe(ticks.length - 1)
    expect(ticks.map(({ applied }) => applied).reduce((sum, applied) => sum + applied, 0)).toBe(100)
    await expectSame(file)
  })

  it('rejects rows whose key is NULL, which Postgres refuses', async () => {
    const file = await followed("CREATE TABLE t (k TEXT PRIMARY KEY, v INTEGER); INSERT INTO t VALUES ('a', 1)")
    const follow = await file.follow()
    file.app.exec('INSERT INTO t VALUES (NULL, 2), (NULL, 3)')
    expect(await follow.tick()).toMatchObject({ rejected: 2, atHead: true })
    await expectSame(file)
    file.app.exec("DELETE FROM t WHERE v = 2; UPDATE t SET k = 'b' WHERE v = 3")
    expect(await follow.tick()).toMatchObject({ rejected: 0, acceptedAgain: 1 })
    await expectSame(file)
  })

  it('computes generated columns in Postgres, and follows what they are made of', async () => {
    const file = await followed(
      'CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, twice INTEGER GENERATED ALWAYS AS (a * 2) STORED); INSERT INTO t (a) VALUES (1)',
    )
    const follow = await file.follow()
    file.app.exec('UPDATE t SET a = 5; INSERT INTO t (a) VALUES (7)')
    await follow.drain()
    expect(await file.rows('t')).toEqual([
      ['1', '5', '10'],
      ['2', '7', '14'],
    ])
    await expectSame(file)
  })
})
