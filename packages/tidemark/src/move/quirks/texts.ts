import type { Database } from 'better-sqlite3'
import type { Quirk } from './quirk.js'

const nulTexts = `CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t (v) VALUES ('plain'), (CAST(x'610062' AS TEXT)), (CAST(x'00' AS TEXT)), (CAST(x'616200' AS TEXT));`
const damagedTexts = `CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
  INSERT INTO t (v) VALUES ('plain'), (CAST(x'636166e9' AS TEXT)), (char(65533)), (CAST(x'efbfbdff' AS TEXT)), (CAST(x'eda080' AS TEXT)), (CAST(x'c080' AS TEXT));`

const longText = (database: Database, length: number): void => {
  database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)')
  const insert = database.prepare('INSERT INTO t (v) VALUES (?)')
  for (const unit of ['a', 'é', '€', '🙂']) insert.run(unit.repeat(length))
}

/** Texts that Postgres cannot hold, and those that only look so. */
export const textQuirks: readonly Quirk[] = [
  {
    name: 'texts with a NUL are rejected by name, never cut',
    make: nulTexts,
    expect: {
      hazards: ['nulByte t.v'],
      account: { t: { rows: 4, rejected: 3 } },
      probes: [
        {
          sql: "SELECT row_key, reason, encode(bytes, 'hex') FROM tidemark.move_rejects WHERE run_id = (SELECT id FROM tidemark.move_runs WHERE target_schema = current_schema) ORDER BY id LIMIT 1",
          rows: [['id=2', 'the text holds a NUL byte', '610062']],
        },
      ],
    },
  },
  {
    name: 'NULs stripped by choice, with the bytes kept in the table of rejects',
    make: nulTexts,
    choices: { nulBytes: 'strip' },
    expect: {
      hazards: ['nulByte t.v'],
      account: { t: { rows: 4, mapped: 3 } },
      probes: [{ sql: 'SELECT v FROM t ORDER BY id', rows: [['plain'], ['ab'], [''], ['ab']] }],
    },
  },
  {
    name: 'NULs replaced by choice',
    make: nulTexts,
    choices: { nulBytes: 'replace' },
    expect: {
      hazards: ['nulByte t.v'],
      account: { t: { rows: 4, mapped: 3 } },
      probes: [{ sql: 'SELECT v FROM t ORDER BY id', rows: [['plain'], ['a\u2400b'], ['\u2400'], ['ab\u2400']] }],
    },
  },
  {
    name: 'texts with a NUL as NULL by choice',
    make: nulTexts,
    choices: { nulBytes: 'null' },
    expect: {
      hazards: ['nulByte t.v'],
      account: { t: { rows: 4, mapped: 3 } },
      probes: [{ sql: 'SELECT count(v) FROM t', rows: [['1']] }],
    },
  },
  {
    name: 'texts with a NUL as bytes by choice',
    make: nulTexts,
    choices: { tables: { t: { columns: { v: { type: 'bytea' } } } } },
    expect: {
      types: { 't.v': 'bytea' },
      account: { t: { rows: 4, mapped: 4 } },
      probes: [{ sql: 'SELECT v FROM t WHERE id = 2', rows: [['\\x610062']] }],
    },
  },
  {
    name: 'invalid UTF-8 is rejected, and a real U+FFFD is not',
    make: damagedTexts,
    expect: {
      hazards: ['invalidUtf8 t.v'],
      account: { t: { rows: 6, rejected: 4 } },
      probes: [
        {
          sql: 'SELECT id, v FROM t ORDER BY id',
          rows: [
            ['1', 'plain'],
            ['3', '\uFFFD'],
          ],
        },
      ],
    },
  },
  {
    name: 'invalid UTF-8 read as Latin-1 by choice',
    make: damagedTexts,
    choices: { invalidUtf8: 'latin1' },
    expect: {
      hazards: ['invalidUtf8 t.v'],
      account: { t: { rows: 6, mapped: 4 } },
      probes: [{ sql: 'SELECT v FROM t WHERE id = 2', rows: [['café']] }],
    },
  },
  {
    name: 'invalid UTF-8 replaced by choice',
    make: damagedTexts,
    choices: { invalidUtf8: 'replace' },
    expect: {
      hazards: ['invalidUtf8 t.v'],
      account: { t: { rows: 6, mapped: 4 } },
      probes: [{ sql: 'SELECT v FROM t WHERE id = 2', rows: [['caf\uFFFD']] }],
    },
  },
  {
    name: 'a text that is invalid UTF-8 and holds a NUL, both by choice',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t (v) VALUES (CAST(x'6100e962' AS TEXT));",
    choices: { invalidUtf8: 'latin1', nulBytes: 'strip' },
    expect: {
      hazards: ['nulByte t.v', 'invalidUtf8 t.v'],
      account: { t: { rows: 1, mapped: 1 } },
      probes: [{ sql: 'SELECT v FROM t', rows: [['aéb']] }],
    },
  },
  ...(['UTF-16le', 'UTF-16be'] as const).map(
    (encoding): Quirk => ({
      name: `a file in ${encoding}`,
      encoding,
      make: "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, mixed); INSERT INTO t (v, mixed) VALUES ('ascii', 'text'), ('Zoë €', 7), ('🙂', x'00ff'), (char(65533), 1.5), ('', NULL);",
      expect: {
        types: { 't.v': 'text', 't.mixed': 'bytea' },
        hazards: ['mixedStorage t.mixed'],
        account: { t: { rows: 5, mapped: 3 } },
        probes: [
          {
            sql: 'SELECT v, mixed FROM t ORDER BY id',
            rows: [
              ['ascii', '\\x74657874'],
              ['Zoë €', '\\x37'],
              ['🙂', '\\x00ff'],
              ['\uFFFD', '\\x312e35'],
              ['', null],
            ],
          },
        ],
      },
    }),
  ),
  {
    name: 'a NUL in a file in UTF-16',
    encoding: 'UTF-16le',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t (v) VALUES ('a' || char(0) || 'b'), ('ab');",
    expect: { hazards: ['nulByte t.v'], account: { t: { rows: 2, rejected: 1 } } },
  },
  {
    name: 'keys in a file in UTF-16, without rowids',
    encoding: 'UTF-16be',
    make: "CREATE TABLE t (k TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID; INSERT INTO t VALUES ('ä', 1), ('🙂', 2), ('z', 3), (char(65533), 4), (char(65000), 5);",
    expect: { account: { t: { rows: 5 } } },
  },
  {
    name: 'texts in a column of blobs are neither decoded nor lost',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB); INSERT INTO t (v) VALUES ('abcd'), ('YWJj'), ('\\x41'), (x'00ff'), (x''), (''), (NULL);",
    expect: {
      types: { 't.v': 'bytea' },
      hazards: ['mixedStorage t.v'],
      account: { t: { rows: 7, mapped: 4 } },
      probes: [
        {
          sql: 'SELECT v FROM t ORDER BY id',
          rows: [['\\x61626364'], ['\\x59574a6a'], ['\\x5c783431'], ['\\x00ff'], ['\\x'], ['\\x'], [null]],
        },
      ],
    },
  },
  {
    name: 'only texts in a column of blobs',
    make: "CREATE TABLE t (v BLOB); INSERT INTO t VALUES ('abcd'), ('ä');",
    expect: { types: { 't.v': 'text' }, account: { t: { rows: 2 } } },
  },
  {
    name: 'blobs in a column of texts',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t (v) VALUES ('abc'), (x'616263'), (x'ff00');",
    expect: {
      types: { 't.v': 'bytea' },
      hazards: ['mixedStorage t.v'],
      account: { t: { rows: 3, mapped: 1 } },
      probes: [{ sql: 'SELECT v FROM t ORDER BY id', rows: [['\\x616263'], ['\\x616263'], ['\\xff00']] }],
    },
  },
  {
    name: 'only blobs in a column of texts',
    make: "CREATE TABLE t (v TEXT); INSERT INTO t VALUES (x'ff00'), (x'');",
    expect: { types: { 't.v': 'bytea' }, account: { t: { rows: 2 } } },
  },
  {
    name: 'blobs of every byte, empty ones and NULL',
    make: (database) => {
      database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)')
      const insert = database.prepare('INSERT INTO t (v) VALUES (?)')
      insert.run(Buffer.from(Array.from({ length: 256 }, (_, i) => i)))
      insert.run(Buffer.alloc(0))
      insert.run(null)
    },
    expect: {
      account: { t: { rows: 3 } },
      probes: [{ sql: 'SELECT octet_length(v) FROM t ORDER BY id', rows: [['256'], ['0'], [null]] }],
    },
  },
  {
    name: 'texts that COPY, CSV and SQL would read as something else',
    make: (database) => {
      database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)')
      const insert = database.prepare('INSERT INTO t (v) VALUES (?)')
      for (const text of [
        '\\N',
        '\\.',
        'NULL',
        '',
        ' ',
        '"',
        "'",
        'a,b',
        'a\tb',
        'a\nb',
        'a\r\nb',
        '\\',
        '\\x41',
        '$$',
        '--',
        '\uFEFFbom',
        '\u0001\u001f\u007f',
        '%s',
        '{}',
      ])
        insert.run(text)
    },
    expect: {
      account: { t: { rows: 19 } },
      probes: [{ sql: 'SELECT v FROM t WHERE id IN (1, 2, 4, 11) ORDER BY id', rows: [['\\N'], ['\\.'], [''], ['a\r\nb']] }],
    },
  },
  {
    name: 'texts in every script, composed and decomposed, with the same look',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t (v) VALUES ('é'), ('e' || char(769)), ('日本語'), ('עברית'), ('🏳️‍🌈'), (char(0x10FFFF)), (char(0xD7FF)), (char(0xE000));",
    expect: {
      account: { t: { rows: 8 } },
      probes: [{ sql: 'SELECT octet_length(v) FROM t WHERE id < 3 ORDER BY id', rows: [['2'], ['3']] }],
    },
  },
  {
    name: 'texts at the lengths where the writer changes its ways',
    make: (database) => {
      database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)')
      const insert = database.prepare('INSERT INTO t (v) VALUES (?)')
      for (const length of [0, 1, 95, 96, 97, 127, 128, 4095, 65_535, 65_536, 70_000])
        for (const last of ['a', 'é', '\uFFFD']) insert.run('x'.repeat(length) + last)
    },
    expect: { account: { t: { rows: 33 } } },
  },
  {
    name: 'texts of 300,000 characters of one to four bytes',
    make: (database) => longText(database, 300_000),
    expect: { account: { t: { rows: 4 } } },
  },
  {
    name: 'VARCHAR(3) holds longer texts in SQLite, and goes on holding them',
    make: "CREATE TABLE t (v VARCHAR(3), c CHAR(2), n NVARCHAR(1)); INSERT INTO t VALUES ('abcdef', 'x', 'longer'), ('a  ', 'xyz', '');",
    expect: {
      types: { 't.v': 'text', 't.c': 'text', 't.n': 'text' },
      account: { t: { rows: 2 } },
      probes: [{ sql: "SELECT octet_length(v) FROM t WHERE c = 'xyz'", rows: [['3']] }],
    },
  },
  {
    name: 'numbers in a column of texts are texts already',
    make: "CREATE TABLE t (v TEXT); INSERT INTO t VALUES (1), (1.0), ('01'), (9007199254740993), (1e20);",
    expect: {
      types: { 't.v': 'text' },
      account: { t: { rows: 5 } },
      probes: [
        { sql: 'SELECT v FROM t ORDER BY v COLLATE "C"', rows: [['01'], ['1'], ['1.0'], ['1.0e+20'], ['9007199254740993']] },
      ],
    },
  },
  {
    name: 'a declared type that nobody has heard of',
    make: "CREATE TABLE t (a GEOMETRY, b \"my type\", c STRING, d MONEY, e ENUM, f); INSERT INTO t VALUES ('POINT(1 2)', 'b', 'words', 12.5, 'x', NULL);",
    expect: {
      types: { 't.a': 'text', 't.b': 'text', 't.c': 'text', 't.d': 'numeric', 't.e': 'text' },
      account: { t: { rows: 1 } },
    },
  },
]
