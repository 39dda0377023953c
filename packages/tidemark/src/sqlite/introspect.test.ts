import Sqlite from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { introspect } from './introspect.js'
import type { SqliteSchema, SqliteTable } from './sqlite.js'

const schemaOf = (...statements: readonly string[]): SqliteSchema => {
  const db = new Sqlite(':memory:')
  for (const statement of statements) db.exec(statement)
  const schema = introspect(db)
  db.close()
  return schema
}

/** A catalogue as another program may have written it: statements are changed behind SQLite's back, then read anew. */
const rewritten = (statements: readonly string[], from: string, to: string): SqliteSchema => {
  const db = new Sqlite(':memory:')
  db.function('app_hash', { deterministic: true }, (x) => x)
  for (const statement of statements) db.exec(statement)
  db.unsafeMode(true)
  db.pragma('writable_schema = ON')
  db.prepare('UPDATE sqlite_schema SET sql = replace(sql, ?, ?)').run(from, to)
  const bytes = db.serialize()
  db.close()
  const other = new Sqlite(bytes)
  const schema = introspect(other)
  other.close()
  return schema
}

const tableOf = (...statements: readonly string[]): SqliteTable => {
  const { tables, unreadable } = schemaOf(...statements)
  expect(unreadable).toEqual([])
  return tables.at(-1) as SqliteTable
}

