import { randomBytes } from 'node:crypto'
import type { Quirk } from './quirk.js'

/** Indexes and uniqueness. */
export const indexQuirks: readonly Quirk[] = [
  {
    name: 'a partial unique index keeps its predicate',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT, deleted INTEGER); CREATE UNIQUE INDEX live ON t (email) WHERE deleted = 0; INSERT INTO t (email, deleted) VALUES ('a', 0), ('a', 1), ('a', 1);",
    expect: {
      account: { t: { rows: 3 } },
      probes: [
        { sql: "INSERT INTO t (email, deleted) VALUES ('a', 0)", refused: '23505' },
        { sql: "INSERT INTO t (email, deleted) VALUES ('a', 1)" },
      ],
    },
  },
  {
    name: 'an index on an expression, unique',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); CREATE UNIQUE INDEX folded ON t (lower(name)); INSERT INTO t (name) VALUES ('Ann'), ('Bob');",
    expect: { account: { t: { rows: 2 } }, probes: [{ sql: "INSERT INTO t (name) VALUES ('ANN')", refused: '23505' }] },
  },
  {
    name: 'text longer than an index of Postgres takes: indexes are named, uniqueness stays',
    make: (writer) => {
      writer.exec(`CREATE TABLE long (id INTEGER PRIMARY KEY, body TEXT, short TEXT, u TEXT UNIQUE, raw BLOB, n INTEGER);
        CREATE INDEX bodies ON long (body); CREATE INDEX shorts ON long (short); CREATE INDEX folded ON long (n, lower(body));
        CREATE UNIQUE INDEX raws ON long (raw, n); CREATE INDEX parts ON long (substr(body, 1, 5));
        CREATE TABLE keyed (k TEXT PRIMARY KEY, v TEXT); CREATE TABLE child (id INTEGER PRIMARY KEY, k TEXT REFERENCES keyed (k));`)
      const random = (bytes: number) => randomBytes(bytes).toString('hex')
      const insert = writer.prepare('INSERT INTO long VALUES (?, ?, ?, ?, ?, ?)')
      insert.run(1, random(5000), 's', '\\x\\'.repeat(1000), randomBytes(4000), 1)
      insert.run(2, 'b', 's', null, Buffer.alloc(3), null)
      insert.run(3, 'b', 's', null, null, null)
      const key = random(2000)
      writer.prepare('INSERT INTO keyed VALUES (?, ?)').run(key, 'v')
      writer.prepare('INSERT INTO child VALUES (1, ?)').run(key)
    },
    expect: {
      account: { long: { rows: 3 }, keyed: { rows: 1 }, child: { rows: 1 } },
      hazards: ['longIndexed long.body', 'longIndexed long', 'longIndexed long', 'longIndexed long.u', 'longIndexed keyed.k'],
      objects: {
        'index long.bodies': 'notCarried',
        'index long.folded': 'notCarried',
        'index long.shorts': 'kept',
        'index long.parts': 'kept',
        'unique long.sqlite_autoindex_long_1': 'translated',
        'unique long.raws': 'translated',
        'primaryKey keyed.primary key of keyed': 'translated',
        'foreignKey child.k → keyed': 'notCarried',
      },
      probes: [
        { sql: "INSERT INTO long (id, u) VALUES (9, repeat(E'\\\\x\\\\', 1000))", refused: '23505' },
        { sql: "INSERT INTO long (id, u) VALUES (9, repeat(E'\\\\x\\\\', 1001))" },
        { sql: 'INSERT INTO long (id, raw, n) SELECT 9, raw, n FROM long WHERE id = 1', refused: '23505' },
        { sql: 'INSERT INTO keyed SELECT k FROM keyed', refused: '23505' },
      ],
    },
  },
  {
    name: 'a descending index over two columns',
    make: "CREATE TABLE t (a INTEGER, b TEXT); CREATE INDEX both_ways ON t (a DESC, b); INSERT INTO t VALUES (1, 'x');",
    expect: {
      probes: [
        {
          sql: "SELECT indexdef LIKE '%DESC%' FROM pg_indexes WHERE schemaname = current_schema AND indexname = 'both_ways'",
          rows: [['t']],
        },
      ],
      account: { t: { rows: 1 } },
    },
  },
  {
    name: 'NOCASE uniqueness refuses what SQLite refuses, and folds ASCII only',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE UNIQUE); INSERT INTO t (name) VALUES ('Alice'), ('Ünal'), ('ünal');",
    expect: {
      account: { t: { rows: 3 } },
      probes: [
        { sql: "INSERT INTO t (name) VALUES ('ALICE')", refused: '23505' },
        { sql: "INSERT INTO t (name) VALUES ('ÜNAL2')" },
      ],
    },
  },
  {
    name: 'a NOCASE primary key that is no rowid',
    make: "CREATE TABLE t (name TEXT COLLATE NOCASE PRIMARY KEY, n INTEGER); INSERT INTO t VALUES ('Alice', 1), ('bob', 2);",
    expect: {
      account: { t: { rows: 2 } },
      objects: { 'primaryKey t.primary key of t': 'translated' },
      probes: [{ sql: "INSERT INTO t VALUES ('ALICE', 3)", refused: '23505' }],
    },
  },
  {
    name: 'RTRIM uniqueness refuses what differs in trailing blanks',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, code TEXT COLLATE RTRIM UNIQUE); INSERT INTO t (code) VALUES ('a'), ('b  ');",
    expect: {
      account: { t: { rows: 2 } },
      probes: [
        { sql: "INSERT INTO t (code) VALUES ('a   ')", refused: '23505' },
        { sql: 'SELECT octet_length(code) FROM t WHERE id = 2', rows: [['3']] },
      ],
    },
  },
  {
    name: 'several NULLs under one UNIQUE',
    make: 'CREATE TABLE t (a INTEGER, b INTEGER, UNIQUE (a, b)); INSERT INTO t VALUES (NULL, 1), (NULL, 1), (1, NULL), (1, NULL), (1, 1);',
    expect: {
      account: { t: { rows: 5 } },
      probes: [{ sql: 'INSERT INTO t VALUES (1, 1)', refused: '23505' }, { sql: 'INSERT INTO t VALUES (NULL, 1)' }],
    },
  },
  {
    name: 'texts too long for an index: the rows are there, the index is named',
    make: (database) => {
      database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); CREATE INDEX wide ON t (v); CREATE INDEX narrow ON t (id)')
      const noise = Array.from({ length: 9000 }, (_, i) => String.fromCharCode(33 + ((i * 7919 * (i % 97)) % 90))).join('')
      database.prepare('INSERT INTO t (v) VALUES (?)').run(noise)
    },
    expect: {
      account: { t: { rows: 1 } },
      hazards: ['longIndexed t.v'],
      objects: { 'index t.wide': 'notCarried', 'index t.narrow': 'kept' },
      probes: [{ sql: 'SELECT length(v) FROM t', rows: [['9000']] }],
    },
  },
  {
    name: 'texts too long for a primary key',
    make: (database) => {
      database.exec('CREATE TABLE t (k TEXT PRIMARY KEY)')
      const noise = Array.from({ length: 9000 }, (_, i) => String.fromCharCode(33 + ((i * 7919 * (i % 89)) % 90))).join('')
      database.prepare('INSERT INTO t VALUES (?)').run(noise)
    },
    expect: {
      account: { t: { rows: 1 } },
      hazards: ['longIndexed t.k'],
      objects: { 'primaryKey t.primary key of t': 'translated' },
      probes: [{ sql: 'INSERT INTO t SELECT k FROM t', refused: '23505' }],
    },
  },
  {
    name: 'an index with a collation of the application is named',
    make: (database) => {
      database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)')
      database.unsafeMode(true)
      database.pragma('writable_schema = ON')
      database.exec(
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT COLLATE german)' WHERE name = 't'",
      )
      database.pragma('writable_schema = OFF')
    },
    expect: {},
  },
  {
    name: 'an index that one table shares the name of',
    make: 'CREATE TABLE a (x INTEGER); CREATE TABLE b (x INTEGER); CREATE INDEX a_x ON a (x); CREATE INDEX b_x ON b (x); CREATE TABLE a_pkey (id INTEGER PRIMARY KEY); CREATE TABLE a_x_idx (y TEXT);',
    expect: {
      probes: [
        { sql: "SELECT count(*) FROM pg_indexes WHERE schemaname = current_schema AND indexname LIKE '__x%'", rows: [['2']] },
      ],
    },
  },
]
