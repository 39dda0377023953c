import type { Quirk } from './quirk.js'

const wide = (columns: number, type: string): string =>
  `CREATE TABLE wide (${Array.from({ length: columns }, (_, i) => `c${i} ${type}`).join(', ')})`

/** Empty, wide, long and very large. */
export const shapeQuirks: readonly Quirk[] = [
  {
    name: 'empty tables get their columns by what was declared',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(10), b BOOLEAN, c DATETIME, d DECIMAL(8,2), e BLOB, f REAL, g JSON, h DATE, i);',
    expect: {
      types: {
        't.id': 'bigint',
        't.a': 'text',
        't.b': 'boolean',
        't.c': 'timestamp without time zone',
        't.e': 'bytea',
        't.f': 'double precision',
        't.g': 'json',
        't.h': 'date',
      },
      account: { t: { rows: 0 } },
    },
  },
  {
    name: 'empty tables keep their keys and uniqueness',
    make: 'CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT UNIQUE, nick VARCHAR(20) COLLATE NOCASE UNIQUE); CREATE TABLE tags (name TEXT PRIMARY KEY, n REAL UNIQUE, d DATE UNIQUE);',
    expect: {
      probes: [
        { sql: "INSERT INTO users (email, nick) VALUES ('a', 'Ann')" },
        { sql: "INSERT INTO users (email) VALUES ('a')", refused: '23505' },
        { sql: "INSERT INTO users (nick) VALUES ('ANN')", refused: '23505' },
        { sql: "INSERT INTO tags (name) VALUES ('x'), ('x')", refused: '23505' },
      ],
    },
  },
  {
    name: 'columns of nothing but NULL',
    make: 'CREATE TABLE t (a INTEGER, b TEXT, c BLOB, d REAL, e); INSERT INTO t VALUES (NULL, NULL, NULL, NULL, NULL), (NULL, NULL, NULL, NULL, NULL);',
    expect: { account: { t: { rows: 2 } } },
  },
  {
    name: 'a table of 1,500 columns, mostly NULL',
    make: (database) => {
      database.exec(wide(1500, 'INTEGER'))
      database.exec('INSERT INTO wide (c0, c1499) VALUES (1, 2), (3, 4)')
    },
    expect: {
      account: { wide: { rows: 2 } },
      probes: [
        {
          sql: 'SELECT c0, c1499 FROM wide ORDER BY 1',
          rows: [
            ['1', '2'],
            ['3', '4'],
          ],
        },
      ],
    },
  },
  {
    name: 'a row too wide for a page of Postgres is rejected, and its neighbours are not',
    make: (database) => {
      database.exec(wide(1500, 'INTEGER'))
      database.exec(
        `INSERT INTO wide (c0) VALUES (1); INSERT INTO wide VALUES (${Array.from({ length: 1500 }, (_, i) => i).join(', ')}); INSERT INTO wide (c0) VALUES (3)`,
      )
    },
    expect: { account: { wide: { rows: 3, rejected: 1 } } },
  },
  {
    name: 'more than 1,600 columns, the limit of Postgres, are refused by name',
    make: (database) => database.exec(wide(1700, 'TEXT')),
    expect: { error: { code: 'TM_MOVE_TOO_WIDE', says: /wide.*1700/s } },
  },
  {
    name: 'a text of 12 MB and a blob of 9 MB beside small rows',
    make: (database) => {
      database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, b BLOB)')
      const insert = database.prepare('INSERT INTO t (v, b) VALUES (?, ?)')
      insert.run('small', Buffer.from('small'))
      insert.run('0123456789abcdeé'.repeat(768 * 1024), null)
      insert.run(null, Buffer.alloc(9 * 1024 * 1024, 0xa5))
      insert.run('small again', null)
    },
    expect: {
      account: { t: { rows: 4 } },
      probes: [
        {
          sql: 'SELECT coalesce(length(v), octet_length(b)) FROM t ORDER BY id',
          rows: [['5'], ['12582912'], ['9437184'], ['11']],
        },
      ],
    },
  },
  {
    name: 'rows that only differ in what stands far back',
    make: (database) => {
      database.exec('CREATE TABLE t (v TEXT)')
      const insert = database.prepare('INSERT INTO t VALUES (?)')
      for (let i = 0; i < 300; i++) insert.run('x'.repeat(5000) + (i % 150))
    },
    expect: { account: { t: { rows: 300 } } },
  },
  {
    name: 'a table and a file changed by ALTER TABLE ADD COLUMN, with rows from before',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2); ALTER TABLE t ADD COLUMN n INTEGER DEFAULT 7; ALTER TABLE t ADD COLUMN s TEXT NOT NULL DEFAULT 'none'; INSERT INTO t VALUES (3, 8, 'x'); ALTER TABLE t ADD COLUMN late REAL;",
    expect: {
      account: { t: { rows: 3 } },
      probes: [
        {
          sql: 'SELECT n, s, late FROM t ORDER BY id',
          rows: [
            ['7', 'none', null],
            ['7', 'none', null],
            ['8', 'x', null],
          ],
        },
      ],
    },
  },
  {
    name: 'a column dropped from between',
    make: "CREATE TABLE t (a INTEGER, b TEXT, c REAL); INSERT INTO t VALUES (1, 'gone', 0.5); ALTER TABLE t DROP COLUMN b;",
    expect: { account: { t: { rows: 1 } }, probes: [{ sql: 'SELECT * FROM t', rows: [['1', '0.5']] }] },
  },
  {
    name: 'forty thousand rows in ids with holes and both ends',
    make: (database) => {
      database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, w REAL)')
      const insert = database.prepare('INSERT INTO t VALUES (?, ?, ?)')
      database.transaction(() => {
        for (let i = 0; i < 40_000; i++) insert.run(i * i - 800_000_000, `row ${i}`, i / 3)
      })()
    },
    expect: { account: { t: { rows: 40_000 } } },
  },
]