describe('columns', () => {
  it('carry every form of name exactly', () => {
    const table = tableOf(`CREATE TABLE "we""ird ta'ble" (
      plain INT, "dou""ble" TEXT, [brac ket] TEXT, \`back\`\`tick\` TEXT, 'sin''gle' TEXT, "select" TEXT, héllo_数 TEXT, "😀" TEXT, a$b TEXT,
      [Case] TEXT, "" TEXT)`)
    const names = ['plain', 'dou"ble', 'brac ket', 'back`tick', "sin'gle", 'select', 'héllo_数', '😀', 'a$b', 'Case', '']
    expect(table.name).toBe(`we"ird ta'ble`)
    expect(table.columns.map((column) => column.name)).toEqual(names)
  })

  it('keep the type as written, blanks folded and comments left out, with its affinity', () => {
    const table = tableOf(`CREATE TABLE t(
      a varchar ( 10 ), b "my type", c DECIMAL(10 , 2), d UNSIGNED   BIG
      INT, e, f integer, g Double Precision, h /* odd */ blob, i "quoted int", j datetime, k CHARINT,
      l nvarchar(100) not null, m 'text', n FLOATING POINT, o [brackets] (3))`)
    expect(table.columns.map(({ declaredType, affinity }) => `${declaredType}: ${affinity}`)).toEqual([
      'varchar(10): TEXT',
      'my type: NUMERIC',
      'DECIMAL(10,2): NUMERIC',
      'UNSIGNED BIG INT: INTEGER',
      ': BLOB',
      'integer: INTEGER',
      'Double Precision: REAL',
      'blob: BLOB',
      'quoted int: INTEGER',
      'datetime: NUMERIC',
      'CHARINT: INTEGER',
      'nvarchar(100): TEXT',
      'text: TEXT',
      'FLOATING POINT: INTEGER',
      'brackets(3): NUMERIC',
    ])
  })

  it('give ANY no affinity in STRICT tables only', () => {
    expect(tableOf('CREATE TABLE t(a ANY, b INT) STRICT')).toMatchObject({ strict: true, columns: [{ affinity: 'BLOB' }, {}] })
    expect(tableOf('CREATE TABLE t(a ANY)')).toMatchObject({ strict: false, columns: [{ affinity: 'NUMERIC' }] })
  })

  it('keep defaults as written, without the parentheses around them', () => {
    const table = tableOf(`CREATE TABLE t(
      a DEFAULT 5, b DEFAULT -1.5e3, c DEFAULT 'it''s', d DEFAULT (datetime('now')), e DEFAULT CURRENT_TIMESTAMP, f DEFAULT NULL,
      g DEFAULT x'00ff', h DEFAULT "text", i DEFAULT true, j DEFAULT ( 1 + (2) ) NOT NULL, k DEFAULT + 7, l DEFAULT word, m INT)`)
    expect(table.columns.map((column) => column.defaultSql)).toEqual([
      '5',
      '-1.5e3',
      `'it''s'`,
      `datetime('now')`,
      'CURRENT_TIMESTAMP',
      'NULL',
      `x'00ff'`,
      '"text"',
      'true',
      '1 + (2)',
      '+ 7',
      'word',
      null,
    ])
  })

  it('know their collation and how they are generated', () => {
    const table = tableOf(`CREATE TABLE t(
      a TEXT COLLATE nocase, b TEXT COLLATE "rtrim", c TEXT, d TEXT,
      e AS (a || ')') , f INT GENERATED ALWAYS AS (length(d) /* ) */ + 1) STORED, g TEXT AS (lower(a)) VIRTUAL COLLATE NOCASE NOT NULL)`)
    expect(table.columns.map((column) => column.collation)).toEqual([
      'NOCASE',
      'RTRIM',
      'BINARY',
      'BINARY',
      'BINARY',
      'BINARY',
      'NOCASE',
    ])
    expect(table.columns.map((column) => column.generated)).toEqual([
      null,
      null,
      null,
      null,
      { kind: 'virtual', expression: "a || ')'" },
      { kind: 'stored', expression: 'length(d) /* ) */ + 1' },
      { kind: 'virtual', expression: 'lower(a)' },
    ])
    expect(table.columns.map((column) => column.declaredType)).toEqual(['TEXT', 'TEXT', 'TEXT', 'TEXT', '', 'INT', 'TEXT'])
  })

  it('with a collation of the application keep its name', () => {
    const schema = rewritten(['CREATE TABLE t(a TEXT COLLATE nocase, b TEXT AS (a) STORED)'], 'nocase', 'de_DE')
    expect(schema.unreadable).toEqual([])
    expect(schema.tables[0]?.columns[0]?.collation).toBe('de_DE')
  })

  it('that need a function of the application leave the others readable', () => {
    const schema = rewritten(['CREATE TABLE t(a TEXT, b TEXT AS (lower(a)), CHECK (lower(a) > 0))'], 'lower', 'app_lower')
    expect(schema.unreadable).toEqual([])
    expect(schema.tables[0]?.columns[1]?.generated?.expression).toBe('app_lower(a)')
  })

  it('are found where the table grew by ALTER TABLE and was renamed', () => {
    const table = tableOf(
      'CREATE TABLE t(a INT CHECK (a > 0)) -- trailing',
      `ALTER TABLE t ADD COLUMN "b c" TEXT NOT NULL DEFAULT 'x' COLLATE NOCASE`,
      'ALTER TABLE t RENAME COLUMN a TO "new a"',
      'ALTER TABLE t RENAME TO "other table"',
    )
    expect(table.name).toBe('other table')
    expect(table.columns).toMatchObject([
      { name: 'new a' },
      { name: 'b c', collation: 'NOCASE', notNull: true, defaultSql: `'x'` },
    ])
    expect(table.checks).toEqual([{ name: null, expression: '"new a" > 0' }])
  })

  it('are found in a table made from a SELECT', () => {
    const table = tableOf(`CREATE TABLE t AS SELECT 1 AS "a b", 'x' AS c, 2.5 AS "d""e"`)
    expect(table.columns.map((column) => column.name)).toEqual(['a b', 'c', 'd"e'])
  })
})

