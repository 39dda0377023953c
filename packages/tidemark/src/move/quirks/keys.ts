import type { Quirk } from './quirk.js'

/** Primary keys of every kind, and tables without any. */
export const keyQuirks: readonly Quirk[] = [
  {
    name: 'AUTOINCREMENT goes on after ids that were given out and deleted',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT); INSERT INTO t VALUES (1000, NULL); DELETE FROM t; INSERT INTO t VALUES (1, NULL);',
    expect: { account: { t: { rows: 1 } }, probes: [{ sql: 'INSERT INTO t DEFAULT VALUES RETURNING id', rows: [['1001']] }] },
  },
  {
    name: 'AUTOINCREMENT of a table that is empty now',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO t VALUES (41); DELETE FROM t;',
    expect: { account: { t: { rows: 0 } }, probes: [{ sql: 'INSERT INTO t DEFAULT VALUES RETURNING id', rows: [['42']] }] },
  },
  {
    name: 'AUTOINCREMENT of a table that never had a row',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT);',
    expect: { probes: [{ sql: 'INSERT INTO t DEFAULT VALUES RETURNING id', rows: [['1']] }] },
  },
  {
    name: 'AUTOINCREMENT at the last id there is',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO t VALUES (9223372036854775807);',
    expect: { account: { t: { rows: 1 } }, probes: [{ sql: 'INSERT INTO t DEFAULT VALUES', refused: '2200H' }] },
  },
  {
    name: 'ids below one only',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (-5), (0);',
    expect: { account: { t: { rows: 2 } }, probes: [{ sql: 'INSERT INTO t DEFAULT VALUES RETURNING id', rows: [['1']] }] },
  },
  {
    name: 'INTEGER PRIMARY KEY DESC is no rowid, and may hold NULL',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY DESC, v TEXT); INSERT INTO t VALUES (NULL, 'a'), (NULL, 'b'), (7, 'c');",
    expect: {
      account: { t: { rows: 3 } },
      objects: { 'primaryKey t.primary key of t': 'translated' },
      probes: [{ sql: "INSERT INTO t VALUES (7, 'd')", refused: '23505' }],
    },
  },
  {
    name: 'INT PRIMARY KEY is no rowid',
    make: "CREATE TABLE t (id INT PRIMARY KEY, v TEXT); INSERT INTO t VALUES (5, 'a'), (3, 'b');",
    expect: { account: { t: { rows: 2 } }, probes: [{ sql: "INSERT INTO t VALUES (5, 'x')", refused: '23505' }] },
  },
  {
    name: 'a table without a primary key, with rows that are alike',
    make: "CREATE TABLE t (a INTEGER, b TEXT); INSERT INTO t VALUES (1, 'x'), (1, 'x'), (NULL, NULL), (NULL, NULL), (2, 'y');",
    expect: { account: { t: { rows: 5 } }, probes: [{ sql: "SELECT count(*) FROM t WHERE a = 1 AND b = 'x'", rows: [['2']] }] },
  },
  {
    name: 'a composite primary key stays one, in its order',
    make: "CREATE TABLE t (a INTEGER, b TEXT, c REAL, PRIMARY KEY (b, a)); INSERT INTO t VALUES (1, 'x', 1), (2, 'x', 2), (1, 'y', 3);",
    expect: {
      account: { t: { rows: 3 } },
      probes: [
        { sql: "INSERT INTO t VALUES (1, 'x', 9)", refused: '23505' },
        {
          sql: "SELECT string_agg(a.attname, ',' ORDER BY k.n) FROM pg_constraint AS p, unnest(p.conkey) WITH ORDINALITY AS k(num, n) JOIN pg_attribute AS a ON a.attnum = k.num WHERE p.conrelid = 't'::regclass AND a.attrelid = p.conrelid AND p.contype = 'p'",
          rows: [['b,a']],
        },
      ],
    },
  },
  {
    name: 'NULLs in a primary key',
    make: "CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT); INSERT INTO t VALUES (NULL, 'a'), (NULL, 'b'), ('x', 'c');",
    expect: {
      account: { t: { rows: 3 } },
      objects: { 'primaryKey t.primary key of t': 'translated' },
      probes: [{ sql: "INSERT INTO t VALUES ('x', 'd')", refused: '23505' }, { sql: "INSERT INTO t VALUES (NULL, 'e')" }],
    },
  },
  {
    name: 'NULLs in a primary key, one of whose rows is rejected',
    make: "CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT); INSERT INTO t VALUES (NULL, 'a'), (NULL, CAST(x'6100' AS TEXT)), (NULL, 'c');",
    expect: {
      hazards: ['nulByte t.v'],
      account: { t: { rows: 3, rejected: 1 } },
      objects: { 'primaryKey t.primary key of t': 'translated' },
      probes: [
        {
          sql: 'SELECT row_key FROM tidemark.move_rejects WHERE run_id = (SELECT id FROM tidemark.move_runs WHERE target_schema = current_schema)',
          rows: [['k=NULL, rowid=2']],
        },
      ],
    },
  },
  {
    name: 'NULLs in a composite primary key',
    make: 'CREATE TABLE t (a INTEGER, b INTEGER, PRIMARY KEY (a, b)); INSERT INTO t VALUES (1, NULL), (1, NULL), (1, 2);',
    expect: { account: { t: { rows: 3 } }, probes: [{ sql: 'INSERT INTO t VALUES (1, 2)', refused: '23505' }] },
  },
  {
    name: '1 and the text 1 are two keys in SQLite, and would be one in Postgres',
    make: "CREATE TABLE t (k PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'number'), ('1', 'text');",
    expect: { hazards: ['mixedStorage t.k'], account: { t: { rows: 2, mapped: 1 } }, failed: ['primary key of t'] },
  },
  {
    name: 'WITHOUT ROWID by a text key',
    make: (database) => {
      database.exec('CREATE TABLE t (k TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID')
      const insert = database.prepare('INSERT INTO t VALUES (?, ?)')
      for (let i = 0; i < 3000; i++) insert.run(`key ${(i * 7919) % 3000} ${'ä'.repeat(i % 3)}`, i)
    },
    expect: { account: { t: { rows: 3000 } } },
  },
  {
    name: 'WITHOUT ROWID by a text key, some of which are no UTF-8',
    make: (database) => {
      database.exec('CREATE TABLE t (k TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID')
      const insert = database.prepare('INSERT INTO t VALUES (CAST(? AS TEXT), ?)')
      for (let i = 0; i < 1000; i++)
        insert.run(
          Buffer.concat([Buffer.from(`k${String(i).padStart(4, '0')}`), Buffer.from(i % 5 === 0 ? [0xff, 65 + (i % 50)] : [])]),
          i,
        )
    },
    expect: { hazards: ['invalidUtf8 t.k'], account: { t: { rows: 1000, rejected: 200 } } },
  },
  {
    name: 'WITHOUT ROWID by keys with a NUL',
    make: "CREATE TABLE t (k TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID; INSERT INTO t VALUES ('a', 1), (CAST(x'6100' AS TEXT), 2), (CAST(x'610062' AS TEXT), 3), ('b', 4);",
    expect: { hazards: ['nulByte t.k'], account: { t: { rows: 4, rejected: 2 } } },
  },
  {
    name: 'WITHOUT ROWID by descending keys',
    make: (database) => {
      database.exec('CREATE TABLE t (a INTEGER, b TEXT, PRIMARY KEY (a DESC, b)) WITHOUT ROWID')
      const insert = database.prepare('INSERT INTO t VALUES (?, ?)')
      for (let i = 0; i < 1500; i++) insert.run(Math.floor(i / 3), `b${i % 3}`)
    },
    expect: { account: { t: { rows: 1500 } } },
  },
  {
    name: 'WITHOUT ROWID by a NOCASE key',
    make: (database) => {
      database.exec('CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, n INTEGER) WITHOUT ROWID')
      const insert = database.prepare('INSERT INTO t VALUES (?, ?)')
      for (let i = 0; i < 600; i++) insert.run(`${i % 2 ? 'Key' : 'key'}${i}`, i)
    },
    expect: {
      account: { t: { rows: 600 } },
      objects: { 'primaryKey t.primary key of t': 'translated' },
      probes: [{ sql: "INSERT INTO t VALUES ('KEY1', 0)", refused: '23505' }],
    },
  },
  {
    name: 'WITHOUT ROWID by keys of many storage classes',
    make: "CREATE TABLE t (k PRIMARY KEY, n INTEGER) WITHOUT ROWID; INSERT INTO t VALUES (9007199254740993, 1), (9007199254740992.0, 2), (1.5, 3), ('text', 4), (x'00ff', 5), (-9e999, 6);",
    expect: { hazards: ['mixedStorage t.k'], account: { t: { rows: 6, mapped: 5 } } },
  },
  {
    name: 'a blob as primary key',
    make: "CREATE TABLE t (k BLOB PRIMARY KEY, n INTEGER) WITHOUT ROWID; INSERT INTO t VALUES (x'', 1), (x'00', 2), (x'ff', 3), (x'0000', 4);",
    expect: {
      types: { 't.k': 'bytea' },
      account: { t: { rows: 4 } },
      probes: [{ sql: "INSERT INTO t VALUES ('\\x00', 9)", refused: '23505' }],
    },
  },
  {
    name: 'a real as primary key',
    make: 'CREATE TABLE t (k REAL PRIMARY KEY); INSERT INTO t VALUES (0.1), (1e300), (-9e999), (5e-324);',
    expect: { types: { 't.k': 'double precision' }, account: { t: { rows: 4 } } },
  },
  {
    name: 'columns named rowid, _rowid_ and oid leave no handle on the rows',
    make: "CREATE TABLE t (rowid TEXT, _rowid_ INTEGER, oid REAL); INSERT INTO t VALUES ('a', 9007199254740993, 1.0), ('b', 2, 2.5), ('b', 2, 2.5), (CAST(x'6100' AS TEXT), 3, NULL), (char(65533), 4, NULL), (CAST(x'ff' AS TEXT), 5, NULL);",
    expect: {
      hazards: ['nulByte t.rowid', 'invalidUtf8 t.rowid'],
      account: { t: { rows: 6, rejected: 2 } },
      probes: [{ sql: "SELECT _rowid_ FROM t WHERE rowid = 'a'", rows: [['9007199254740993']] }],
    },
  },
  {
    name: 'no handle on the rows, and every storage class in them',
    make: "CREATE TABLE t (rowid, _rowid_, oid); INSERT INTO t VALUES (1, 2, 1.0), ('x', 2.5, 5), (x'ff', 9007199254740993, 1e300);",
    expect: {
      hazards: ['mixedStorage t._rowid_', 'mixedStorage t.oid', 'mixedStorage t.rowid'],
      account: { t: { rows: 3, mapped: 2 } },
      probes: [{ sql: "SELECT encode(rowid, 'escape'), _rowid_, oid FROM t WHERE oid = 1", rows: [['1', '2', '1']] }],
    },
  },
  {
    name: 'rows without a handle that Postgres refuses',
    make: "CREATE TABLE t (rowid TEXT UNIQUE, _rowid_ INTEGER, oid JSON); INSERT INTO t VALUES ('a', 1, '{}'), ('b', 2, '{bad'), ('c', 3, '[]');",
    choices: { rejects: 'allow', tables: { t: { columns: { oid: { type: 'json' } } } } },
    expect: { hazards: ['invalidJson t.oid'], account: { t: { rows: 3, rejected: 1 } } },
  },
  {
    name: 'key values that look alike when printed',
    make: "CREATE TABLE t (a TEXT, b TEXT, v TEXT, PRIMARY KEY (a, b)); INSERT INTO t VALUES ('1, b=2', '3', 'kept'), ('1', '2, b=3', 'kept too'), ('null', 'x', 'kept'), ('1, b=2', '4', CAST(x'00' AS TEXT));",
    expect: { hazards: ['nulByte t.v'], account: { t: { rows: 4, rejected: 1 } } },
  },
  {
    name: 'a rejected key that prints like a kept one',
    make: "CREATE TABLE t (a, b TEXT, v TEXT, PRIMARY KEY (a, b)); INSERT INTO t VALUES ('1', 'x', 'kept'), (1, 'x', CAST(x'00' AS TEXT)), ('a, b=b', 'c', CAST(x'00' AS TEXT)), ('a', 'b, b=c', 'kept');",
    expect: { hazards: ['mixedStorage t.a', 'nulByte t.v'], account: { t: { rows: 4, rejected: 2 } } },
  },
]
