import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { makeSqlite } from '../testing/make-sqlite.js'
import { useClient, useDatabase } from '../testing/postgres/use-database.js'
import { useFolder } from '../testing/use-folder.js'
import { copyMove } from './copy/copy.js'
import { planMove } from './plan/plan.js'
import { dishonesties } from './quirks/honesty.js'
import { type Moved, moveFile } from './quirks/run-quirk.js'
import { verifyMove } from './verify/verify.js'

const folder = useFolder('existing')
const database = useDatabase()
const client = useClient(database)
let schema = ''
let schemas = 0

beforeEach(async () => {
  schema = `e${++schemas}`
  await client.query(`CREATE SCHEMA ${schema}; SET search_path TO ${schema}; SET timezone = 'UTC'`)
})

const write = (sql: string): string => makeSqlite(join(folder, `${schema}.db`), sql)

const mapOf = (tables: object, rest: object = {}): object => ({ version: 1, tables, ...rest })

const move = (sql: string, map: object): Promise<Moved> =>
  moveFile({ folder, path: write(sql), schema, target: { url: database.url }, map })

const plan = (sql: string, map: object) => {
  const mapPath = join(folder, `${schema}.map.json`)
  writeFileSync(mapPath, JSON.stringify(map))
  return planMove({ path: write(sql), schema, into: 'existing', mapPath, target: { url: database.url } })
}

const select = async (sql: string): Promise<unknown[][]> => (await client.query({ text: sql, rowMode: 'array' })).rows

const expectHonest = (moved: Moved): void => {
  expect(dishonesties(moved)).toEqual([])
  expect(moved.verification.ok).toBe(true)
}