describe('keys', () => {
  it('tell which column is the rowid and by which name a rowid is read', () => {
    const facts = (sql: string) => {
      const { rowidAlias, rowidName, primaryKey, withoutRowid } = tableOf(sql)
      return [rowidAlias, rowidName, primaryKey?.columns ?? null, withoutRowid]
    }
    expect(facts('CREATE TABLE t(id INTEGER PRIMARY KEY)')).toEqual(['id', 'id', ['id'], false])
    expect(facts('CREATE TABLE t(id INTEGER, PRIMARY KEY (id DESC))')).toEqual(['id', 'id', ['id'], false])
    expect(facts('CREATE TABLE t(id INTEGER PRIMARY KEY DESC)')).toEqual([null, 'rowid', ['id'], false])
    expect(facts('CREATE TABLE t(id INT PRIMARY KEY)')).toEqual([null, 'rowid', ['id'], false])
    expect(facts('CREATE TABLE t(rowid TEXT, a)')).toEqual([null, '_rowid_', null, false])
    expect(facts('CREATE TABLE t(RowId TEXT, _ROWID_ INT, a)')).toEqual([null, 'oid', null, false])
    expect(facts('CREATE TABLE t(rowid TEXT, _rowid_ INT, oid)')).toEqual([null, null, null, false])
    expect(facts('CREATE TABLE t(rowid INTEGER PRIMARY KEY, _rowid_ INT, oid)')).toEqual(['rowid', 'rowid', ['rowid'], false])
    expect(facts('CREATE TABLE t(b, a, PRIMARY KEY (a, b)) WITHOUT ROWID')).toEqual([null, null, ['a', 'b'], true])
    expect(facts('CREATE TABLE t(id INTEGER PRIMARY KEY) WITHOUT ROWID')).toEqual([null, null, ['id'], true])
  })

  it('carry names and AUTOINCREMENT with the highest number given out, beyond 2^53 too', () => {
    const sql = 'CREATE TABLE t(id INTEGER CONSTRAINT "the key" PRIMARY KEY AUTOINCREMENT, x)'
    expect(tableOf(sql)).toMatchObject({ autoincrement: true, highWater: null, primaryKey: { name: 'the key' } })
    expect(tableOf(sql, 'INSERT INTO t(id) VALUES (1000)', 'DELETE FROM t').highWater).toBe(1000n)
    expect(tableOf(sql, 'INSERT INTO t(id) VALUES (9223372036854775806)').highWater).toBe(9223372036854775806n)
    expect(tableOf('CREATE TABLE u(id INTEGER, "autoincrement" TEXT, CONSTRAINT k PRIMARY KEY(id AUTOINCREMENT))')).toMatchObject(
      {
        autoincrement: true,
        primaryKey: { name: 'k', columns: ['id'] },
      },
    )
    expect(tableOf('CREATE TABLE t(id INTEGER PRIMARY KEY, "autoincrement" TEXT)')).toMatchObject({
      autoincrement: false,
      highWater: null,
    })
  })
})

describe('indexes', () => {
  it('give columns, expressions, directions, collations and predicates', () => {
    const { indexes } = tableOf(
      'CREATE TABLE t(a TEXT COLLATE NOCASE UNIQUE, b INT, c REAL, PRIMARY KEY (b, c))',
      'CREATE INDEX "my ""index" ON t(a, b DESC, (lower(a) || \',)\') COLLATE rtrim ASC, a || b COLLATE nocase, "c" COLLATE binary)',
      `CREATE UNIQUE INDEX p ON t(b) WHERE b > 0 AND a IN ('x', 'y') -- note
      `,
    )
    expect(indexes).toEqual([
      {
        name: 'sqlite_autoindex_t_1',
        unique: true,
        origin: 'u',
        parts: [{ column: 'a', expression: null, descending: false, collation: 'NOCASE' }],
        where: null,
        sql: null,
      },
      expect.objectContaining({ name: 'sqlite_autoindex_t_2', origin: 'pk' }),
      {
        name: 'my "index',
        unique: false,
        origin: 'c',
        parts: [
          { column: 'a', expression: null, descending: false, collation: 'NOCASE' },
          { column: 'b', expression: null, descending: true, collation: 'BINARY' },
          { column: null, expression: "(lower(a) || ',)')", descending: false, collation: 'RTRIM' },
          { column: null, expression: 'a || b COLLATE nocase', descending: false, collation: 'BINARY' },
          { column: 'c', expression: null, descending: false, collation: 'BINARY' },
        ],
        where: null,
        sql: expect.any(String),
      },
      expect.objectContaining({ name: 'p', unique: true, where: `b > 0 AND a IN ('x', 'y')` }),
    ])
  })

  it('with a collation or function of the application keep their facts', () => {
    const schema = rewritten(
      [
        'CREATE TABLE t(a TEXT, b TEXT)',
        'CREATE INDEX i ON t(app_hash(a)) WHERE app_hash(b) > 1',
        'CREATE INDEX j ON t(b COLLATE nocase)',
      ],
      'nocase',
      'de_DE',
    )
    expect(schema.unreadable).toEqual([])
    expect(schema.tables[0]?.indexes).toMatchObject([
      { name: 'i', parts: [{ expression: 'app_hash(a)' }], where: 'app_hash(b) > 1' },
      { name: 'j', parts: [{ column: 'b', collation: 'de_DE' }] },
    ])
  })
})

