/** Defaults as people write them, on the columns that the plan makes, with the Postgres SQL they become. */
import type { Conversion, MomentFormat } from '../../move.js'

const format: MomentFormat = { separator: ' ', seconds: true, fraction: 0, zone: 'none' }

/** Columns by a short name: declared type, target type, conversion. */
export const defaultColumns = {
  bigint: ['INTEGER', 'bigint', { kind: 'integer' }],
  smallint: ['INTEGER', 'smallint', { kind: 'integer' }],
  real: ['REAL', 'double precision', { kind: 'real' }],
  numeric: ['DECIMAL', 'numeric', { kind: 'numeric' }],
  money: ['DECIMAL(10,2)', 'numeric(10,2)', { kind: 'numeric' }],
  text: ['TEXT', 'text', { kind: 'text' }],
  varchar: ['VARCHAR(5)', 'character varying(5)', { kind: 'text' }],
  untyped: ['', 'text', { kind: 'text' }],
  any: ['', 'text', { kind: 'anyText' }],
  anyBytes: ['', 'bytea', { kind: 'anyBytes' }],
  bytes: ['BLOB', 'bytea', { kind: 'bytes' }],
  boolean: ['BOOLEAN', 'boolean', { kind: 'boolean', truthy: ['1'], falsy: ['0'] }],
  yesNo: ['TEXT', 'boolean', { kind: 'boolean', truthy: ['yes'], falsy: ['no'] }],
  date: ['DATE', 'date', { kind: 'date' }],
  time: ['TIME', 'time without time zone', { kind: 'time', fraction: 0 }],
  timestamp: ['DATETIME', 'timestamp without time zone', { kind: 'timestamp', format }],
  anyTimestamp: ['DATETIME', 'timestamp without time zone', { kind: 'timestamp', format: null }],
  zoned: [
    'TEXT',
    'timestamp with time zone',
    { kind: 'timestamptz', format: { ...format, separator: 'T', zone: 'Z' }, timeZone: 'UTC' },
  ],
  anyZoned: ['TEXT', 'timestamp with time zone', { kind: 'timestamptz', format: null, timeZone: 'UTC' }],
  paris: ['DATETIME', 'timestamp with time zone', { kind: 'timestamptz', format, timeZone: 'Europe/Paris' }],
  epoch: ['INTEGER', 'timestamp with time zone', { kind: 'epoch', unit: 'seconds' }],
  epochMs: ['INTEGER', 'timestamp with time zone', { kind: 'epoch', unit: 'milliseconds' }],
  uuid: ['TEXT', 'uuid', { kind: 'uuid', form: 'dashed', namespace: '' }],
  dashless: ['TEXT', 'uuid', { kind: 'uuid', form: 'dashless', namespace: '' }],
  mapped: ['TEXT', 'uuid', { kind: 'uuid', form: 'mapped', namespace: '6ba7b810-9dad-11d1-80b4-00c04fd430c8' }],
  json: ['TEXT', 'json', { kind: 'json' }],
  jsonb: ['TEXT', 'jsonb', { kind: 'jsonb' }],
} as const satisfies Record<string, readonly [string, string, Conversion]>

export type DefaultColumnName = keyof typeof defaultColumns

const utcNow = "(now() AT TIME ZONE 'UTC')"
const uuidRecipe = `lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' ||
  substr('89ab', 1 + (abs(random()) % 4), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))`

