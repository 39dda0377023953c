import type { Quirk } from './quirk.js'

/** STRICT, generated columns, CHECKs, defaults and ON CONFLICT clauses. */
export const constraintQuirks: readonly Quirk[] = [
  {
    name: 'a STRICT table with ANY',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, i INT, r REAL, s TEXT, b BLOB, a ANY) STRICT; INSERT INTO t VALUES (1, 5, 5, 'five', x'05', 5), (2, NULL, 0.5, '', x'', 'text'), (3, 9007199254740993, NULL, NULL, NULL, 2.5);",
    expect: {
      types: { 't.i': 'bigint', 't.r': 'double precision', 't.s': 'text', 't.b': 'bytea', 't.a': 'text' },
      hazards: ['mixedStorage t.a'],
      account: { t: { rows: 3, mapped: 2 } },
    },
  },
  {
    name: 'STRICT and WITHOUT ROWID together',
    make: "CREATE TABLE t (k TEXT NOT NULL, n INTEGER, PRIMARY KEY (k, n)) STRICT, WITHOUT ROWID; INSERT INTO t VALUES ('a', 1), ('a', 2);",
    expect: { account: { t: { rows: 2 } } },
  },
  {
    name: 'generated columns, stored and virtual, are computed by Postgres too',
    make: `CREATE TABLE t (id INTEGER PRIMARY KEY, price REAL, quantity INTEGER, total REAL GENERATED ALWAYS AS (price * quantity) STORED, doubled INTEGER AS (quantity * 2) VIRTUAL, label TEXT AS (upper('n' || quantity)));
      INSERT INTO t (price, quantity) VALUES (1.5, 4), (NULL, 2), (0.1, 3);`,
    expect: {
      account: { t: { rows: 3 } },
      probes: [
        {
          sql: 'SELECT total, doubled, label FROM t ORDER BY id',
          rows: [
            ['6', '8', 'N4'],
            [null, '4', 'N2'],
            ['0.30000000000000004', '6', 'N3'],
          ],
        },
        { sql: 'INSERT INTO t (price, quantity) VALUES (2, 2) RETURNING total', rows: [['4']] },
      ],
    },
  },
  {
    name: 'a generated column that Postgres has no words for is copied as values',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, h TEXT AS (printf('%08.3f|%s', length(v), v)) STORED); INSERT INTO t (v) VALUES ('abc'), ('');",
    expect: {
      objects: { 'generated t.h': 'notCarried' },
      account: { t: { rows: 2 } },
      probes: [{ sql: 'SELECT h FROM t ORDER BY id', rows: [['0003.000|abc'], ['0000.000|']] }],
    },
  },
  {
    name: 'a generated column over another one',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER AS (a + 1), c INTEGER AS (b * 2) STORED); INSERT INTO t (a) VALUES (1), (NULL);',
    expect: {
      account: { t: { rows: 2 } },
      probes: [{ sql: 'INSERT INTO t (a) VALUES (4) RETURNING b, c', rows: [['5', '10']] }],
    },
  },
  {
    name: 'CHECKs hold in Postgres',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER CHECK (n > 0), s TEXT CONSTRAINT short CHECK (length(s) < 5), kind TEXT CHECK (kind IN ('a', 'b')), CHECK (n < 100 OR s IS NULL)); INSERT INTO t VALUES (1, 5, 'abc', 'a'), (2, NULL, NULL, NULL);",
    expect: {
      account: { t: { rows: 2 } },
      probes: [
        { sql: 'INSERT INTO t (n) VALUES (0)', refused: '23514' },
        { sql: "INSERT INTO t (s) VALUES ('abcdef')", refused: '23514' },
        { sql: "INSERT INTO t (kind) VALUES ('c')", refused: '23514' },
        { sql: 'INSERT INTO t (n, s, kind) VALUES (NULL, NULL, NULL)' },
      ],
    },
  },
  {
    name: 'a CHECK that rows break, since it was ignored when they came, holds for new rows only',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER CONSTRAINT positive CHECK (n > 0)); PRAGMA ignore_check_constraints = ON; INSERT INTO t (n) VALUES (5), (-5);',
    expect: {
      account: { t: { rows: 2 } },
      unvalidated: ['positive'],
      probes: [
        { sql: 'SELECT n FROM t ORDER BY id', rows: [['5'], ['-5']] },
        { sql: 'INSERT INTO t (n) VALUES (-1)', refused: '23514' },
      ],
    },
  },
  {
    name: 'a CHECK with a function that only SQLite has is named as not carried',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT CHECK (v GLOB '[a-z]*' AND likelihood(unicode(v) > 5, 0.5))); INSERT INTO t (v) VALUES ('abc');",
    expect: {
      account: { t: { rows: 1 } },
      objects: { "check t.v GLOB '[a-z]*' AND likelihood(unicode(v) > 5, 0.5)": 'notCarried' },
    },
  },
  {
    name: 'NOT NULL columns that hold NULL all the same',
    make: (database) => {
      database.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t (v) VALUES ('a'), (NULL);")
      database.unsafeMode(true)
      database.pragma('writable_schema = ON')
      database.exec("UPDATE sqlite_schema SET sql = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT NOT NULL)' WHERE name = 't'")
      database.pragma('writable_schema = OFF')
    },
    expect: { hazards: ['nullInNotNull t.v'], account: { t: { rows: 2, rejected: 1 } } },
  },
  {
    name: 'NULLs of a NOT NULL column written as a value by choice',
    make: (database) => {
      database.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t (v) VALUES ('a'), (NULL);")
      database.unsafeMode(true)
      database.pragma('writable_schema = ON')
      database.exec("UPDATE sqlite_schema SET sql = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT NOT NULL)' WHERE name = 't'")
      database.pragma('writable_schema = OFF')
    },
    choices: { tables: { t: { columns: { v: { nullAs: 'none' } } } } },
    expect: {
      hazards: ['nullReplaced t.v'],
      account: { t: { rows: 2, mapped: 1 } },
      probes: [{ sql: 'SELECT v FROM t ORDER BY id', rows: [['a'], ['none']] }],
    },
  },
  {
    name: 'defaults of every sort',
    make: `CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER DEFAULT 7, b TEXT DEFAULT 'it''s', c TEXT DEFAULT "double quoted", d REAL DEFAULT 1.5, e BLOB DEFAULT x'00ff',
        f INTEGER DEFAULT -1, g TEXT DEFAULT NULL, h TEXT DEFAULT '', i BOOLEAN DEFAULT TRUE, j INTEGER DEFAULT (1 + 2), k TEXT DEFAULT CURRENT_DATE, l TEXT DEFAULT 'null', m NUMERIC DEFAULT '12');
      INSERT INTO t DEFAULT VALUES;`,
    expect: {
      account: { t: { rows: 1 } },
      probes: [
        { sql: 'INSERT INTO t DEFAULT VALUES' },
        {
          sql: 'SELECT a, b, c, d, e, f, g, h, i, j, l, m FROM t WHERE id = 2',
          rows: [['7', "it's", 'double quoted', '1.5', '\\x00ff', '-1', null, '', 't', '3', 'null', '12']],
        },
        { sql: 'SELECT count(DISTINCT (a, b, c, d, e, f, g, h, i, j, k, l, m)) FROM t', rows: [['1']] },
      ],
    },
  },
  {
    name: 'defaults that the column of Postgres cannot take are named',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER DEFAULT 'none', b BOOLEAN DEFAULT 'maybe', at DATETIME DEFAULT 'never'); INSERT INTO t (n, b, at) VALUES (1, 1, '2024-01-01 00:00:00');",
    expect: {
      account: { t: { rows: 1 } },
      objects: { 'default t.n': 'notCarried', 'default t.b': 'notCarried', 'default t.at': 'notCarried' },
    },
  },
  {
    name: 'random defaults',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY, r INTEGER DEFAULT (random()), h TEXT DEFAULT (lower(hex(randomblob(16)))), b BLOB DEFAULT (randomblob(8))); INSERT INTO t DEFAULT VALUES; INSERT INTO t DEFAULT VALUES;',
    expect: {
      objects: { 'default t.r': 'notCarried' },
      account: { t: { rows: 2 } },
      probes: [
        {
          sql: "INSERT INTO t DEFAULT VALUES RETURNING h ~ '^[0-9a-f]{32}$', octet_length(b)",
          rows: [['t', '8']],
        },
      ],
    },
  },
  {
    name: 'ON CONFLICT clauses of constraints have no word in Postgres',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE ON CONFLICT REPLACE, b TEXT NOT NULL ON CONFLICT IGNORE); INSERT INTO t (a, b) VALUES ('x', 'y');",
    expect: {
      account: { t: { rows: 1 } },
      hazards: ['conflictClause t', 'conflictClause t'],
      probes: [{ sql: "INSERT INTO t (a, b) VALUES ('x', 'z')", refused: '23505' }],
    },
  },
]