describe('MOVE-3: a move into tables that exist', () => {
  it('renames, converts, leaves columns behind by name and others to their defaults', async () => {
    await client.query(
      `CREATE TABLE people (id uuid PRIMARY KEY, born date, seen timestamptz, tags jsonb, active boolean NOT NULL, score numeric(6,2), note text DEFAULT 'none', made timestamptz DEFAULT now())`,
    )
    const moved = await move(
      `CREATE TABLE person (pid TEXT PRIMARY KEY, dob TEXT, last_seen TEXT, tags TEXT, active INTEGER, score REAL, junk BLOB);
       INSERT INTO person VALUES ('0190b5d27a3b7c4d8e5f001122334455', '1990-02-28', '2024-01-02T03:04:05', '{"b":1,"a":[]}', 1, 12.25, x'00'),
                                 ('0190b5d27a3b7c4d8e5f001122334456', NULL, NULL, NULL, 0, NULL, NULL)`,
      mapOf({
        person: {
          to: `${schema}.people`,
          columns: {
            pid: { to: 'id', as: 'uuid-dashless' },
            dob: { to: 'born' },
            last_seen: { to: 'seen', timeZone: 'Australia/Darwin' },
          },
          ignore: ['junk'],
          extraTargetColumns: ['note', 'made'],
        },
      }),
    )
    expectHonest(moved)
    expect(moved.copy).toMatchObject({ ok: true, tables: [{ rows: 2, copied: 2, rejected: 0 }] })
    expect(
      await select(
        'SELECT id, born::text, seen::text, tags::text, active, score::text, note, made IS NOT NULL FROM people ORDER BY id',
      ),
    ).toEqual([
      [
        '0190b5d2-7a3b-7c4d-8e5f-001122334455',
        '1990-02-28',
        '2024-01-01 17:34:05+00',
        '{"a": [], "b": 1}',
        true,
        '12.25',
        'none',
        true,
      ],
      ['0190b5d2-7a3b-7c4d-8e5f-001122334456', null, null, null, false, null, 'none', true],
    ])
  })

  it('gives ids that are no uuids one of their own, the same in every table', async () => {
    await client.query(
      'CREATE TABLE users (id uuid PRIMARY KEY); CREATE TABLE posts (id uuid PRIMARY KEY, author uuid REFERENCES users (id))',
    )
    const moved = await move(
      `CREATE TABLE users (id TEXT PRIMARY KEY); CREATE TABLE posts (id INTEGER PRIMARY KEY, author TEXT);
       INSERT INTO users VALUES ('ann'), ('bob'); INSERT INTO posts VALUES (1, 'bob'), (2, 'ann'), (3, 'bob')`,
      mapOf({
        users: { to: 'users', columns: { id: { as: 'uuid-mapped' } } },
        posts: { to: 'posts', columns: { id: { as: 'uuid-mapped' }, author: { as: 'uuid-mapped' } } },
      }),
    )
    expectHonest(moved)
    const names = await select(
      'SELECT m.legacy_id FROM posts AS p JOIN tidemark.move_id_map AS m ON m.id = p.author JOIN tidemark.move_id_map AS n ON n.id = p.id ORDER BY n.legacy_id',
    )
    expect(names).toEqual([['bob'], ['ann'], ['bob']])
  })

  it('rejects what the target refuses, row by row, and nothing beside it', async () => {
    await client.query(`CREATE TABLE t (id int PRIMARY KEY, code text UNIQUE, n int CHECK (n > 0), v varchar(3), m numeric(4,1))`)
    const moved = await move(
      `CREATE TABLE t (id INTEGER, code TEXT, n INTEGER, v TEXT, m REAL);
       INSERT INTO t VALUES (1, 'a', 1, 'abc', 1.5), (2, 'b', -1, 'x', 1.5), (3, 'a', 1, 'x', 1.5), (4, 'd', 1, 'abcd', 1.5),
                            (5, 'e', 1, 'x', 1.55), (1, 'f', 1, 'x', 1.5), (7, 'g', 1, 'x', 99999.5), (8, 'h', 1, NULL, NULL)`,
      mapOf({ t: { to: 't', rejects: 'allow' } }),
    )
    expectHonest(moved)
    expect(moved.copy).toMatchObject({ ok: true, tables: [{ rows: 8, copied: 2, rejected: 6 }] })
    expect(await select('SELECT id, code FROM t ORDER BY id')).toEqual([
      [1, 'a'],
      [8, 'h'],
    ])
    const reasons = await select(
      `SELECT row_key, column_name, reason FROM tidemark.move_rejects WHERE run_id = '${moved.copy.runId}' ORDER BY row_key`,
    )
    expect(reasons.map(([key]) => key)).toEqual(['rowid=2', 'rowid=3', 'rowid=4', 'rowid=5', 'rowid=6', 'rowid=7'])
    expect(reasons.map(([, column, reason]) => `${column}: ${reason}`)).toEqual([
      expect.stringContaining('check constraint'),
      expect.stringMatching(/unique.*Key \(code\)=\(a\)/),
      'v: text that does not fit into character varying(3)',
      'm: a number that does not fit into numeric(4,1)',
      expect.stringMatching(/Key \(id\)=\(1\)/),
      'm: a number that does not fit into numeric(4,1)',
    ])
  })

  it('never rounds to the precision of the target', async () => {
    await client.query('CREATE TABLE t (id int, a timestamp(0), b numeric(10,2), c real, d time(3), e char(3))')
    const moved = await move(
      `CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b REAL, c REAL, d TEXT, e TEXT);
       INSERT INTO t VALUES (1, '2024-01-02 03:04:05.6', 0, 0, '00:00:00', 'a'), (2, NULL, 0.125, 0, '00:00:00', 'a'), (3, NULL, 0, 0.1, '00:00:00', 'a'),
                            (4, NULL, 0, 0, '00:00:00.0001', 'a'), (5, NULL, 0, 0, '00:00:00', 'a '), (6, '2024-01-02 03:04:05.000', 0.25, 0.5, '00:00:00.25', 'abc')`,
      mapOf({ t: { to: 't', rejects: 'allow' } }),
    )
    expectHonest(moved)
    expect(moved.verification.tables).toMatchObject([{ rows: 6, rejected: 5 }])
    expect(await select('SELECT id FROM t')).toEqual([[6]])
  })

  it('rejects orphans, and what hangs on a row that was rejected', async () => {
    await client.query(
      'CREATE TABLE a (id int PRIMARY KEY, n int CHECK (n > 0)); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a); CREATE TABLE c (b int NOT NULL REFERENCES b)',
    )
    const moved = await move(
      `CREATE TABLE c (b INTEGER); CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER); CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER);
       INSERT INTO a VALUES (1, 1), (2, -1); INSERT INTO b VALUES (10, 1), (20, 2), (30, 99), (40, NULL); INSERT INTO c VALUES (10), (20), (30), (40)`,
      mapOf({ a: { to: 'a' }, b: { to: 'b' }, c: { to: 'c' } }),
    )
    expectHonest(moved)
    expect(moved.plan.hazards.map(({ code, table, count, keys }) => ({ code, table, count, keys }))).toEqual([
      { code: 'orphan', table: 'b', count: 1, keys: ['id=30'] },
    ])
    expect(moved.copy).toMatchObject({ ok: false, unallowedRejects: 5 })
    expect(await select('SELECT b FROM c ORDER BY 1')).toEqual([[10], [40]])
  })

  it('carries a table that refers to itself, children before parents, with a bad row among them', async () => {
    await client.query('CREATE TABLE t (id int PRIMARY KEY, parent int REFERENCES t, n int CHECK (n <> 13))')
    const rows = Array.from(
      { length: 5000 },
      (_, i) => `(${i + 1}, ${i === 4999 ? 'NULL' : i + 2}, ${i === 100 ? 13 : i % 10})`,
    ).join(', ')
    const moved = await move(
      `CREATE TABLE t (id INTEGER PRIMARY KEY, parent INTEGER, n INTEGER); INSERT INTO t VALUES ${rows}; INSERT INTO t VALUES (6000, 6001, 1), (6001, 6000, 2)`,
      mapOf({ t: { to: 't', rejects: 'allow' } }),
    )
    expectHonest(moved)
    // Row 101 is refused, and with it all whose ancestor it is.
    expect(moved.verification.tables).toMatchObject([{ rows: 5002, rejected: 101 }])
  }, 120_000)

  it('lets triggers that guard the states of a row stand aside, and nobody else', async () => {
    await client.query(`CREATE TABLE t (id int PRIMARY KEY, state text);
      CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF tidemark.is_move_apply() THEN RETURN new; END IF;
        IF new.state <> 'new' THEN RAISE EXCEPTION 'begins as new' USING errcode = 'check_violation'; END IF; RETURN new; END $$;
      CREATE TRIGGER guard BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION guard()`)
    const moved = await move(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, state TEXT); INSERT INTO t VALUES (1, 'done')",
      mapOf({ t: { to: 't' } }),
    )
    expectHonest(moved)
    await expect(client.query("INSERT INTO t VALUES (2, 'done')")).rejects.toThrow('begins as new')
  })

  it('writes what stands for NULL, in numbers, times and texts', async () => {
    await client.query(
      'CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL, x float8 NOT NULL, v text NOT NULL, b boolean NOT NULL, at timestamptz NOT NULL, d date NOT NULL)',
    )
    const nullAs = {
      n: { nullAs: '-1' },
      x: { nullAs: '0.5' },
      v: { nullAs: '' },
      b: { as: 'boolean', nullAs: '0' },
      at: { nullAs: '1970-01-01 00:00:00' },
      d: { nullAs: '0001-01-01' },
    }
    const moved = await move(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, x REAL, v TEXT, b INTEGER, at TEXT, d TEXT); INSERT INTO t (id) VALUES (1); INSERT INTO t VALUES (2, 5, 2.5, 'v', 1, '2024-01-01 00:00:00', '2024-01-01')",
      mapOf({ t: { to: 't', columns: nullAs } }),
    )
    expectHonest(moved)
    expect(moved.copy).toMatchObject({ ok: true, tables: [{ copied: 2, replaced: 6 }] })
    expect(await select('SELECT n, x, v, b, at::text, d::text FROM t ORDER BY id')).toEqual([
      [-1, 0.5, '', false, '1970-01-01 00:00:00+00', '0001-01-01'],
      [5, 2.5, 'v', true, '2024-01-01 00:00:00+00', '2024-01-01'],
    ])
  })

  it('goes on with the ids of the target', async () => {
    await client.query(
      'CREATE TABLE a (id serial PRIMARY KEY); CREATE TABLE b (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, x int)',
    )
    const moved = await move(
      'CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (id INTEGER PRIMARY KEY, x INTEGER); INSERT INTO a VALUES (7); INSERT INTO b VALUES (9, 1)',
      mapOf({ a: { to: 'a' }, b: { to: 'b' } }),
    )
    expectHonest(moved)
    expect(await select('INSERT INTO a DEFAULT VALUES RETURNING id')).toEqual([[8]])
    expect(await select('INSERT INTO b (x) VALUES (1) RETURNING id')).toEqual([[10]])
  })

  it('goes on with ids that AUTOINCREMENT gave out and that are gone', async () => {
    await client.query('CREATE TABLE a (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY)')
    expectHonest(
      await move(
        'CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO a VALUES (1), (900); DELETE FROM a WHERE id = 900',
        mapOf({ a: { to: 'a' } }),
      ),
    )
    expect(await select('INSERT INTO a DEFAULT VALUES RETURNING id')).toEqual([[901]])
  })

  it('reads every row of a file that holds the key of the target twice', async () => {
    await client.query('CREATE TABLE t (id int PRIMARY KEY, n int)')
    const rows = Array.from({ length: 600 }, (_, i) => `(${Math.floor(i / 2)}, ${i})`).join(', ')
    const moved = await move(
      `CREATE TABLE t (id INTEGER, n INTEGER); INSERT INTO t VALUES ${rows}`,
      mapOf({ t: { to: 't', rejects: 'allow' } }),
    )
    expectHonest(moved)
    expect(moved.verification.tables).toMatchObject([{ rows: 600, equal: 300, rejected: 300 }])
  })
})