export const carriedDefaults: readonly (readonly [sql: string, column: DefaultColumnName, expected: string])[] = [
    ['5', 'bigint', '5'], ['-1', 'bigint', '-1'], ["'7'", 'bigint', '7'], ["' 7 '", 'bigint', '7'], ['1e5', 'bigint', '100000'], ['3.0', 'bigint', '3'], ['0x10', 'bigint', '16'],
    ['+5', 'bigint', '5'], ['NULL', 'bigint', 'NULL'], ['true', 'bigint', '1'], ['FALSE', 'bigint', '0'], ['-32768', 'smallint', '-32768'], ['-9223372036854775808', 'bigint', "'-9223372036854775808'::bigint"],
    ['(1 + 2)', 'bigint', '(1::bigint + 2)::bigint'], ['- 5', 'bigint', '-5'],
    ['1.5', 'real', '1.5'], ['1', 'real', '1.0'], ["'2.5'", 'real', '2.5'], ['1e400', 'real', "'Infinity'::double precision"], ['1e-9', 'real', '1e-9'],
    ['19.99', 'numeric', '19.99'], ['0', 'numeric', '0'], ['1.0', 'money', '1'], ['-9.95', 'money', '-9.95'],
    ["'it''s'", 'text', "'it''s'"], ['"x"', 'text', "'x'"], ['""', 'text', "''"], ['word', 'text', "'word'"], ['[a b]', 'text', "'a b'"], ["'null'", 'text', "'null'"], ["'a\\b'", 'text', "E'a\\\\b'"],
    ['5', 'text', "'5'"], ['1.5', 'text', "'1.5'"], ['2.0', 'text', "'2.0'"], ['true', 'text', "'1'"], ['"true"', 'text', "'true'"], ["'now'", 'text', "'now'"], ["'abc'", 'varchar', "'abc'"],
    ["('a' || 'b')", 'text', "'ab'"], ["upper('a')", 'text', `upper('a' COLLATE "C")`], ["json('{ \"a\" : [1, 2.0] }')", 'text', `'{"a":[1,2.0]}'`], ['json_array()', 'json', "'[]'::json"],
    ["x'00ff'", 'bytes', "'\\x00ff'::bytea"], ["x''", 'bytes', "'\\x'::bytea"], ['5', 'any', "'5'"], ["'a'", 'any', "'a'"], ["'a'", 'anyBytes', "'\\x61'::bytea"],
    ['1', 'boolean', 'TRUE'], ['0', 'boolean', 'FALSE'], ['true', 'boolean', 'TRUE'], ["'1'", 'boolean', 'TRUE'], ["'false'", 'boolean', 'FALSE'], ["'t'", 'boolean', 'TRUE'], ["'yes'", 'yesNo', 'TRUE'], ['NULL', 'boolean', 'NULL'],
    ["'2024-02-29'", 'date', "DATE '2024-02-29'"], ["'08:30'", 'time', "TIME '08:30'"], ["'2024-01-01 10:00:00'", 'timestamp', "TIMESTAMP '2024-01-01 10:00:00'"], ["'2024-01-01T10:00:00'", 'timestamp', "TIMESTAMP '2024-01-01 10:00:00'"],
    ["'2024-01-01T10:00:00Z'", 'zoned', "TIMESTAMPTZ '2024-01-01 10:00:00+00'"], ["'2024-01-01 10:00:00+02:00'", 'anyZoned', "TIMESTAMPTZ '2024-01-01 10:00:00+02:00'"], ["'2024-01-01 10:00:00'", 'paris', "(TIMESTAMP '2024-01-01 10:00:00' AT TIME ZONE 'Europe/Paris')"],
    ['0', 'epoch', 'to_timestamp(0)'], ['1700000000000', 'epochMs', 'to_timestamp(1700000000000 / 1000.0)'],
    ["'6ba7b810-9dad-11d1-80b4-00c04fd430c8'", 'uuid', "'6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid"], ["'{}'", 'json', "'{}'::json"], ["'[]'", 'jsonb', "'[]'::jsonb"],
    ['CURRENT_TIMESTAMP', 'text', `to_char(${utcNow}, 'YYYY-MM-DD HH24:MI:SS')`], ['current_date', 'text', `to_char(${utcNow}, 'YYYY-MM-DD')`], ['CURRENT_TIME', 'text', `to_char(${utcNow}, 'HH24:MI:SS')`],
    ["datetime('now')", 'text', `to_char(${utcNow}, 'YYYY-MM-DD HH24:MI:SS')`], ["(DATETIME('NOW'))", 'timestamp', `date_trunc('second', ${utcNow})`], ['datetime()', 'timestamp', `date_trunc('second', ${utcNow})`],
    ["strftime('%Y-%m-%d %H:%M:%f', 'now')", 'anyTimestamp', `date_trunc('milliseconds', ${utcNow})`], ["strftime('%Y-%m-%dT%H:%M:%fZ','now')", 'text', `to_char(${utcNow}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`],
    ["strftime('%Y-%m-%dT%H:%M:%SZ','now')", 'zoned', "date_trunc('second', now())"], ["strftime('%Y-%m-%dT%H:%M:%fZ','now')", 'anyZoned', 'now()'], ["datetime('now')", 'anyZoned', 'now()'],
    ["datetime('now', '+7 days')", 'timestamp', `date_trunc('second', (${utcNow} + INTERVAL '+7 days'))`], ["datetime('now', 'start of day')", 'timestamp', `date_trunc('second', (date_trunc('day', ${utcNow})))`],
    ["datetime('now', 'subsec')", 'text', `to_char(${utcNow}, 'YYYY-MM-DD HH24:MI:SS.MS')`], ["date('now')", 'date', `${utcNow}::date`], ["time('now')", 'time', `date_trunc('second', ${utcNow})::time`],
    ["datetime('now', 'localtime')", 'paris', "date_trunc('second', now())"], ["datetime('now')", 'paris', `(date_trunc('second', ${utcNow}) AT TIME ZONE 'Europe/Paris')`], ["strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-1 day')", 'zoned', `(date_trunc('second', (${utcNow} + INTERVAL '-1 days')) AT TIME ZONE 'UTC')`],
    ["strftime('%s','now')", 'bigint', 'floor(extract(epoch from now()))::bigint'], ['unixepoch()', 'bigint', 'floor(extract(epoch from now()))::bigint'], ["CAST(strftime('%s','now') AS INT)", 'bigint', 'floor(extract(epoch from now()))::bigint'],
    ["strftime('%s','now')", 'text', 'floor(extract(epoch from now()))::bigint::text'], ['unixepoch()', 'real', 'floor(extract(epoch from now()))::bigint::double precision'], ['unixepoch()', 'epoch', "date_trunc('second', now())"],
    ['(unixepoch() * 1000)', 'bigint', '(floor(extract(epoch from now())) * 1000)::bigint'], ["CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)", 'bigint', 'floor(extract(epoch from now()) * 1000)::bigint'],
    ["CAST((julianday('now') - 2440587.5)*86400.0 AS INTEGER)", 'bigint', 'floor(extract(epoch from now()))::bigint'], ["CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)", 'epochMs', "date_trunc('milliseconds', now())"], ["unixepoch('now', '+1 hour')", 'bigint', `floor(extract(epoch from (${utcNow} + INTERVAL '+1 hours') AT TIME ZONE 'UTC'))::bigint`],
    ["julianday('now')", 'real', 'extract(epoch from now())::double precision / 86400 + 2440587.5'],
    ['lower(hex(randomblob(16)))', 'text', "replace(gen_random_uuid()::text, '-', '')"], ['hex(randomblob(4))', 'text', "upper(left(replace(gen_random_uuid()::text, '-', ''), 8))"], ['lower(hex(randomblob(16)))', 'dashless', 'gen_random_uuid()'], ['randomblob(16)', 'bytes', "decode(replace(gen_random_uuid()::text, '-', ''), 'hex')"],
    ['lower(hex(randomblob(32)))', 'text', "replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')"], [uuidRecipe, 'text', 'gen_random_uuid()::text'], [uuidRecipe, 'uuid', 'gen_random_uuid()'],
  ] // biome-ignore format: a table
