import type { Quirk } from './quirk.js'

/** What is more than tables. */
export const objectQuirks: readonly Quirk[] = [
  {
    name: 'a view gives the same rows',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, price REAL); INSERT INTO t VALUES (1, 'a', 1.5), (2, 'b', 2.5); CREATE VIEW dear AS SELECT id, name AS label, price * 2 AS twice FROM t WHERE price > 2;",
    expect: {
      objects: { 'view dear': 'translated' },
      account: { t: { rows: 2 } },
      probes: [{ sql: 'SELECT id, label, twice FROM dear', rows: [['2', 'b', '5']] }],
    },
  },
  {
    name: 'a view over a view that was made later',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1); CREATE VIEW a AS SELECT id FROM b; CREATE VIEW b AS SELECT id FROM t;',
    expect: {
      account: { t: { rows: 1 } },
      objects: { 'view a': 'translated', 'view b': 'translated' },
      probes: [{ sql: 'SELECT id FROM a', rows: [['1']] }],
    },
  },
  {
    name: 'a view that Postgres has no words for is named',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'x'); CREATE VIEW odd AS SELECT printf('%5.2f', id) AS p, group_concat(v, ';') FROM t WHERE v GLOB 'x*';",
    expect: { objects: { 'view odd': 'notCarried' }, account: { t: { rows: 1 } } },
  },
  {
    name: 'a view over a table that is gone is named',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE TABLE gone (id INTEGER); CREATE VIEW broken AS SELECT * FROM gone; PRAGMA legacy_alter_table = ON; DROP TABLE gone;',
    expect: { objects: { 'view broken': 'notCarried' } },
  },
  {
    name: 'triggers are named with what they do',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY, at TEXT); CREATE TABLE log (t_id INTEGER); CREATE TRIGGER noted AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.id); END; INSERT INTO t VALUES (1, NULL);',
    expect: { objects: { 'trigger t.noted': 'notCarried' }, account: { t: { rows: 1 }, log: { rows: 1 } } },
  },
  {
    name: 'a full text search with its five tables behind the scenes',
    make: "CREATE TABLE doc (id INTEGER PRIMARY KEY, body TEXT); INSERT INTO doc VALUES (1, 'hello world'); CREATE VIRTUAL TABLE search USING fts5(body, content='doc', content_rowid='id'); INSERT INTO search (search) VALUES ('rebuild');",
    expect: {
      objects: { 'virtualTable search': 'notCarried' },
      account: { doc: { rows: 1 } },
      probes: [{ sql: 'SELECT count(*) FROM pg_tables WHERE schemaname = current_schema', rows: [['1']] }],
    },
  },
  {
    name: 'a full text search with contents of its own is named, for its texts stay behind',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE VIRTUAL TABLE notes USING fts5(title, body); INSERT INTO notes VALUES ('a', 'b');",
    expect: { objects: { 'virtualTable notes': 'notCarried' }, hazards: ['virtualTableRows notes'] },
  },
  {
    name: 'an R-tree',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE VIRTUAL TABLE boxes USING rtree(id, minx, maxx, miny, maxy); INSERT INTO boxes VALUES (1, 0, 1, 0, 1);',
    expect: { objects: { 'virtualTable boxes': 'notCarried' }, hazards: ['virtualTableRows boxes'] },
  },
  {
    name: 'statistics of ANALYZE and other tables of SQLite itself stay behind',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT); CREATE INDEX tv ON t (v); INSERT INTO t (v) VALUES ('a'), ('b'); ANALYZE;",
    expect: {
      account: { t: { rows: 2 } },
      probes: [{ sql: 'SELECT tablename FROM pg_tables WHERE schemaname = current_schema', rows: [['t']] }],
    },
  },
  {
    name: 'a file of views only besides one empty table',
    make: 'CREATE TABLE t (a INTEGER); CREATE VIEW one AS SELECT 1 AS n; CREATE VIEW two AS SELECT n + 1 AS m FROM one;',
    expect: { probes: [{ sql: 'SELECT m FROM two', rows: [['2']] }] },
  },
]