describe('foreign keys', () => {
  it('give actions, deferral, names and parents in their real spelling', () => {
    const table = tableOf(
      'CREATE TABLE Parent(Id INTEGER PRIMARY KEY, "Co De" TEXT UNIQUE)',
      'CREATE TABLE two(a, b, PRIMARY KEY (b, a))',
      `CREATE TABLE child(
        p INT CONSTRAINT fk_p REFERENCES PARENT ON DELETE CASCADE ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED,
        code TEXT REFERENCES parent("CO DE") ON DELETE SET DEFAULT,
        x, y, me INT REFERENCES child,
        nowhere REFERENCES missing, nowhere2 REFERENCES missing(k) NOT DEFERRABLE INITIALLY DEFERRED,
        CONSTRAINT "pair of" FOREIGN KEY (x, y) REFERENCES two MATCH SIMPLE ON UPDATE RESTRICT DEFERRABLE INITIALLY IMMEDIATE,
        FOREIGN KEY (x) REFERENCES two)`,
    )
    expect(table.foreignKeys).toEqual([
      {
        name: 'fk_p',
        columns: ['p'],
        parentTable: 'Parent',
        parentColumns: ['Id'],
        onUpdate: 'SET NULL',
        onDelete: 'CASCADE',
        initiallyDeferred: true,
      },
      {
        name: null,
        columns: ['code'],
        parentTable: 'Parent',
        parentColumns: ['Co De'],
        onUpdate: 'NO ACTION',
        onDelete: 'SET DEFAULT',
        initiallyDeferred: false,
      },
      expect.objectContaining({ columns: ['me'], parentTable: 'child', parentColumns: [] }),
      expect.objectContaining({ columns: ['nowhere'], parentTable: 'missing', parentColumns: [], initiallyDeferred: false }),
      expect.objectContaining({ parentTable: 'missing', parentColumns: ['k'], initiallyDeferred: false }),
      {
        name: 'pair of',
        columns: ['x', 'y'],
        parentTable: 'two',
        parentColumns: ['b', 'a'],
        onUpdate: 'RESTRICT',
        onDelete: 'NO ACTION',
        initiallyDeferred: false,
      },
      expect.objectContaining({ columns: ['x'], parentTable: 'two', parentColumns: [] }),
    ])
  })
})

describe('constraints', () => {
  it('give checks of columns and tables with their names', () => {
    const table = tableOf(`CREATE TABLE t(
      a INT CHECK (a > 0) CONSTRAINT "b pos" CHECK(a < (10)) NOT NULL, b TEXT CHECK (b IN ('(', ')', 'x')),
      CONSTRAINT whole CHECK (a <> b), CHECK (length(b) < 5) CHECK (1))`)
    expect(table.checks).toEqual([
      { name: null, expression: 'a > 0' },
      { name: 'b pos', expression: 'a < (10)' },
      { name: null, expression: `b IN ('(', ')', 'x')` },
      { name: 'whole', expression: 'a <> b' },
      { name: null, expression: 'length(b) < 5' },
      { name: null, expression: '1' },
    ])
  })

  it('name the conflict clauses', () => {
    const table =
      tableOf(`CREATE TABLE t(a INT NOT NULL ON CONFLICT IGNORE, b UNIQUE ON CONFLICT REPLACE, c UNIQUE ON CONFLICT ABORT,
      PRIMARY KEY (a, b) ON CONFLICT FAIL)`)
    expect(table.conflictClauses).toEqual([
      { constraint: 'NOT NULL (a)', action: 'IGNORE' },
      { constraint: 'UNIQUE (b)', action: 'REPLACE' },
      { constraint: 'PRIMARY KEY (a, b)', action: 'FAIL' },
    ])
    expect(tableOf('CREATE TABLE t(a UNIQUE)')).not.toHaveProperty('conflictClauses')
  })
})

