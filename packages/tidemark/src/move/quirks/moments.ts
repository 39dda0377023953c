import type { Quirk } from './quirk.js'

/** Dates and times as text, numbers and anything else. */
export const momentQuirks: readonly Quirk[] = [
  {
    name: 'naive times in one ISO form stay naive',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME); INSERT INTO t (at) VALUES ('2024-01-02 03:04:05'), ('1969-12-31 23:59:59'), ('0001-01-01 00:00:00'), ('9999-12-31 23:59:59');",
    expect: {
      types: { 't.at': 'timestamp without time zone' },
      account: { t: { rows: 4 } },
      probes: [
        {
          sql: 'SELECT at FROM t ORDER BY id',
          rows: [['2024-01-02 03:04:05'], ['1969-12-31 23:59:59'], ['0001-01-01 00:00:00'], ['9999-12-31 23:59:59']],
        },
      ],
    },
  },
  {
    name: 'microseconds of years whose microseconds no double can count',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, a DATETIME, b DATETIME); INSERT INTO t (a, b) VALUES ('9999-12-31 23:59:59.999999', '3142-01-01T01:02:03.000100Z'), ('0001-01-01 00:00:00.000001', '1000-01-01T01:02:03.000007Z');",
    expect: {
      types: { 't.a': 'timestamp without time zone', 't.b': 'timestamp with time zone' },
      account: { t: { rows: 2 } },
      probes: [
        {
          sql: 'SELECT a, b FROM t ORDER BY id',
          rows: [
            ['9999-12-31 23:59:59.999999', '3142-01-01 01:02:03.0001+00'],
            ['0001-01-01 00:00:00.000001', '1000-01-01 01:02:03.000007+00'],
          ],
        },
      ],
    },
  },
  {
    name: "Python's isoformat, which writes microseconds only where there are some",
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, at TIMESTAMP); INSERT INTO t (at) VALUES ('2024-01-02T03:04:05.678901'), ('2024-01-02T03:04:05'), ('2024-01-02T03:04:05.000100');",
    expect: {
      types: { 't.at': 'timestamp without time zone' },
      account: { t: { rows: 3 } },
      probes: [
        {
          sql: 'SELECT at FROM t ORDER BY id',
          rows: [['2024-01-02 03:04:05.678901'], ['2024-01-02 03:04:05'], ['2024-01-02 03:04:05.0001']],
        },
      ],
    },
  },
  {
    name: 'milliseconds, always three digits, with a Z',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME); INSERT INTO t (at) VALUES ('2024-01-02T03:04:05.000Z'), ('2024-02-29T23:59:59.999Z');",
    expect: {
      types: { 't.at': 'timestamp with time zone' },
      account: { t: { rows: 2 } },
      probes: [{ sql: 'SELECT at FROM t ORDER BY id', rows: [['2024-01-02 03:04:05+00'], ['2024-02-29 23:59:59.999+00']] }],
    },
  },
  {
    name: 'times with one written offset',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME); INSERT INTO t (at) VALUES ('2024-01-02T03:04:05+09:30'), ('2024-07-01T00:00:00+09:30');",
    expect: {
      types: { 't.at': 'timestamp with time zone' },
      account: { t: { rows: 2 } },
      probes: [{ sql: 'SELECT at FROM t ORDER BY id', rows: [['2024-01-01 17:34:05+00'], ['2024-06-30 14:30:00+00']] }],
    },
  },
  {
    name: 'times with many offsets keep the offset that each was written with',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME); INSERT INTO t (at) VALUES ('2024-01-02T03:04:05+09:30'), ('2024-07-01T00:00:00-05:00'), ('2024-07-01T00:00:00Z');",
    expect: { types: { 't.at': 'text' }, hazards: ['dirtyTime t.at'], account: { t: { rows: 3 } } },
  },
  {
    name: 'naive and zoned times in one column',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME); INSERT INTO t (at) VALUES ('2024-01-02T03:04:05'), ('2024-07-01T00:00:00Z');",
    expect: { types: { 't.at': 'text' }, hazards: ['dirtyTime t.at'], account: { t: { rows: 2 } } },
  },
  {
    name: 'a chosen timestamptz reads every ISO form, the naive ones in the zone chosen',
    make: `CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME);
      INSERT INTO t (at) VALUES ('2024-01-02T03:04:05'), ('2024-07-01T00:00:00Z'), ('2024-07-01 10:00'), ('2024-07-01'), ('2024-07-01T00:00:00.5+02:00'), ('yesterday');`,
    choices: { timeZone: 'Australia/Darwin', tables: { t: { columns: { at: { type: 'timestamptz', badValue: 'null' } } } } },
    expect: {
      types: { 't.at': 'timestamp with time zone' },
      hazards: ['notATime t.at'],
      account: { t: { rows: 6, mapped: 6 } },
      probes: [
        {
          sql: 'SELECT at FROM t ORDER BY id',
          rows: [
            ['2024-01-01 17:34:05+00'],
            ['2024-07-01 00:00:00+00'],
            ['2024-07-01 00:30:00+00'],
            ['2024-06-30 14:30:00+00'],
            ['2024-06-30 22:00:00.5+00'],
            [null],
          ],
        },
      ],
    },
  },
  {
    name: 'naive times in a zone with summer time: the skipped hour is rejected, the repeated one is taken once and reported',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME); INSERT INTO t (at) VALUES ('2024-03-31 02:30:00'), ('2024-10-27 02:30:00'), ('2024-07-01 12:00:00');",
    choices: { rejects: 'allow', tables: { t: { columns: { at: { type: 'timestamptz', timeZone: 'Europe/Berlin' } } } } },
    expect: {
      hazards: ['notATime t.at', 'alteredValue t.at'],
      account: { t: { rows: 3, mapped: 1, rejected: 1 } },
      probes: [
        {
          sql: 'SELECT id, at FROM t ORDER BY id',
          rows: [
            ['2', '2024-10-27 01:30:00+00'],
            ['3', '2024-07-01 10:00:00+00'],
          ],
        },
      ],
    },
  },
  {
    name: "'now', zero dates and nonsense in a DATETIME column stay the words they are",
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME); INSERT INTO t (at) VALUES ('now'), ('0000-00-00 00:00:00'), ('2024-02-30 00:00:00'), ('infinity'), ('');",
    expect: {
      types: { 't.at': 'text' },
      hazards: ['dirtyTime t.at'],
      account: { t: { rows: 5 } },
      probes: [
        {
          sql: 'SELECT at FROM t ORDER BY id',
          rows: [['now'], ['0000-00-00 00:00:00'], ['2024-02-30 00:00:00'], ['infinity'], ['']],
        },
      ],
    },
  },
  {
    name: 'zero dates by choice become NULL',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME); INSERT INTO t (at) VALUES ('0000-00-00 00:00:00'), ('2024-01-02 03:04:05'), ('now');",
    choices: { tables: { t: { columns: { at: { type: 'timestamp', badValue: 'null' } } } } },
    expect: {
      types: { 't.at': 'timestamp without time zone' },
      hazards: ['notATime t.at'],
      account: { t: { rows: 3, mapped: 3 } },
      probes: [{ sql: 'SELECT at FROM t ORDER BY id', rows: [[null], ['2024-01-02 03:04:05'], [null]] }],
    },
  },
  {
    name: 'dates alone',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, d DATE); INSERT INTO t (d) VALUES ('2024-02-29'), ('1582-10-10'), ('0001-01-01'), (NULL);",
    expect: {
      types: { 't.d': 'date' },
      account: { t: { rows: 4 } },
      probes: [{ sql: 'SELECT d FROM t ORDER BY id', rows: [['2024-02-29'], ['1582-10-10'], ['0001-01-01'], [null]] }],
    },
  },
  {
    name: 'dates of other habits are not guessed at',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, d DATE); INSERT INTO t (d) VALUES ('02/03/2024'), ('20240229'), ('2024-1-2'), ('0000-00-00');",
    expect: {
      types: { 't.d': 'text' },
      hazards: ['mixedStorage t.d'],
      account: { t: { rows: 4, mapped: 1 } },
    },
  },
  {
    name: 'dates in a DATETIME column, and midnight where a DATE was meant',
    make: "CREATE TABLE t (a DATETIME, b DATE); INSERT INTO t VALUES ('2024-02-29', '2024-02-29 00:00:00'), ('2024-03-01', '2024-03-01 00:00:00');",
    expect: { types: { 't.a': 'date', 't.b': 'timestamp without time zone' }, account: { t: { rows: 2 } } },
  },
  {
    name: 'times of the day',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, a TIME, b TIME); INSERT INTO t (a, b) VALUES ('00:00:00', '12:30:00.5'), ('23:59:59', '00:00:00.123456');",
    expect: {
      account: { t: { rows: 2 } },
      probes: [
        {
          sql: 'SELECT a, b FROM t ORDER BY id',
          rows: [
            ['00:00:00', '12:30:00.5'],
            ['23:59:59', '00:00:00.123456'],
          ],
        },
      ],
    },
  },
  {
    name: 'times beyond a day, and leap seconds, are no times',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, a TIME, b DATETIME); INSERT INTO t (a, b) VALUES ('24:00:00', '2016-12-31 23:59:60'), ('99:00:00', '2024-01-01 24:00:00');",
    expect: { types: { 't.a': 'text', 't.b': 'text' }, hazards: ['dirtyTime t.a', 'dirtyTime t.b'], account: { t: { rows: 2 } } },
  },
  {
    name: 'seconds since 1970',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME); INSERT INTO t (at) VALUES (1704164645), (1000000000);',
    expect: {
      types: { 't.at': 'timestamp with time zone' },
      account: { t: { rows: 2 } },
      probes: [{ sql: 'SELECT at FROM t ORDER BY id', rows: [['2024-01-02 03:04:05+00'], ['2001-09-09 01:46:40+00']] }],
    },
  },
  {
    name: 'milliseconds since 1970',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME); INSERT INTO t (at) VALUES (1704164645678), (1000000000001);',
    expect: {
      types: { 't.at': 'timestamp with time zone' },
      account: { t: { rows: 2 } },
      probes: [{ sql: 'SELECT at FROM t ORDER BY id', rows: [['2024-01-02 03:04:05.678+00'], ['2001-09-09 01:46:40.001+00']] }],
    },
  },
  {
    name: 'microseconds since 1970',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY, at TIMESTAMP); INSERT INTO t (at) VALUES (1704164645678901);',
    expect: {
      types: { 't.at': 'timestamp with time zone' },
      account: { t: { rows: 1 } },
      probes: [{ sql: 'SELECT at FROM t', rows: [['2024-01-02 03:04:05.678901+00']] }],
    },
  },
  {
    name: 'zeros among seconds since 1970 are not made into 1970',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME); INSERT INTO t (at) VALUES (1704164645), (0), (-1);',
    expect: { types: { 't.at': 'bigint' }, hazards: ['unclearEpoch t.at'], account: { t: { rows: 3 } } },
  },
  {
    name: 'seconds by choice, with what Postgres cannot hold rejected',
    make: 'CREATE TABLE t (id INTEGER PRIMARY KEY, at INTEGER); INSERT INTO t (at) VALUES (1704164645), (0), (-62135596800), (9223372036854775807), (9224318015999), (9224318016000), (-210866803200), (-210866803201);',
    choices: { rejects: 'allow', tables: { t: { columns: { at: { type: 'timestamptz', epoch: 'seconds' } } } } },
    expect: {
      hazards: ['unfitValue t.at'],
      account: { t: { rows: 8, rejected: 3 } },
      probes: [
        {
          sql: 'SELECT at FROM t ORDER BY id',
          rows: [
            ['2024-01-02 03:04:05+00'],
            ['1970-01-01 00:00:00+00'],
            ['0001-01-01 00:00:00+00'],
            ['294276-12-31 23:59:59+00'],
            ['4714-11-24 00:00:00+00 BC'],
          ],
        },
      ],
    },
  },
  {
    name: 'julian days are reals',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME); INSERT INTO t (at) VALUES (2460311.6278356481), (julianday('2024-01-02'));",
    expect: {
      types: { 't.at': 'double precision' },
      account: { t: { rows: 2 } },
      probes: [{ sql: 'SELECT at FROM t WHERE id = 1', rows: [['2460311.627835648']] }],
    },
  },
  {
    name: 'texts and seconds since 1970 in one column',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME); INSERT INTO t (at) VALUES (1704164645), ('2024-01-02 03:04:05');",
    expect: { types: { 't.at': 'text' }, hazards: ['mixedStorage t.at'], account: { t: { rows: 2, mapped: 1 } } },
  },
  {
    name: 'finer than a microsecond is kept as text',
    make: "CREATE TABLE t (at DATETIME); INSERT INTO t VALUES ('2024-01-02T03:04:05.123456789Z'), ('2024-01-02T03:04:05.1234567Z');",
    expect: { types: { 't.at': 'text' }, hazards: ['dirtyTime t.at'], account: { t: { rows: 2 } } },
  },
  {
    name: 'an update time that defaults to the moment',
    make: "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME DEFAULT CURRENT_TIMESTAMP, also TEXT DEFAULT (datetime('now')), ms INTEGER DEFAULT (strftime('%s','now'))); INSERT INTO t (id) VALUES (1);",
    expect: {
      account: { t: { rows: 1 } },
      probes: [
        {
          sql: "INSERT INTO t (id) VALUES (2) RETURNING abs(extract(epoch FROM at - (now() AT TIME ZONE 'UTC'))) < 5, also ~ '^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d$', abs(ms::numeric - extract(epoch FROM now())) < 5",
          rows: [['t', 't', 't']],
        },
      ],
    },
  },
]
