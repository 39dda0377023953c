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
    name: 'texts too long for an index: the rows are there, the index is reported',
    make: (database) => {
      database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); CREATE INDEX wide ON t (v); CREATE INDEX narrow ON t (id)')
      const noise = Array.from({ length: 9000 }, (_, i) => String.fromCharCode(33 + ((i * 7919 * (i % 97)) % 90))).join('')
      database.prepare('INSERT INTO t (v) VALUES (?)').run(noise)
    },
    expect: { account: { t: { rows: 1 } }, failed: ['wide'], probes: [{ sql: 'SELECT length(v) FROM t', rows: [['9000']] }] },
  },
  {
    name: 'texts too long for a primary key',
    make: (database) => {
      database.exec('CREATE TABLE t (k TEXT PRIMARY KEY)')
      const noise = Array.from({ length: 9000 }, (_, i) => String.fromCharCode(33 + ((i * 7919 * (i % 89)) % 90))).join('')
      database.prepare('INSERT INTO t VALUES (?)').run(noise)
    },
    expect: { account: { t: { rows: 1 } }, failed: ['primary key of t'] },
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
