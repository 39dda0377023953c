import { afterEach, describe, expect, it } from 'vitest'
import type { LogKey } from './capture.js'
import { installCapture } from './install.js'
import { readLog } from './log.js'
import { columnsBehind, plainDefault, plainExpression } from './schema-text.js'
import { byColumns, byRowid, captureFile, createFile, openFile, removeFiles } from './testing/captured-file.js'
import { hasProgram, runCli } from './testing/other-library.js'

afterEach(removeFiles)

const id = byColumns('id')

/** Each statement removes or changes a row that no trigger of an ordinary kind is told of. */
const traps: readonly (readonly [string, string, LogKey, string, string, readonly string[]])[] = [
  ['a unique column', 'CREATE TABLE t(id INTEGER PRIMARY KEY, x UNIQUE)', id, `(1, 'a')`, `REPLACE INTO t VALUES (2, 'a')`, ['1']],
  ['a constraint that says REPLACE', 'CREATE TABLE t(id INTEGER PRIMARY KEY, x UNIQUE ON CONFLICT REPLACE)', id, `(1, 'a')`, `INSERT INTO t VALUES (2, 'a')`, ['1']],
  ['an update', 'CREATE TABLE t(id INTEGER PRIMARY KEY, x UNIQUE)', id, `(1, 'a'), (2, 'b')`, `UPDATE OR REPLACE t SET x = 'a' WHERE id = 2`, ['1']],
  ['two columns', 'CREATE TABLE t(id INTEGER PRIMARY KEY, x, y, UNIQUE(x, y))', id, `(1, 1, 2)`, 'REPLACE INTO t VALUES (2, 1, 2)', ['1']],
  ['a collation of the column', 'CREATE TABLE t(id INTEGER PRIMARY KEY, x UNIQUE COLLATE NOCASE)', id, `(1, 'a')`, `REPLACE INTO t VALUES (2, 'A')`, ['1']],
  ['a collation of the index', 'CREATE TABLE t(id INTEGER PRIMARY KEY, x); CREATE UNIQUE INDEX u ON t(x COLLATE RTRIM)', id, `(1, 'a ')`, `REPLACE INTO t VALUES (2, 'a')`, ['1']],
  ['a partial index that the row only now comes into', 'CREATE TABLE t(id INTEGER PRIMARY KEY, x, gone); CREATE UNIQUE INDEX u ON t(x) WHERE NOT t.gone', id, `(1, 'a', 0), (2, 'a', 1)`, 'UPDATE OR REPLACE t SET gone = 0 WHERE id = 2', ['1']],
  ['an expression', 'CREATE TABLE t(id INTEGER PRIMARY KEY, x); CREATE UNIQUE INDEX u ON t(lower(x))', id, `(1, 'Aa')`, `REPLACE INTO t VALUES (2, 'aA')`, ['1']],
  ['an expression that compares by the affinity of its column', `CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER); CREATE UNIQUE INDEX u ON t(n > '5')`, id, '(1, 10)', 'REPLACE INTO t VALUES (2, 20)', ['1']],
  ['a constant', 'CREATE TABLE t(id INTEGER PRIMARY KEY, x); CREATE UNIQUE INDEX only ON t((1))', id, '(1, 1)', 'REPLACE INTO t VALUES (2, 2)', ['1']],
  ['a generated column', 'CREATE TABLE t(id INTEGER PRIMARY KEY, x, g AS (x % 10) UNIQUE)', id, '(1, 13)', 'REPLACE INTO t(id, x) VALUES (2, 23)', ['1']],
  ['a default in the place of NULL', `CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT NOT NULL DEFAULT none UNIQUE)`, id, `(1, 'none')`, 'REPLACE INTO t VALUES (2, NULL)', ['1']],
  ['a rowid that was asked for', 'CREATE TABLE t(k TEXT PRIMARY KEY)', byColumns('k'), `('a')`, `REPLACE INTO t(rowid, k) VALUES (1, 'b')`, ['a']],
  ['the rowid -1, which stands for "any" elsewhere', 'CREATE TABLE t(k TEXT PRIMARY KEY)', byColumns('k'), `('a')`, `UPDATE t SET rowid = -1; REPLACE INTO t(rowid, k) VALUES (-1, 'b')`, ['a']],
  ['a rowid that was changed', 'CREATE TABLE t(k TEXT PRIMARY KEY)', byColumns('k'), `('a'), ('b')`, `UPDATE OR REPLACE t SET oid = 1 WHERE k = 'b'`, ['a']],
  ['a key that differs only in case', 'CREATE TABLE t(k TEXT PRIMARY KEY COLLATE NOCASE, x)', byColumns('k'), `('a', 1)`, `REPLACE INTO t VALUES ('A', 2)`, ['a']],
  ['a key that changes only its case', 'CREATE TABLE t(k TEXT PRIMARY KEY COLLATE NOCASE)', byColumns('k'), `('a')`, `UPDATE t SET k = 'A'`, ['a', 'A']],
  ['a key that changes only its storage class', 'CREATE TABLE t(k PRIMARY KEY)', byColumns('k'), `('1')`, 'UPDATE t SET k = 1', ['1']],
  ['a key changed by the name of its rowid', 'CREATE TABLE t(id INTEGER PRIMARY KEY)', id, '(1)', 'UPDATE t SET _rowid_ = 7', ['1', '7']],
  ['a rowid changed by the name of the key', 'CREATE TABLE t(id INTEGER PRIMARY KEY)', byRowid('oid'), '(1)', 'UPDATE t SET id = 7', ['1', '7']],
  ['no rowid', 'CREATE TABLE t(a, b, x UNIQUE, PRIMARY KEY(a, b)) WITHOUT ROWID', byColumns('a', 'b'), '(1, 2, 3)', 'REPLACE INTO t VALUES (4, 5, 3)', ['1, 2']],
  ['a row that a cascade takes', `CREATE TABLE t(id INTEGER PRIMARY KEY, up REFERENCES t(id) ON DELETE CASCADE)`, id, '(1, NULL), (2, 1), (3, 2)', 'DELETE FROM t WHERE id = 1', ['1', '2', '3']],
  ['a child of a row that was replaced', `CREATE TABLE t(id INTEGER PRIMARY KEY, x UNIQUE, up REFERENCES t(id) ON DELETE CASCADE)`, id, `(1, 'a', NULL), (2, 'b', 1)`, `REPLACE INTO t VALUES (3, 'a', NULL)`, ['1', '2', '3']],
  ['a key that a foreign key of another type would convert', `CREATE TABLE t(k TEXT PRIMARY KEY) WITHOUT ROWID; CREATE TABLE c(p INTEGER REFERENCES t(k)); CREATE INDEX cp ON c(p)`, byColumns('k'), `('007')`, 'DELETE FROM t', ['007']],
  ['a converted default', `CREATE TABLE t(k TEXT NOT NULL DEFAULT 7 PRIMARY KEY) WITHOUT ROWID; CREATE TABLE c(p INTEGER REFERENCES t(k)); CREATE INDEX cp ON c(p)`, byColumns('k'), `('1')`, 'REPLACE INTO t VALUES (NULL)', ['7']],
  ['an inserted key that would be converted', `CREATE TABLE t(k TEXT PRIMARY KEY); CREATE TABLE c(p INTEGER REFERENCES t(k)); CREATE INDEX cp ON c(p)`, byColumns('k'), `('1')`, `INSERT INTO t VALUES ('007')`, ['007']],
] // biome-ignore format: a table