describe('other objects', () => {
  it('views give their SELECT and the names of their columns', () => {
    const { views } = schemaOf(
      'CREATE TABLE t(a, b)',
      'CREATE VIEW v AS SELECT a, b + 1 FROM t -- end',
      'CREATE VIEW IF NOT EXISTS [w w]("x y", z) AS\n SELECT * FROM t;',
      'CREATE VIEW broken AS SELECT * FROM nowhere',
      'CREATE VIEW named(one, [two 2]) AS SELECT "text", 2',
    )
    expect(views).toMatchObject([
      { name: 'v', select: 'SELECT a, b + 1 FROM t', columns: ['a', 'b + 1'] },
      { name: 'w w', select: 'SELECT * FROM t', columns: ['x y', 'z'] },
      { name: 'broken', select: 'SELECT * FROM nowhere', columns: null },
      { name: 'named', columns: ['one', 'two 2'] },
    ])
  })

  it('triggers give their table', () => {
    const sql = 'CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END'
    expect(schemaOf('CREATE TABLE t(a)', sql).triggers).toEqual([{ name: 'tr', table: 't', sql }])
  })

  it('virtual tables own their shadow tables, and neither counts as a table', () => {
    const { tables, virtualTables } = schemaOf(
      'CREATE VIRTUAL TABLE docs USING fts5(title, body)',
      'CREATE VIRTUAL TABLE "docs_x" USING FTS5(title)',
      'CREATE VIRTUAL TABLE box USING rtree(id, a, b)',
      'CREATE TABLE docs_notes(a)',
      'CREATE TABLE real(a)',
      'ANALYZE',
    )
    expect(tables.map((table) => table.name)).toEqual(['docs_notes', 'real'])
    expect(virtualTables.map(({ name, module }) => `${name}: ${module}`)).toEqual(['docs: fts5', 'docs_x: fts5', 'box: rtree'])
    expect(virtualTables[0]?.shadowTables.toSorted()).toEqual([
      'docs_config',
      'docs_content',
      'docs_data',
      'docs_docsize',
      'docs_idx',
    ])
    expect(virtualTables[1]?.shadowTables).toContain('docs_x_data')
    expect(virtualTables[2]?.shadowTables.toSorted()).toEqual(['box_node', 'box_parent', 'box_rowid'])
  })

  it('a virtual table whose module is missing is named with the reason, and the rest is read', () => {
    const db = new Sqlite(':memory:')
    db.exec('CREATE TABLE t(a)')
    db.unsafeMode(true)
    db.pragma('writable_schema = ON')
    db.exec(`INSERT INTO sqlite_schema VALUES ('table', 'vec', 'vec', 0, 'CREATE VIRTUAL TABLE vec USING vec0(x float[3])')`)
    const bytes = db.serialize()
    db.close()
    const other = new Sqlite(bytes)
    const schema = introspect(other)
    other.close()
    expect(schema.tables.map((table) => table.name)).toEqual(['t'])
    expect(schema.virtualTables).toMatchObject([{ name: 'vec', module: 'vec0', shadowTables: [] }])
    expect(schema.unreadable).toEqual([{ type: 'virtualTable', name: 'vec', reason: 'no such module: vec0' }])
  })

  it('pragmas give encoding, sizes and versions', () => {
    const schema = schemaOf(
      `PRAGMA encoding = 'UTF-16be'`,
      'CREATE TABLE t(a)',
      'PRAGMA user_version = 7',
      'PRAGMA application_id = 99',
    )
    expect(schema).toMatchObject({
      encoding: 'UTF-16be',
      userVersion: 7,
      applicationId: 99,
      pageSizeBytes: 4096,
      journalMode: 'memory',
    })
    expect(schema.sizeBytes).toBe(8192)
    expect(schema.schemaVersion).toBeGreaterThan(0)
  })

  it('are read in the order of their making', () => {
    const { tables } = schemaOf('CREATE TABLE z(a)', 'CREATE TABLE a(a)', 'CREATE TABLE m(a)')
    expect(tables.map((table) => table.name)).toEqual(['z', 'a', 'm'])
  })
})