describe('a map that does not fit is refused before anything is written', () => {
  const file =
    "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, at TEXT); CREATE TABLE other (x INTEGER); INSERT INTO t VALUES (1, 'x', '2024-01-01')"
  const cases: readonly (readonly [string, object, string, RegExp])[] = [
    ['a table is forgotten', mapOf({ t: { to: 't' } }), 'TM_MOVE_MAP_INVALID', /"other"/],
    [
      'a table is named that the file does not have',
      mapOf({ t: { to: 't' }, u: { to: 't' } }, { ignoreTables: ['other'] }),
      'TM_MOVE_MAP_INVALID',
      /"u"/,
    ],
    [
      'a column is named that the file does not have',
      mapOf({ t: { to: 't', ignore: ['w'] } }, { ignoreTables: ['other'] }),
      'TM_MOVE_MAP_INVALID',
      /"w"/,
    ],
    [
      'the target has no such column',
      mapOf({ t: { to: 't', columns: { v: { to: 'w' } } } }, { ignoreTables: ['other'] }),
      'TM_MOVE_MAP_INVALID',
      /"w"/,
    ],
    [
      'the target has no such table',
      mapOf({ t: { to: 'nowhere' } }, { ignoreTables: ['other'] }),
      'TM_MOVE_TARGET_MISSING',
      /nowhere/,
    ],
    [
      'two columns go to one',
      mapOf({ t: { to: 't', columns: { at: { to: 'v' } } } }, { ignoreTables: ['other'] }),
      'TM_MOVE_MAP_INVALID',
      /two columns/,
    ],
    [
      'a column that needs a value gets none',
      mapOf({ t: { to: 't', ignore: ['v'] } }, { ignoreTables: ['other'] }),
      'TM_MOVE_MAP_INVALID',
      /\.v needs a value/,
    ],
    [
      'times go into numbers',
      mapOf({ t: { to: 't', columns: { at: { as: 'epoch-seconds' } } } }, { ignoreTables: ['other'] }),
      'TM_MOVE_TYPE_UNSUPPORTED',
      /epoch-seconds/,
    ],
    [
      'a word is not known',
      mapOf({ t: { to: 't', columns: { at: { as: 'time-stamp' } } } }, { ignoreTables: ['other'] }),
      'TM_MOVE_MAP_INVALID',
      /as/,
    ],
    [
      'every column stays behind',
      mapOf({ t: { to: 'empty', ignore: ['id', 'v', 'at'] } }, { ignoreTables: ['other'] }),
      'TM_MOVE_MAP_INVALID',
      /no column/,
    ],
  ]

  it.each(cases)('%s', async (_name, map, code, says) => {
    await client.query('CREATE TABLE t (id int PRIMARY KEY, v text NOT NULL, at int); CREATE TABLE empty (x int)')
    await expect(plan(file, map)).rejects.toMatchObject({ code, message: expect.stringMatching(says) })
  })

  it('a type that no conversion is known for is named', async () => {
    await client.query('CREATE TABLE t (id int, v int4range, at interval)')
    await expect(plan(file, mapOf({ t: { to: 't' } }, { ignoreTables: ['other'] }))).rejects.toMatchObject({
      code: 'TM_MOVE_TYPE_UNSUPPORTED',
      message: expect.stringMatching(/int4range/),
    })
  })
})