describe('MOVE-1 capture logs the row that goes, by', () => {
  it.each(traps)('%s', async (_what, schema, key, rows, statement, expected) => {
    const { app, logged } = await captureFile(`${schema}; PRAGMA foreign_keys = ON; INSERT INTO t VALUES ${rows}`, { t: key })
    app.pragma('foreign_keys = ON')
    app.exec(statement)
    expect(logged()).toEqual(expect.arrayContaining(expected.map((value) => `1: ${value}`)))
  })

  it.runIf(hasProgram('sqlite3'))('an index whose text writes strings in double quotes', async () => {
    const { path, app } = createFile('CREATE TABLE t(id INTEGER PRIMARY KEY, x)')
    await runCli(path, `CREATE UNIQUE INDEX u ON t(coalesce(x, "it's none")) WHERE x <> "gone";`)
    const file = await openFile(path)
    await installCapture(file, { runId: 'r', captureId: 'c', epoch: 1n, tables: [{ id: 1, name: 't', key: id }] })
    app.exec(`INSERT INTO t VALUES (1, 'a'); REPLACE INTO t VALUES (2, 'a')`)
    expect(readLog(file.db, { after: 0n, limit: 9 }).map((entry) => entry.key?.[0])).toEqual([1n, 1n, 2n])
  })

  it('nothing where NULL meets NULL, and one entry for a plain update', async () => {
    const { app, logged } = await captureFile('CREATE TABLE t(id INTEGER PRIMARY KEY, x UNIQUE, y)', { t: id })
    app.exec('INSERT INTO t VALUES (1, NULL, 1); REPLACE INTO t VALUES (2, NULL, 1)')
    expect(logged()).toEqual(['1: 1', '1: 2'])
    app.exec('UPDATE t SET y = 2, x = x, id = id')
    expect(logged()).toEqual(['1: 1', '1: 2'])
  })

  it('only the row in conflict, in a table that has the name of a row in a trigger', async () => {
    const { app, logged } = await captureFile('CREATE TABLE "new"(id INTEGER PRIMARY KEY, x UNIQUE)', { new: id })
    app.exec(`INSERT INTO "new" VALUES (1, 'a'), (2, 'b')`)
    logged()
    app.exec(`REPLACE INTO "new" VALUES (3, 'b')`)
    expect(logged()).toEqual(['1: 2', '1: 3'])
  })

  it('only what can go: a unique index that holds the key needs no guard', async () => {
    const { app } = await captureFile(
      'CREATE TABLE t(id INTEGER PRIMARY KEY, x, UNIQUE(id, x)); CREATE TABLE k(a TEXT PRIMARY KEY, x)',
      {
        t: id,
        k: byRowid(),
      },
    )
    const guards = app.prepare(`SELECT name FROM sqlite_schema WHERE name GLOB '_tidemark_*_replace_*'`).pluck().all()
    expect(guards).toEqual(['_tidemark_2_replace_insert', '_tidemark_2_replace_update_1'])
  })
})

