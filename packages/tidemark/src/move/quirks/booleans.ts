import type { Quirk } from './quirk.js'

/** SQLite has no booleans; each application writes its own. */
export const booleanQuirks: readonly Quirk[] = [
  {
    name: 'booleans as 0 and 1',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY, done BOOLEAN NOT NULL DEFAULT 0); INSERT INTO t (done) VALUES (1), (0), (1);',
    expect: {
      types: { 't.done': 'boolean' },
      account: { t: { rows: 3 } },
      probes: [
        { sql: 'SELECT done FROM t ORDER BY id', rows: [['t'], ['f'], ['t']] },
        { sql: 'INSERT INTO t DEFAULT VALUES RETURNING id, done', rows: [['4', 'f']] },
      ],
    },
  },
  ...(
    [
      ['t', 'f'],
      ['yes', 'no'],
      ['true', 'false'],
      ['True', 'False'],
      ['Y', 'N'],
      ['ON', 'OFF'],
    ] as const
  ).map(
    ([truthy, falsy]): Quirk => ({
      name: `booleans as '${truthy}' and '${falsy}'`,
      make: `CREATE TABLE t (id INTEGER PRIMARY KEY, done BOOLEAN); INSERT INTO t (done) VALUES ('${truthy}'), ('${falsy}'), (NULL);`,
      expect: {
        types: { 't.done': 'boolean' },
        account: { t: { rows: 3 } },
        probes: [{ sql: 'SELECT done FROM t ORDER BY id', rows: [['t'], ['f'], [null]] }],
      },
    }),
  ),
  {
    name: "booleans as the texts '0' and '1' in a TEXT-like boolean stay distinguishable from numbers",
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, done BOOLTEXT); INSERT INTO t (done) VALUES ('1'), ('0');",
    expect: { types: { 't.done': 'text' }, hazards: ['dirtyBoolean t.done'], account: { t: { rows: 2 } } },
  },
  {
    name: 'dirty booleans are kept as they are, and named',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, done BOOLEAN); INSERT INTO t (done) VALUES (1), (0), ('yes'), (2), ('maybe');",
    expect: {
      types: { 't.done': 'text' },
      hazards: ['dirtyBoolean t.done'],
      account: { t: { rows: 5, mapped: 3 } },
      probes: [{ sql: 'SELECT done FROM t ORDER BY id', rows: [['1'], ['0'], ['yes'], ['2'], ['maybe']] }],
    },
  },
  {
    name: 'a boolean that holds a NUL',
    make: "CREATE TABLE t (done BOOLEAN); INSERT INTO t VALUES ('a' || char(0) || 'b'), ('x');",
    expect: { hazards: ['dirtyBoolean t.done', 'nulByte t.done'], account: { t: { rows: 2, rejected: 1 } } },
  },
  {
    name: 'booleans of 0, 1 and -1 are whole numbers',
    make: 'CREATE TABLE t (done BOOLEAN); INSERT INTO t VALUES (1), (0), (-1);',
    expect: { types: { 't.done': 'bigint' }, hazards: ['dirtyBoolean t.done'], account: { t: { rows: 3 } } },
  },
  {
    name: 'a chosen boolean reads its forms and writes NULL for the rest',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, done BOOLEAN); INSERT INTO t (done) VALUES (1), (0), ('yes'), ('maybe');",
    choices: { tables: { t: { columns: { done: { type: 'boolean', truthy: [1, 'yes'], falsy: [0], badValue: 'null' } } } } },
    expect: {
      types: { 't.done': 'boolean' },
      hazards: ['unfitValue t.done'],
      account: { t: { rows: 4, mapped: 3 } },
      probes: [{ sql: 'SELECT done FROM t ORDER BY id', rows: [['t'], ['f'], ['t'], [null]] }],
    },
  },
  {
    name: 'a chosen boolean rejects what is none of its forms',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, done TEXT); INSERT INTO t (done) VALUES ('j'), ('n'), ('?');",
    choices: { tables: { t: { columns: { done: { type: 'boolean', truthy: ['j'], falsy: ['n'] } } } } },
    expect: {
      hazards: ['unfitValue t.done'],
      account: { t: { rows: 3, rejected: 1 } },
      probes: [{ sql: 'SELECT done FROM t ORDER BY id', rows: [['t'], ['f']] }],
    },
  },
]
