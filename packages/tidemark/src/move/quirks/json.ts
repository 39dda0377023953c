import type { Quirk } from './quirk.js'

/** JSON and identifiers, which SQLite holds as text. */
export const jsonQuirks: readonly Quirk[] = [
  {
    name: 'JSON in a JSON column keeps blanks, order and duplicate keys to the byte',
    make: `CREATE TABLE t (id INTEGER PRIMARY KEY, v JSON); INSERT INTO t (v) VALUES ('{"b" : 1,  "a":2, "a":3}'), ('[1e400, 0.10, 123456789012345678901234567890]'), ('"x"'), ('null'), (NULL);`,
    expect: {
      types: { 't.v': 'json' },
      account: { t: { rows: 5 } },
      probes: [
        {
          sql: 'SELECT v FROM t ORDER BY id',
          rows: [['{"b" : 1,  "a":2, "a":3}'], ['[1e400, 0.10, 123456789012345678901234567890]'], ['"x"'], ['null'], [null]],
        },
      ],
    },
  },
  {
    name: 'JSON with \\u0000 is no trouble for json',
    make: `CREATE TABLE t (v JSON); INSERT INTO t VALUES ('{"a":"x\\u0000y"}'), ('"\\ud83d\\ude42"'), ('"\\ud83d"');`,
    expect: { types: { 't.v': 'json' }, account: { t: { rows: 3 } } },
  },
  {
    name: 'JSON that is none makes the column text',
    make: `CREATE TABLE t (id INTEGER PRIMARY KEY, v JSON); INSERT INTO t (v) VALUES ('{"a":1}'), ('{a:1}'), (''), ('{''a'': True}'), ('NaN');`,
    expect: { types: { 't.v': 'text' }, account: { t: { rows: 5 } } },
  },
  {
    name: 'JSON in a TEXT column stays text',
    make: `CREATE TABLE t (v TEXT); INSERT INTO t VALUES ('{"a": 1}');`,
    expect: { types: { 't.v': 'text' }, account: { t: { rows: 1 } } },
  },
  {
    name: 'JSON with bytes that are no UTF-8',
    make: `CREATE TABLE t (id INTEGER PRIMARY KEY, v JSON); INSERT INTO t (v) VALUES ('{"a": 1}'), (CAST(x'2263e922' AS TEXT));`,
    expect: { types: { 't.v': 'json' }, hazards: ['invalidUtf8 t.v'], account: { t: { rows: 2, rejected: 1 } } },
  },
  {
    name: 'numbers in a JSON column',
    make: `CREATE TABLE t (id INTEGER PRIMARY KEY, v JSON); INSERT INTO t (v) VALUES (1), ('2'), ('[3]');`,
    expect: { types: { 't.v': 'text' }, hazards: ['mixedStorage t.v'], account: { t: { rows: 3, mapped: 2 } } },
  },
  {
    name: 'a chosen jsonb is one-way, and what it cannot hold is rejected',
    make: `CREATE TABLE t (id INTEGER PRIMARY KEY, v JSON); INSERT INTO t (v) VALUES ('{"b":1, "a":2, "a":3}'), ('"\\u0000"'), ('{broken'), ('1.50'), ('1e5'), ('"\\ud800"');`,
    choices: { rejects: 'allow', tables: { t: { columns: { v: { type: 'jsonb' } } } } },
    expect: {
      types: { 't.v': 'jsonb' },
      hazards: ['invalidJson t.v'],
      account: { t: { rows: 6, mapped: 3, rejected: 3 } },
      probes: [{ sql: 'SELECT v FROM t ORDER BY id', rows: [['{"a": 3, "b": 1}'], ['1.5'], ['100000']] }],
    },
  },
  {
    name: 'a chosen json writes NULL for what is none',
    make: `CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t (v) VALUES ('{"a":1}'), ('{broken');`,
    choices: { tables: { t: { columns: { v: { type: 'json', badValue: 'null' } } } } },
    expect: {
      types: { 't.v': 'json' },
      hazards: ['invalidJson t.v'],
      account: { t: { rows: 2, mapped: 1 } },
      probes: [{ sql: 'SELECT v FROM t ORDER BY id', rows: [['{"a":1}'], [null]] }],
    },
  },
  {
    name: 'a surrogate pair that jsonb can hold is not refused',
    make: `CREATE TABLE t (v JSON); INSERT INTO t VALUES ('"\\ud83d\\ude42"'), ('"\\\\u0000 is only spelt out"');`,
    choices: { tables: { t: { columns: { v: { type: 'jsonb' } } } } },
    expect: { types: { 't.v': 'jsonb' }, account: { t: { rows: 2, mapped: 2 } } },
  },
  {
    name: 'uuids with dashes',
    make: "CREATE TABLE t (id UUID PRIMARY KEY, n INTEGER); INSERT INTO t VALUES ('0190b5d2-7a3b-7c4d-8e5f-001122334455', 1), ('ffffffff-ffff-ffff-ffff-ffffffffffff', 2);",
    expect: { types: { 't.id': 'uuid' }, account: { t: { rows: 2 } } },
  },
  {
    name: 'uuids without dashes',
    make: "CREATE TABLE t (id UUID PRIMARY KEY); INSERT INTO t VALUES ('0190b5d27a3b7c4d8e5f001122334455');",
    expect: {
      types: { 't.id': 'uuid' },
      account: { t: { rows: 1 } },
      probes: [{ sql: 'SELECT id FROM t', rows: [['0190b5d2-7a3b-7c4d-8e5f-001122334455']] }],
    },
  },
  {
    name: 'uuids in upper case, or in two forms, stay text, for there is no one way back',
    make: "CREATE TABLE t (a UUID, b UUID); INSERT INTO t VALUES ('0190B5D2-7A3B-7C4D-8E5F-001122334455', '0190b5d27a3b7c4d8e5f001122334455'), ('0190B5D2-7A3B-7C4D-8E5F-001122334456', '0190b5d2-7a3b-7c4d-8e5f-001122334455');",
    expect: { types: { 't.a': 'text', 't.b': 'text' }, account: { t: { rows: 2 } } },
  },
  {
    name: 'a chosen uuid keeps apart ids that only their last digit, or no text at all, tells apart',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t (a) VALUES (9007199254740993), (9007199254740992), ('x' || char(0)), (CAST(x'ff' AS TEXT)), (CAST(x'fe' AS TEXT)), (char(65533));",
    choices: { rejects: 'allow', tables: { t: { columns: { a: { type: 'uuid' } } } } },
    expect: {
      types: { 't.a': 'uuid' },
      hazards: ['invalidUtf8 t.a', 'nulByte t.a', 'unfitValue t.a'],
      account: { t: { rows: 6, rejected: 3 } },
      probes: [
        { sql: 'SELECT count(DISTINCT a) FROM t', rows: [['3']] },
        {
          sql: "SELECT legacy_id FROM tidemark.move_id_map JOIN t ON t.a = move_id_map.id WHERE legacy_id LIKE '9%' ORDER BY 1",
          rows: [['9007199254740992'], ['9007199254740993']],
        },
      ],
    },
  },
  {
    name: 'a chosen uuid writes upper case in lower case, and says that there is no way back',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, a UUID); INSERT INTO t (a) VALUES ('0190B5D2-7A3B-7C4D-8E5F-001122334455'), ('0190b5d2-7a3b-7c4d-8e5f-001122334455');",
    choices: { tables: { t: { columns: { a: { type: 'uuid' } } } } },
    expect: { types: { 't.a': 'uuid' }, hazards: ['alteredValue t.a'], account: { t: { rows: 2, mapped: 1 } } },
  },
  {
    name: 'uuids as blobs of sixteen bytes',
    make: "CREATE TABLE t (id UUID PRIMARY KEY); INSERT INTO t VALUES (x'0190b5d27a3b7c4d8e5f001122334455');",
    expect: { types: { 't.id': 'bytea' }, account: { t: { rows: 1 } } },
  },
  {
    name: 'a chosen uuid maps ids that are none, and verification comes back through the map',
    make: "CREATE TABLE t (id TEXT PRIMARY KEY); INSERT INTO t VALUES ('user:1'), ('user:2'), ('0190b5d2-7a3b-7c4d-8e5f-001122334455'), ('0190B5D2-7A3B-7C4D-8E5F-001122334455');",
    choices: { tables: { t: { columns: { id: { type: 'uuid' } } } } },
    expect: {
      types: { 't.id': 'uuid' },
      account: { t: { rows: 4 } },
      probes: [
        { sql: "SELECT count(*) FROM t JOIN tidemark.move_id_map USING (id) WHERE legacy_id LIKE 'user:%'", rows: [['2']] },
      ],
    },
  },
]