describe('tables that are not empty', () => {
  const file = 'CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)'
  const map = mapOf({ t: { to: 't' } })

  it('are left as they are, or emptied by choice', async () => {
    await client.query('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (77)')
    const planned = await plan(file, map)
    await expect(copyMove(planned, { target: { url: database.url } })).rejects.toMatchObject({ code: 'TM_MOVE_TARGET_NOT_EMPTY' })
    expect(await select('SELECT id FROM t')).toEqual([[77]])
    const report = await copyMove(planned, { target: { url: database.url }, onExisting: 'replace' })
    expect(report.ok).toBe(true)
    expect(await select('SELECT id FROM t ORDER BY 1')).toEqual([[1], [2]])
    expect((await verifyMove(planned, { target: { url: database.url } })).ok).toBe(true)
  })

  it('are not emptied where a table of somebody else hangs on them', async () => {
    await client.query(
      'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE mine (t int REFERENCES t); INSERT INTO t VALUES (77); INSERT INTO mine VALUES (77)',
    )
    const planned = await plan(file, map)
    await expect(copyMove(planned, { target: { url: database.url }, onExisting: 'replace' })).rejects.toMatchObject({
      code: expect.stringMatching(/^TM_/),
    })
    expect(await select('SELECT t FROM mine')).toEqual([[77]])
  })
})