describe('text of the schema in a trigger', () => {
  const columns = [{ name: 'a' }, { name: 'B c' }]

  it('keeps names, without those of tables, and writes as strings what only looks like one', () => {
    expect(plainExpression(`coalesce("a", "B C", "x", 'y') -- why`, columns)).toBe(`coalesce ( "a" , "B C" , 'x' , 'y' )`)
    expect(plainExpression(`"t"."a" COLLATE "nocase" || "f"(1) || [x] || "rowid"`, columns)).toBe(
      `"a" COLLATE "nocase" || "f" ( 1 ) || [x] || "rowid"`,
    )
    expect(plainExpression(`CAST(a AS "text")`, columns)).toBe('CAST ( a AS "text" )')
  })

  it('reads defaults as SQLite does', () => {
    expect(['word', '"it\'s"', 'NULL', 'true', 'CURRENT_TIMESTAMP', '-1', `'x'`, `a || 'b'`].map(plainDefault)).toEqual([
      `'word'`,
      `'it''s'`,
      'NULL',
      'true',
      'CURRENT_TIMESTAMP',
      '- 1',
      `'x'`,
      `a || 'b'`,
    ])
  })

  it('finds the columns behind an expression, through generated ones', () => {
    const column = (name: string, expression: string | null = null) => ({
      name,
      declaredType: '',
      affinity: 'BLOB' as const,
      notNull: false,
      defaultSql: null,
      collation: 'BINARY',
      generated: expression === null ? null : { kind: 'virtual' as const, expression },
    })
    const table = [column('a'), column('b'), column('c'), column('g', 'h + 1'), column('h', '"A" || g')]
    expect(columnsBehind('lower(G) || b', table)).toEqual(['a', 'b'])
    expect(columnsBehind('1', table)).toEqual([])
  })
})
