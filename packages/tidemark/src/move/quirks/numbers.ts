import type { Quirk } from './quirk.js'

/** Whole numbers, reals and decimals where SQLite promises less than their types say. */
export const numberQuirks: readonly Quirk[] = [
  {
    name: 'whole numbers at the ends of 64 bits keep every digit',
    make: `CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER);
      INSERT INTO t (n) VALUES (9223372036854775807), (-9223372036854775808), (9007199254740993), (-9007199254740993), (9007199254740992), (0), (NULL);`,
    expect: {
      types: { 't.n': 'bigint' },
      account: { t: { rows: 7 } },
      probes: [
        {
          sql: 'SELECT n FROM t ORDER BY id LIMIT 4',
          rows: [['9223372036854775807'], ['-9223372036854775808'], ['9007199254740993'], ['-9007199254740993']],
        },
      ],
    },
  },
  {
    name: 'INT, TINYINT, MEDIUMINT and UNSIGNED BIG INT hold numbers far beyond their names',
    make: `CREATE TABLE t (a INT, b TINYINT, c MEDIUMINT, d UNSIGNED BIG INT, e INT2, f INT8);
      INSERT INTO t VALUES (3000000000, 300, 99999999, 9223372036854775807, 70000, -5);`,
    expect: {
      types: { 't.a': 'bigint', 't.b': 'bigint', 't.c': 'bigint', 't.d': 'bigint', 't.e': 'bigint', 't.f': 'bigint' },
      probes: [{ sql: 'SELECT * FROM t', rows: [['3000000000', '300', '99999999', '9223372036854775807', '70000', '-5']] }],
    },
  },
  {
    name: 'rowids like snowflakes, beyond 2^53, are keys that differ in their last digit only',
    make: (database) => {
      database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, parent INTEGER, note TEXT)')
      const insert = database.prepare('INSERT INTO t VALUES (?, ?, ?)')
      for (let i = 0n; i < 1000n; i++) insert.run(1_145_141_919_810_893_000n + i, 1_145_141_919_810_892_999n + i, `note ${i}`)
    },
    expect: {
      account: { t: { rows: 1000 } },
      probes: [
        {
          sql: 'SELECT count(DISTINCT id), min(id), max(id) FROM t',
          rows: [['1000', '1145141919810893000', '1145141919810893999']],
        },
        { sql: 'SELECT count(*) FROM t WHERE parent <> id - 1', rows: [['0']] },
        { sql: "INSERT INTO t (note) VALUES ('next') RETURNING id", rows: [['1145141919810894000']] },
      ],
    },
  },
  {
    name: 'rowids below zero and near the ends, in a table without a key',
    make: `CREATE TABLE t (n TEXT); INSERT INTO t (rowid, n) VALUES (-9223372036854775808, 'first'), (-1, 'minus'), (0, 'zero'), (9223372036854775807, 'last');`,
    expect: { account: { t: { rows: 4 } }, probes: [{ sql: 'SELECT count(*) FROM t', rows: [['4']] }] },
  },
  {
    name: 'reals keep all seventeen digits',
    make: `CREATE TABLE t (x REAL, y FLOAT, z DOUBLE PRECISION);
      INSERT INTO t VALUES (0.3333333333333333, 0.1, 123456789.123456789), (1e308, 5e-324, 2.2250738585072014e-308), (0.30000000000000004, 1.7976931348623157e308, -1e-300);`,
    expect: {
      types: { 't.x': 'double precision', 't.y': 'double precision', 't.z': 'double precision' },
      account: { t: { rows: 3 } },
      probes: [{ sql: 'SELECT x FROM t WHERE x < 1 ORDER BY x', rows: [['0.30000000000000004'], ['0.3333333333333333']] }],
    },
  },
  {
    name: 'infinities and zeros in a column of reals, where SQLite itself forgets the sign of a zero',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY, x REAL); INSERT INTO t (x) VALUES (9e999), (-9e999), (-0.0), (0.0), (NULL);',
    expect: {
      account: { t: { rows: 5 } },
      probes: [{ sql: 'SELECT x FROM t ORDER BY id', rows: [['Infinity'], ['-Infinity'], ['0'], ['0'], [null]] }],
    },
  },
  {
    name: 'minus zero where SQLite keeps it',
    make: (database) => {
      database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, x)')
      database.prepare('INSERT INTO t (x) VALUES (?), (?)').run(-0, 0.5)
    },
    expect: {
      types: { 't.x': 'double precision' },
      account: { t: { rows: 2 } },
      probes: [{ sql: 'SELECT x FROM t ORDER BY id', rows: [['-0'], ['0.5']] }],
    },
  },
  {
    name: 'what would be NaN is NULL in SQLite, and stays NULL',
    make: "CREATE TABLE t (x REAL); INSERT INTO t VALUES (9e999 - 9e999), (1.5); INSERT INTO t SELECT CAST('NaN' AS REAL);",
    expect: { account: { t: { rows: 3 } }, probes: [{ sql: 'SELECT count(*), count(x) FROM t', rows: [['3', '2']] }] },
  },
  {
    name: 'texts nan and inf in a column of reals are texts',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, x REAL); INSERT INTO t (x) VALUES ('nan'), ('inf'), ('-Infinity'), (1.5);",
    expect: {
      types: { 't.x': 'text' },
      hazards: ['mixedStorage t.x'],
      account: { t: { rows: 4, mapped: 1 } },
      probes: [{ sql: 'SELECT x FROM t ORDER BY id', rows: [['nan'], ['inf'], ['-Infinity'], ['1.5']] }],
    },
  },
  {
    name: 'reals that stand in a column of whole numbers make it numeric',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t (n) VALUES (1), (2.5), (9007199254740993), (-0.125), (1e300);',
    expect: {
      types: { 't.n': 'numeric' },
      hazards: ['mixedStorage t.n'],
      account: { t: { rows: 5 } },
      probes: [{ sql: 'SELECT n FROM t ORDER BY id LIMIT 4', rows: [['1'], ['2.5'], ['9007199254740993'], ['-0.125']] }],
    },
  },
  {
    name: 'one infinity in a column of whole numbers',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t (n) VALUES (1), (9e999), (-9e999);',
    expect: {
      types: { 't.n': 'numeric' },
      hazards: ['mixedStorage t.n'],
      account: { t: { rows: 3 } },
      probes: [{ sql: 'SELECT n FROM t ORDER BY id', rows: [['1'], ['Infinity'], ['-Infinity']] }],
    },
  },
  {
    name: 'only reals in a column of whole numbers',
    make: 'CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1.5), (2.25);',
    expect: { types: { 't.n': 'double precision' }, account: { t: { rows: 2 } } },
  },
  {
    name: 'texts in a numeric column are kept beside its numbers',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, n NUMERIC); INSERT INTO t (n) VALUES (1), ('12abc'), (1.5), (''), ('  7'), (9007199254740993);",
    expect: {
      types: { 't.n': 'text' },
      hazards: ['mixedStorage t.n'],
      account: { t: { rows: 6, mapped: 4 } },
      probes: [{ sql: 'SELECT n FROM t ORDER BY id', rows: [['1'], ['12abc'], ['1.5'], [''], ['7'], ['9007199254740993']] }],
    },
  },
  {
    name: 'a chosen double takes no whole number that it would round',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t (n) VALUES (1), (9007199254740992), (9007199254740993), (9223372036854775807);',
    choices: { rejects: 'allow', tables: { t: { columns: { n: { type: 'double precision' } } } } },
    expect: { types: { 't.n': 'double precision' }, hazards: ['unfitValue t.n'], account: { t: { rows: 4, rejected: 2 } } },
  },
  {
    name: 'a chosen numeric rejects the texts of its column by name',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, n NUMERIC); INSERT INTO t (n) VALUES (1), ('n/a'), (1.5);",
    choices: { tables: { t: { columns: { n: { type: 'numeric' } } } } },
    expect: {
      types: { 't.n': 'numeric' },
      hazards: ['unfitValue t.n'],
      account: { t: { rows: 3, rejected: 1 } },
      probes: [
        {
          sql: "SELECT table_name, row_key, column_name, convert_from(bytes, 'UTF8'), allowed FROM tidemark.move_rejects WHERE bytes = 'n/a'",
          rows: [['t', 'id=2', 'n', 'n/a', 'f']],
        },
      ],
    },
  },
  {
    name: 'a chosen numeric writes NULL for the texts of its column',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, n NUMERIC); INSERT INTO t (n) VALUES (1), ('n/a'), (1.5);",
    choices: { tables: { t: { columns: { n: { type: 'numeric', badValue: 'null' } } } } },
    expect: {
      hazards: ['unfitValue t.n'],
      account: { t: { rows: 3, mapped: 1 } },
      probes: [{ sql: 'SELECT n FROM t ORDER BY id', rows: [['1'], [null], ['1.5']] }],
    },
  },
  {
    name: 'a chosen integer rejects what does not fit, and what is no whole number',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t (n) VALUES (1), (2147483647), (2147483648), (-2147483649), (1.5);',
    choices: { rejects: 'allow', tables: { t: { columns: { n: { type: 'integer' } } } } },
    expect: { types: { 't.n': 'integer' }, hazards: ['unfitValue t.n'], account: { t: { rows: 5, rejected: 3 } } },
  },
  {
    name: 'decimals within their precision keep it',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY, price DECIMAL(10,2), n NUMERIC(5), m DECIMAL); INSERT INTO t (price, n, m) VALUES (19.99, 12345, 0.1), (0.1, -1, 1e-7), (99999999.99, 0, 123456789012), (5, NULL, 7);',
    expect: {
      types: { 't.price': 'numeric(10,2)', 't.n': 'numeric(5,0)', 't.m': 'numeric' },
      account: { t: { rows: 4 } },
      probes: [
        {
          sql: 'SELECT price, n, m FROM t ORDER BY id',
          rows: [
            ['19.99', '12345', '0.1'],
            ['0.10', '-1', '0.0000001'],
            ['99999999.99', '0', '123456789012'],
            ['5.00', null, '7'],
          ],
        },
      ],
    },
  },
  {
    name: 'decimals beyond their precision lose no digit',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY, price DECIMAL(5,2)); INSERT INTO t (price) VALUES (19.999), (123456.5), (0.1), (1e20), (1e-20);',
    expect: {
      types: { 't.price': 'numeric' },
      account: { t: { rows: 5 } },
      probes: [
        {
          sql: 'SELECT price FROM t ORDER BY id',
          rows: [['19.999'], ['123456.5'], ['0.1'], ['100000000000000000000'], ['0.00000000000000000001']],
        },
      ],
    },
  },
  {
    name: 'an infinity in a column of decimals',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY, price DECIMAL(10,2)); INSERT INTO t (price) VALUES (1.25), (9e999);',
    expect: {
      types: { 't.price': 'numeric' },
      account: { t: { rows: 2 } },
      probes: [{ sql: 'SELECT price FROM t ORDER BY id', rows: [['1.25'], ['Infinity']] }],
    },
  },
  {
    name: 'decimals written as texts in a TEXT column stay texts',
    make: "CREATE TABLE t (price TEXT); INSERT INTO t VALUES ('19.90'), ('0019.9'), ('1e3');",
    expect: {
      types: { 't.price': 'text' },
      account: { t: { rows: 3 } },
      probes: [{ sql: "SELECT price FROM t WHERE price LIKE '00%'", rows: [['0019.9']] }],
    },
  },
  {
    name: 'numbers of either kind in a column without a type',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t (v) VALUES (1), (1.0), (-0.0), (9223372036854775807), (1e15), (1e16);',
    expect: {
      types: { 't.v': 'numeric' },
      hazards: ['mixedStorage t.v'],
      account: { t: { rows: 6 } },
      probes: [
        {
          sql: 'SELECT v FROM t ORDER BY id',
          rows: [['1'], ['1'], ['0'], ['9223372036854775807'], ['1000000000000000'], ['10000000000000000']],
        },
      ],
    },
  },
  {
    name: 'every storage class in one column without a type',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t (v) VALUES (1), (2.5), ('three'), (x'04ff'), (NULL), (9007199254740993);",
    expect: {
      types: { 't.v': 'bytea' },
      hazards: ['mixedStorage t.v'],
      account: { t: { rows: 6, mapped: 4 } },
      probes: [
        {
          sql: 'SELECT v FROM t ORDER BY id',
          rows: [['\\x31'], ['\\x322e35'], ['\\x7468726565'], ['\\x04ff'], [null], ['\\x39303037313939323534373430393933']],
        },
      ],
    },
  },
]
