import type { Quirk } from './quirk.js'

/** Foreign keys, which most SQLite connections never enforced. */
export const foreignKeyQuirks: readonly Quirk[] = [
  {
    name: 'foreign keys with their actions',
    make: 'CREATE TABLE parent (id INTEGER PRIMARY KEY); CREATE TABLE child (id INTEGER PRIMARY KEY, p INTEGER REFERENCES parent (id) ON DELETE CASCADE, q INTEGER REFERENCES parent ON DELETE SET NULL); INSERT INTO parent VALUES (1), (2); INSERT INTO child VALUES (1, 1, 2);',
    expect: {
      account: { parent: { rows: 2 }, child: { rows: 1 } },
      probes: [
        { sql: 'INSERT INTO child VALUES (9, 99, NULL)', refused: '23503' },
        { sql: 'DELETE FROM parent WHERE id = 2' },
        { sql: 'SELECT q FROM child', rows: [[null]] },
        { sql: 'DELETE FROM parent' },
        { sql: 'SELECT count(*) FROM child', rows: [['0']] },
      ],
    },
  },
  {
    name: 'a foreign key without columns means the primary key of its parent',
    make: "CREATE TABLE parent (a INTEGER, b TEXT, PRIMARY KEY (a, b)); CREATE TABLE child (x INTEGER, y TEXT, FOREIGN KEY (x, y) REFERENCES parent); INSERT INTO parent VALUES (1, 'k'); INSERT INTO child VALUES (1, 'k'), (NULL, 'z');",
    expect: {
      account: { parent: { rows: 1 }, child: { rows: 2 } },
      probes: [{ sql: "INSERT INTO child VALUES (2, 'k')", refused: '23503' }],
    },
  },
  {
    name: 'rows without their parent are kept, and the key holds for new rows only',
    make: 'CREATE TABLE parent (id INTEGER PRIMARY KEY); CREATE TABLE child (id INTEGER PRIMARY KEY, p INTEGER REFERENCES parent (id)); INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1, 1), (2, 77);',
    expect: {
      hazards: ['danglingForeignKey child'],
      account: { child: { rows: 2 }, parent: { rows: 1 } },
      unvalidated: ['p → parent'],
      probes: [
        { sql: 'SELECT p FROM child ORDER BY id', rows: [['1'], ['77']] },
        { sql: 'INSERT INTO child VALUES (3, 88)', refused: '23503' },
      ],
    },
  },
  {
    name: 'two tables that refer to each other',
    make: 'CREATE TABLE a (id INTEGER PRIMARY KEY, b INTEGER REFERENCES b (id)); CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER REFERENCES a (id)); INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1);',
    expect: { account: { a: { rows: 1 }, b: { rows: 1 } }, probes: [{ sql: 'INSERT INTO a VALUES (2, 9)', refused: '23503' }] },
  },
  {
    name: 'a table that refers to itself, children first',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES t (id)); INSERT INTO t VALUES (1, 3), (2, 1), (3, NULL), (4, 4);',
    expect: { account: { t: { rows: 4 } }, probes: [{ sql: 'INSERT INTO t VALUES (5, 99)', refused: '23503' }] },
  },
  {
    name: 'a foreign key into a table that does not exist',
    make: 'CREATE TABLE child (id INTEGER PRIMARY KEY, p INTEGER REFERENCES nowhere (id)); INSERT INTO child VALUES (1, 1);',
    expect: { account: { child: { rows: 1 } }, objects: { 'foreignKey child.p → nowhere': 'notCarried' } },
  },
  {
    name: 'a foreign key onto columns that are not unique',
    make: "CREATE TABLE parent (id INTEGER PRIMARY KEY, code TEXT); CREATE TABLE child (id INTEGER PRIMARY KEY, code TEXT REFERENCES parent (code)); INSERT INTO parent VALUES (1, 'a'); INSERT INTO child VALUES (1, 'a');",
    expect: { account: { parent: { rows: 1 }, child: { rows: 1 } }, objects: { 'foreignKey child.code → parent': 'notCarried' } },
  },
  {
    name: 'a foreign key between columns that became different types',
    make: "CREATE TABLE parent (id INTEGER PRIMARY KEY); CREATE TABLE child (id INTEGER PRIMARY KEY, p TEXT REFERENCES parent (id)); INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1, '1');",
    expect: { account: { parent: { rows: 1 }, child: { rows: 1 } }, objects: { 'foreignKey child.p → parent': 'notCarried' } },
  },
  {
    name: 'a deferred foreign key stays deferred',
    make: 'CREATE TABLE parent (id INTEGER PRIMARY KEY); CREATE TABLE child (p INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED); INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1);',
    expect: {
      account: { parent: { rows: 1 }, child: { rows: 1 } },
      probes: [
        { sql: "SELECT condeferred FROM pg_constraint WHERE conrelid = 'child'::regclass AND contype = 'f'", rows: [['t']] },
      ],
    },
  },
  {
    name: 'a foreign key written in another case, onto a reserved word',
    make: 'CREATE TABLE "Order" (Id INTEGER PRIMARY KEY); CREATE TABLE line ("references" INTEGER REFERENCES "ORDER" (ID)); INSERT INTO "Order" VALUES (1); INSERT INTO line VALUES (1);',
    expect: {
      account: { Order: { rows: 1 }, line: { rows: 1 } },
      probes: [{ sql: 'INSERT INTO line VALUES (9)', refused: '23503' }],
    },
  },
  {
    name: 'a parent row that is rejected leaves its children behind for all to see',
    make: "CREATE TABLE parent (id TEXT PRIMARY KEY, v TEXT); CREATE TABLE child (id INTEGER PRIMARY KEY, p TEXT REFERENCES parent (id)); INSERT INTO parent VALUES ('good', 'x'), ('bad', CAST(x'00' AS TEXT)); INSERT INTO child VALUES (1, 'good'), (2, 'bad');",
    expect: {
      hazards: ['nulByte parent.v'],
      account: { parent: { rows: 2, rejected: 1 }, child: { rows: 2 } },
      unvalidated: ['p → parent'],
    },
  },
]
