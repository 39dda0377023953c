import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import BetterSqlite from 'better-sqlite3'
import { afterEach, describe, expect, it } from 'vitest'
import { isTidemarkError } from '../../errors.js'
import { createBootstrappedDatabase, testUrl } from '../../schema/testing/bootstrapped-template.js'
import { useDatabase } from '../../testing/postgres/use-database.js'
import { useFolder } from '../../testing/use-folder.js'
import { systemClock } from '../../time/clock.js'
import { until } from '../../time/until.js'
import type { Mirror } from './mirror.js'
import { dropMirror, mirrorSource } from './prepare-mirror.js'
import { MirroredFile, type MirroredFileOptions } from './testing/mirrored-file.js'

const folder = useFolder('mirror')
const database = useDatabase()
let schemas = 0
let file: MirroredFile
let mirror: Mirror

afterEach(() => file.close())

const open = async (make: MirroredFileOptions['make'], options: Partial<MirroredFileOptions> = {}): Promise<void> => {
  file = await MirroredFile.open({ folder, url: database.url, schema: `w${++schemas}`, make, ...options })
  mirror = await file.mirror()
}

const logged = (): unknown[] => file.rows('SELECT t, k0 FROM _tidemark_log ORDER BY seq')

describe('R89, MOVE-5: a mirror', () => {
  it('brings inserts, updates, deletes and changed keys into the file, and their keys into its log', async () => {
    await open(`CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, price REAL, data BLOB);
      INSERT INTO t VALUES (1, 'one', 1.5, x'00ff'), (2, 'two', 2.0, NULL), (3, 'three', NULL, x'')`)
    await file.write(
      mirror,
      "INSERT INTO t VALUES (4, 'four', 0.1, '\\x0a0b'), (9007199254740993, 'large', 1e300, NULL)",
      "UPDATE t SET name = 'zwei', price = 2.25 WHERE id = 2",
      'UPDATE t SET id = 30 WHERE id = 3',
      'DELETE FROM t WHERE id = 1',
    )
    expect(file.rows('SELECT id, name, typeof(price), price, typeof(data), hex(data) FROM t ORDER BY id')).toEqual([
      [2n, 'zwei', 'real', 2.25, 'null', ''],
      [4n, 'four', 'real', 0.1, 'blob', '0A0B'],
      [30n, 'three', 'null', null, 'blob', ''],
      [9007199254740993n, 'large', 'real', 1e300, 'null', ''],
    ])
    expect(logged()).toEqual([4n, 9007199254740993n, 2n, 3n, 30n, 1n].map((key) => [1n, key]))
    expect(await file.differences()).toEqual([])
  })

  it('is refused by nobody else: the fence stands for every other program', async () => {
    await open('CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)')
    await file.write(mirror, 'INSERT INTO t VALUES (2)')
    expect(() => file.reader.exec('INSERT INTO t VALUES (3)')).toThrow(/takes no writes/)
    expect(file.rows('SELECT mirroring FROM _tidemark_control')).toEqual([[0n]])
  })

  it('leaves the bytes of columns that Postgres did not change', async () => {
    await open(
      `CREATE TABLE t (id INTEGER PRIMARY KEY, note TEXT, doc JSON, flag BOOLEAN, mixed, at DATETIME);
       INSERT INTO t VALUES (1, 'n', ' {"b":1,"a":2} ', 'yes', 5, '2024-01-02T03:04:05Z'), (2, 'm', '[1]', '1', '5', '2024-01-02')`,
      {
        choicesPath: choices({
          doc: { type: 'jsonb' },
          flag: { type: 'boolean' },
          mixed: { type: 'text' },
          at: { type: 'timestamptz' },
        }),
      },
    )
    await file.write(mirror, "UPDATE t SET note = 'changed'", 'UPDATE t SET doc = doc WHERE id = 1')
    expect(file.rows('SELECT note, doc, flag, typeof(mixed), at FROM t ORDER BY id')).toEqual([
      ['changed', ' {"b":1,"a":2} ', 'yes', 'integer', '2024-01-02T03:04:05Z'],
      ['changed', '[1]', 1n, 'text', '2024-01-02'],
    ])
    await file.write(
      mirror,
      "UPDATE t SET doc = '{\"x\": [1, 2]}', flag = NOT flag, mixed = 'six', at = '2025-06-07 08:09:10.5+02' WHERE id = 1",
    )
    expect(file.rows('SELECT doc, flag, mixed, at FROM t WHERE id = 1')).toEqual([
      ['{"x": [1, 2]}', 0n, 'six', '2025-06-07 06:09:10.5+00:00'],
    ])
    expect(await file.differences()).toEqual([])
  })

  it('keeps a large value that an update did not touch', async () => {
    const long = Array.from({ length: 4000 }, (_, i) => String((i * 7919) % 104_729)).join('')
    await open((db) => {
      db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, long TEXT)')
      db.prepare('INSERT INTO t VALUES (1, ?, ?)').run('a', long)
    })
    await file.client.query('ALTER TABLE t ALTER COLUMN long SET STORAGE EXTERNAL; UPDATE t SET long = long || $$!$$')
    await file.write(mirror, "UPDATE t SET v = 'b'", 'UPDATE t SET id = 2')
    expect(file.rows('SELECT id, v, long FROM t')).toEqual([[2n, 'b', `${long}!`]])
  })

  it('takes tables without a key by all of their values, one row of equals at a time', async () => {
    await open(`CREATE TABLE loose (a INTEGER, b TEXT); INSERT INTO loose VALUES (1, 'x'), (1, 'x'), (1, 'x'), (2, NULL);
      CREATE TABLE nameless (rowid TEXT, _rowid_ INTEGER, oid REAL); INSERT INTO nameless VALUES ('r', 1, 0.5), ('r', 1, 0.5), ('q', 2, NULL)`)
    await file.write(
      mirror,
      'DELETE FROM loose WHERE ctid = (SELECT min(ctid) FROM loose WHERE a = 1)',
      "UPDATE loose SET b = 'y' WHERE ctid = (SELECT min(ctid) FROM loose WHERE a = 1)",
      'UPDATE loose SET a = 20 WHERE b IS NULL',
      'INSERT INTO loose VALUES (NULL, NULL)',
      'UPDATE nameless SET oid = 9 WHERE ctid = (SELECT min(ctid) FROM nameless WHERE _rowid_ = 1)',
      "DELETE FROM nameless WHERE rowid = 'q'",
    )
    expect(file.rows('SELECT a, b FROM loose ORDER BY a, b')).toEqual([
      [null, null],
      [1n, 'x'],
      [1n, 'y'],
      [20n, null],
    ])
    expect(file.rows('SELECT rowid, _rowid_, oid FROM nameless ORDER BY oid')).toEqual([
      ['r', 1n, 0.5],
      ['r', 1n, 9],
    ])
    expect(await file.differences()).toEqual([])
  })

  it('writes WITHOUT ROWID, STRICT and composite keys of mixed case', async () => {
    await open(
      `CREATE TABLE w (a TEXT, b INTEGER, v TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID, STRICT; INSERT INTO w VALUES ('k', 1, 'x'), ('K', 1, 'y')`,
    )
    await file.write(
      mirror,
      "UPDATE w SET v = 'z' WHERE a = 'K'",
      "UPDATE w SET b = 2 WHERE a = 'k'",
      "INSERT INTO w VALUES ('é', 3, NULL)",
      "DELETE FROM w WHERE a = 'K'",
    )
    expect(file.rows('SELECT a, b, v FROM w ORDER BY b')).toEqual([
      ['k', 2n, 'x'],
      ['é', 3n, null],
    ])
  })

  it('S21: brings cascades as they come and wakes no trigger of the application', async () => {
    await open(`CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE, n INTEGER);
      CREATE TABLE audit (id INTEGER PRIMARY KEY, what TEXT);
      CREATE TRIGGER noisy AFTER DELETE ON c BEGIN INSERT INTO audit (what) VALUES ('deleted ' || old.id); END;
      INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES (10, 1, 0), (11, 1, 0), (20, 2, 0)`)
    await file.write(mirror, 'DELETE FROM p WHERE id = 1', 'UPDATE p SET id = 3 WHERE id = 2')
    expect(file.rows('SELECT id, p FROM c')).toEqual([[20n, 3n]])
    expect(file.rows('SELECT * FROM audit')).toEqual([])
  })

  it('S17: lets unique values change places within a transaction', async () => {
    await open(
      `CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER UNIQUE, raw TEXT); INSERT INTO t VALUES (1, 10, CAST(x'ff00' AS TEXT)), (2, 20, 'b'), (3, 30, 'c')`,
      {
        choicesPath: choices({ raw: { invalidUtf8: 'replace', nulBytes: 'replace' } }),
      },
    )
    await makeDeferrable('t', 'n')
    await file.write(
      mirror,
      'UPDATE t SET n = CASE n WHEN 10 THEN 20 WHEN 20 THEN 30 ELSE 10 END',
      'UPDATE t SET n = n + 10',
      'BEGIN; INSERT INTO t VALUES (4, 20, NULL); UPDATE t SET n = 99 WHERE id = 3; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (2, 40, $$again$$); COMMIT',
    )
    expect(file.rows('SELECT id, n, hex(raw) FROM t ORDER BY id')).toEqual([
      [1n, 30n, 'FF00'],
      [2n, 40n, '616761696E'],
      [3n, 99n, '63'],
      [4n, 20n, ''],
    ])
    expect(await file.differences()).toEqual([])
  })

  it('S17: lets keys change places, with rows changed again while they wait', async () => {
    await open(`CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')`)
    await file.client.query(
      'ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id) DEFERRABLE INITIALLY DEFERRED, REPLICA IDENTITY FULL',
    )
    await file.write(
      mirror,
      'UPDATE t SET id = 3 - id WHERE id < 3',
      "BEGIN; UPDATE t SET id = 3 WHERE v = 'a'; UPDATE t SET v = 'A' WHERE v = 'a'; DELETE FROM t WHERE v = 'c'; UPDATE t SET v = 'AA' WHERE id = 3; COMMIT",
    )
    expect(file.rows('SELECT id, v FROM t ORDER BY id')).toEqual([
      [1n, 'b'],
      [3n, 'AA'],
    ])
    expect(await file.differences()).toEqual([])
  })

  it('empties a table that was truncated, but for rows that never were in Postgres', async () => {
    await open(
      `CREATE TABLE t (id INTEGER PRIMARY KEY, d DATE); INSERT INTO t VALUES (1, '2024-01-01'), (2, 'broken'), (3, '2024-01-03')`,
      {
        choicesPath: choices({ d: { type: 'date' } }, { rejects: 'allow' }),
      },
    )
    await file.write(mirror, 'TRUNCATE t', "INSERT INTO t VALUES (4, '2024-04-04'), (2, '2024-02-02')")
    expect(file.rows('SELECT id, d FROM t ORDER BY id')).toEqual([
      [2n, 'broken'],
      [4n, '2024-04-04'],
    ])
    expect(await file.differences()).toMatchObject([
      { key: 'id=2', difference: { state: 'missing', reason: expect.stringContaining('stayed behind') } },
    ])
    await file.write(mirror, "UPDATE t SET d = '2025-01-01' WHERE id = 2")
    expect(file.rows('SELECT d FROM t WHERE id = 2')).toEqual([['broken']])
    await file.write(mirror, 'DELETE FROM t WHERE id = 2')
    expect(file.rows('SELECT d FROM t WHERE id = 2')).toEqual([['broken']])
    expect(await file.differences()).toEqual([])
  })

  it('keeps the counter of AUTOINCREMENT at what the identity has given out', async () => {
    await open(`CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT); INSERT INTO t VALUES (5, 'a')`)
    await file.write(
      mirror,
      "INSERT INTO t (v) VALUES ('b'), ('c'), ('d')",
      'DELETE FROM t WHERE id > 6',
      'BEGIN; INSERT INTO t (v) VALUES (NULL); ROLLBACK',
    )
    expect(file.rows('SELECT id FROM t')).toEqual([[5n], [6n]])
    expect(file.rows('SELECT name, seq FROM sqlite_sequence')).toEqual([['t', 9n]])
  })

  it('ignores columns that only the target has and leaves generated ones to the file', async () => {
    await open(
      `CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, twice INTEGER GENERATED ALWAYS AS (n * 2) STORED); INSERT INTO t (id, n) VALUES (1, 2)`,
    )
    await file.client.query("ALTER TABLE t ADD COLUMN extra text DEFAULT 'x'")
    await file.write(mirror, 'INSERT INTO t (id, n) VALUES (2, 5)', 'UPDATE t SET n = 4, extra = $$y$$ WHERE id = 1')
    expect(file.rows('SELECT id, n, twice FROM t ORDER BY id')).toEqual([
      [1n, 4n, 8n],
      [2n, 5n, 10n],
    ])
  })

  it('goes back through the map of identifiers', async () => {
    await open(
      `CREATE TABLE p (id TEXT PRIMARY KEY, v TEXT); CREATE TABLE c (id INTEGER PRIMARY KEY, p TEXT REFERENCES p (id)); INSERT INTO p VALUES ('old-1', 'a'), ('old-2', 'b'); INSERT INTO c VALUES (1, 'old-1')`,
      {
        choicesPath: tableChoices({ p: { columns: { id: { type: 'uuid' } } }, c: { columns: { p: { type: 'uuid' } } } }),
      },
    )
    await file.write(
      mirror,
      "UPDATE c SET p = (SELECT id FROM p WHERE v = 'b')",
      "INSERT INTO p VALUES ('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'new')",
      "UPDATE p SET v = 'z' WHERE v = 'a'",
      "DELETE FROM p WHERE v = 'z'",
    )
    expect(file.rows('SELECT id, v FROM p ORDER BY v')).toEqual([
      ['old-2', 'b'],
      ['6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'new'],
    ])
    expect(file.rows('SELECT p FROM c')).toEqual([['old-2']])
  })

  it('goes on after a loss of its connections, and tells how far behind it is', async () => {
    await open('CREATE TABLE t (id INTEGER PRIMARY KEY)')
    const failures: unknown[] = []
    const has = (rows: number) =>
      until(
        async () => {
          await mirror.tick().catch((error: unknown) => failures.push(error))
          return file.rows('SELECT id FROM t').length === rows
        },
        { timeoutMs: 30_000 },
      )
    await file.client.query('INSERT INTO t VALUES (1)')
    await has(1)
    expect(failures).toEqual([])
    const { rows } = await file.client.query<{ ended: boolean }>(
      "SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'tidemark/%'",
    )
    expect(rows.length).toBeGreaterThanOrEqual(2)
    await file.client.query('INSERT INTO t VALUES (2)')
    await has(2)
    for (const failure of failures) expect(failure).toMatchObject({ retryable: true })
    expect((await mirror.lag()).changesPerSecond).toBeGreaterThan(0)
    await until(async () => (await mirror.tick()).caughtUp)
    expect(await mirror.lag()).toMatchObject({ behindBytes: expect.any(Number), behindMs: expect.any(Number) })
  })

  it('FEED-4: leaves no slot behind, also where its reader comes again while it is taken away', async () => {
    await open('CREATE TABLE t (id INTEGER PRIMARY KEY)')
    await mirror.close()
    const options = { held: file.held, target: file.target }
    const readAgain = async (): Promise<unknown> => {
      const source = mirrorSource(options)
      const failure = await source.open().then(
        () => undefined,
        (error: unknown) => error,
      )
      await source.stop()
      return isTidemarkError(failure, 'TM_FEED_PUBLICATION') ? failure : readAgain()
    }
    const reading = [readAgain(), readAgain(), readAgain()]
    await dropMirror(options)
    await Promise.all(reading)
    const slots = 'SELECT slot_name FROM pg_replication_slots WHERE database = current_database()'
    expect((await file.client.query(slots)).rows).toEqual([])
  })

  it('works under the roles of the platform: one that owns the tables, one that reads the log', async () => {
    const platform = await createBootstrappedDatabase()
    const [url, feedUrl] = [testUrl(platform.url, 'migrator'), testUrl(platform.url, 'feed')]
    try {
      file = await MirroredFile.open({
        folder,
        url,
        feedUrl,
        schema: 'roles',
        make: 'CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1)',
      })
      mirror = await file.mirror()
      await file.write(mirror, 'INSERT INTO t VALUES (2)')
      const later = await file.mirror({ held: { ...file.held, epoch: 2n } })
      await file.client.query('UPDATE tidemark.move_runs SET epoch = 2 WHERE id = $1', [file.held.run.id])
      await file.write(later, 'UPDATE t SET a = 3 WHERE a = 1')
      expect(file.rows('SELECT a FROM t ORDER BY a')).toEqual([[2n], [3n]])
      const identity = "SELECT relreplident FROM pg_class WHERE oid = 't'::regclass"
      expect((await file.client.query(identity)).rows).toEqual([{ relreplident: 'f' }])
      await later.close()
      await mirror.close()
      await dropMirror({ held: file.held, target: file.target, feedTarget: { url: feedUrl } })
      await dropMirror({ held: file.held, target: file.target, feedTarget: { url: feedUrl } })
      expect((await file.client.query(identity)).rows).toEqual([{ relreplident: 'd' }])
      expect((await file.client.query("SELECT FROM pg_publication WHERE pubname LIKE 'tidemark%'")).rowCount).toBe(0)
    } finally {
      await file.close()
      await platform.drop()
    }
  })

  it('writes files in UTF-16 and those without a write-ahead log', async () => {
    await open(`CREATE TABLE t (id TEXT PRIMARY KEY, v TEXT); INSERT INTO t VALUES ('é', 'ö')`, {
      encoding: 'UTF-16le',
      journalMode: 'delete',
    })
    await file.write(mirror, "UPDATE t SET v = '🙂' WHERE id = 'é'", "INSERT INTO t VALUES ('名', NULL)")
    expect(file.rows('SELECT id, v FROM t ORDER BY rowid')).toEqual([
      ['é', '🙂'],
      ['名', null],
    ])
  })
})

const choices = (columns: object, more: object = {}): string => tableChoices({ t: { columns } }, more)

const tableChoices = (tables: object, more: object = {}): string => {
  const path = join(folder, `${schemas + 1}.choices.json`)
  writeFileSync(path, JSON.stringify({ version: 1, ...more, tables }))
  return path
}

/** A program on Postgres may have such constraints; a move makes plain ones. */
const makeDeferrable = async (table: string, column: string): Promise<void> => {
  const { rows } = await file.client.query<{ name: string }>(
    `SELECT indexrelid::regclass::text AS name FROM pg_index WHERE indrelid = $1::regclass AND indisunique AND NOT indisprimary`,
    [table],
  )
  for (const { name } of rows)
    await file.client
      .query(`ALTER TABLE ${table} DROP CONSTRAINT IF EXISTS ${name}`)
      .then(() => file.client.query(`DROP INDEX IF EXISTS ${name}`))
  await file.client.query(`ALTER TABLE ${table} ADD UNIQUE (${column}) DEFERRABLE INITIALLY DEFERRED`)
}

describe('a change that the file refuses', () => {
  it('is recorded with its key, column and reason, and everything else goes on', async () => {
    await open(`CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE UNIQUE, n INTEGER CHECK (n < 100), s TEXT);
      INSERT INTO t VALUES (1, 'Anna', 1, 'a'), (2, 'Bert', 2, 'b')`)
    await file.client.query('ALTER TABLE t DROP CONSTRAINT IF EXISTS t_n_check')
    const { rows } = await file.client.query("SELECT conname FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'c'")
    for (const { conname } of rows) await file.client.query(`ALTER TABLE t DROP CONSTRAINT "${conname}"`)
    await file.client.query(
      "DROP INDEX IF EXISTS t_name_key; DROP INDEX IF EXISTS t_name_idx; DO $$ DECLARE i regclass; BEGIN FOR i IN SELECT indexrelid FROM pg_index WHERE indrelid = 't'::regclass AND NOT indisprimary LOOP EXECUTE 'DROP INDEX ' || i; END LOOP; END $$",
    )
    await file.write(
      mirror,
      "UPDATE t SET name = 'ANNA', n = 500, s = 'kept' WHERE id = 2",
      "INSERT INTO t VALUES (3, 'Carla', 1000, 'c'), (4, 'anna', 4, 'd'), (5, 'Emil', 5, 'e')",
    )
    expect(file.rows('SELECT * FROM t ORDER BY id')).toEqual([
      [1n, 'Anna', 1n, 'a'],
      [2n, 'Bert', 2n, 'kept'],
      [5n, 'Emil', 5n, 'e'],
    ])
    expect(await file.differences()).toMatchObject([
      {
        table: 't',
        key: 'id=2',
        difference: {
          by: 'mirror',
          state: 'differs',
          columns: [
            { column: 'name', target: 'ANNA', reason: 'UNIQUE constraint failed: t.name' },
            { column: 'n', target: '500', reason: 'CHECK constraint failed: n < 100' },
          ],
        },
      },
      { key: 'id=3', difference: { state: 'missing', reason: 'CHECK constraint failed: n < 100' } },
      { key: 'id=4', difference: { state: 'missing', reason: 'UNIQUE constraint failed: t.name' } },
    ])
    expect(await mirror.differences()).toBe(3)
  })

  it('is forgotten when Postgres has changed it into something that the file takes', async () => {
    await open(
      `CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, m INTEGER NOT NULL) STRICT; INSERT INTO t VALUES (1, 1, 1)`,
    )
    await file.client.query('ALTER TABLE t ALTER COLUMN n DROP NOT NULL, ALTER COLUMN m DROP NOT NULL')
    await file.write(mirror, 'UPDATE t SET n = NULL, m = NULL', 'INSERT INTO t VALUES (2, NULL, 2), (3, NULL, 3), (4, NULL, 4)')
    expect(await mirror.differences()).toBe(4)
    await file.write(mirror, 'UPDATE t SET n = 5 WHERE id = 1')
    expect((await file.differences())[0]).toMatchObject({ key: 'id=1', difference: { columns: [{ column: 'm' }] } })
    await file.write(
      mirror,
      'UPDATE t SET m = 6 WHERE id = 1',
      'UPDATE t SET n = 7 WHERE id = 2',
      'DELETE FROM t WHERE id = 3',
      'UPDATE t SET id = 40, n = 1 WHERE id = 4',
    )
    expect(file.rows('SELECT * FROM t ORDER BY id')).toEqual([
      [1n, 5n, 6n],
      [2n, 7n, 2n],
      [40n, 1n, 4n],
    ])
    expect(await file.differences()).toEqual([])
  })

  it('is told where a value has no exact form in the file', async () => {
    await open(
      `CREATE TABLE t (id INTEGER PRIMARY KEY, n NUMERIC, at DATETIME, u INTEGER); INSERT INTO t VALUES (1, 1.5, '2024-01-02 03:04:05', 1700000000)`,
      {
        choicesPath: choices({ n: { type: 'numeric' }, u: { type: 'timestamptz', epoch: 'seconds' } }),
      },
    )
    await file.write(
      mirror,
      "UPDATE t SET n = 1234567890123456789012345678901234567890.5, at = 'infinity', u = '2024-01-01 00:00:00.75+00'",
    )
    expect(file.rows('SELECT n, at, u FROM t')).toEqual([[1.2345678901234568e39, 'infinity', 1704067200n]])
    const [difference] = await file.differences()
    expect(difference).toMatchObject({
      key: 'id=1',
      difference: { columns: [{ column: 'at' }] },
    })
    const narrowed = 'SELECT column_name, count::integer, row_key FROM tidemark.move_narrowed WHERE run_id = $1 ORDER BY 1'
    expect((await file.client.query({ text: narrowed, values: [file.held.run.id], rowMode: 'array' })).rows).toEqual([
      ['n', 1, 'id=1'],
      ['u', 1, 'id=1'],
    ])
    expect(file.events).toContainEqual({ type: 'notice', message: expect.stringContaining('t id=1: the file does not have it') })
    await file.write(mirror, "UPDATE t SET n = 2, at = '2025-01-01', u = '2024-01-01 00:00:00+00'")
    expect(file.rows('SELECT n, at, u FROM t')).toEqual([[2n, '2025-01-01 00:00:00', 1704067200n]])
    expect(await file.differences()).toEqual([])
  })

  it('is counted beyond the first thousand of a table', async () => {
    await open('CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)')
    await file.client.query('ALTER TABLE t ALTER COLUMN n DROP NOT NULL')
    await file.write(mirror, 'INSERT INTO t SELECT i, NULL FROM generate_series(1, 1234) AS i')
    const found = await file.differences()
    expect(found.length).toBe(1001)
    expect(found.find(({ key }) => key === '(more rows)')).toMatchObject({ difference: { rows: 234 } })
  })
})

describe('a mirror that stops', () => {
  it('TM_MOVE_MIRROR_SCHEMA: at a column that was renamed', async () => {
    await open('CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, NULL)')
    await file.client.query("ALTER TABLE t RENAME COLUMN v TO w; UPDATE t SET w = 'x'")
    await expect(until(() => mirror.tick().then(() => false))).rejects.toMatchObject({
      code: 'TM_MOVE_MIRROR_SCHEMA',
      message: expect.stringContaining('its column "v" was dropped or renamed'),
    })
    expect(file.rows('SELECT v FROM t')).toEqual([[null]])
  })

  it('TM_MOVE_MIRROR_SCHEMA: at a table that was renamed, of which nothing is passed over', async () => {
    await open('CREATE TABLE t (id INTEGER PRIMARY KEY)')
    await file.write(mirror, 'INSERT INTO t VALUES (1)')
    await file.client.query('ALTER TABLE t RENAME TO u; INSERT INTO u VALUES (2)')
    await expect(file.write(mirror)).rejects.toMatchObject({ code: expect.stringMatching(/^TM_MOVE_MIRROR_(?:SCHEMA|LOST)$/) })
    await mirror.close()
    await expect(file.mirror({ onLost: 'resync' })).rejects.toMatchObject({ code: 'TM_MOVE_MIRROR_SCHEMA' })
    await file.client.query('ALTER TABLE u RENAME TO t; INSERT INTO t VALUES (3)')
    mirror = await file.mirror({ onLost: 'resync' })
    await until(() => mirror.tick().then(() => file.rows('SELECT id FROM t').length === 3), { intervalMs: 0 })
    await file.write(mirror, 'DELETE FROM t WHERE id = 2')
    expect(await file.unlike()).toEqual([])
  })

  it('compares a table that was another for a while, once it is what it was', async () => {
    await open(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, d DATE); INSERT INTO t VALUES (1, 'a', '2024-01-01'), (2, 'b', NULL)",
    )
    await mirror.close()
    mirror = await file.mirror({ onLost: 'resync' })
    for (const meanwhile of [
      ['ALTER TABLE t RENAME COLUMN v TO w', "UPDATE t SET w = 'c' WHERE id = 1", 'ALTER TABLE t RENAME COLUMN w TO v'],
      [
        "ALTER TABLE t ALTER COLUMN d TYPE text USING 'soon'",
        "UPDATE t SET d = 'sooner'",
        'ALTER TABLE t ALTER COLUMN d TYPE date USING NULL',
      ],
    ]) {
      for (const sql of meanwhile) await file.client.query(sql)
      await file.write(mirror, "INSERT INTO t (v) SELECT 'more' WHERE false", 'UPDATE t SET v = v || 1')
      expect(await file.unlike()).toEqual([])
    }
    expect(file.rows('SELECT v, d FROM t')).toEqual([
      ['c11', null],
      ['b11', null],
    ])
  })

  it('TM_MOVE_MIRROR_SCHEMA: at a table without a key whose old rows are not told any more', async () => {
    await open('CREATE TABLE t (a INTEGER)')
    await file.client.query('ALTER TABLE t REPLICA IDENTITY NOTHING')
    await expect(file.write(mirror, 'INSERT INTO t VALUES (1)')).rejects.toMatchObject({ code: 'TM_MOVE_MIRROR_SCHEMA' })
  })

  it('TM_MOVE_MIRROR_SCHEMA: at a column of another type', async () => {
    await open("CREATE TABLE t (id INTEGER PRIMARY KEY, d DATE); INSERT INTO t VALUES (1, '2024-01-01')")
    await mirror.close()
    await file.client.query("ALTER TABLE t ALTER COLUMN d TYPE text USING 'soon'")
    await expect(file.mirror()).rejects.toMatchObject({
      code: 'TM_MOVE_MIRROR_SCHEMA',
      message: expect.stringContaining('is text and was date'),
    })
  })

  it('TM_SQLITE_CHANGED: at a file whose table was made anew by the application', async () => {
    await open('CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE TABLE u (id INTEGER PRIMARY KEY)')
    await mirror.close()
    file.reader.exec('DROP TABLE u; CREATE TABLE u (id INTEGER PRIMARY KEY, more TEXT)')
    mirror = await file.mirror()
    await expect(mirror.tick()).rejects.toMatchObject({ code: 'TM_SQLITE_CHANGED' })
  })

  it('TM_MOVE_MIRROR_SCHEMA: at a table that was dropped', async () => {
    await open('CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE TABLE u (id INTEGER PRIMARY KEY)')
    await file.client.query('DROP TABLE u')
    await expect(file.write(mirror, 'INSERT INTO t VALUES (1)')).rejects.toMatchObject({ code: 'TM_MOVE_MIRROR_SCHEMA' })
  })

  it('TM_MOVE_FENCED: where another process has taken the file over', async () => {
    await open('CREATE TABLE t (id INTEGER PRIMARY KEY)')
    const later = await file.mirror({ held: { ...file.held, epoch: 2n } })
    await file.client.query('UPDATE tidemark.move_runs SET epoch = 2 WHERE id = $1', [file.held.run.id])
    await expect(file.write(mirror, 'INSERT INTO t VALUES (1)')).rejects.toMatchObject({ code: 'TM_MOVE_FENCED' })
    await mirror.close()
    await file.write(later, 'INSERT INTO t VALUES (2)')
    expect(file.rows('SELECT id FROM t')).toEqual([[1n], [2n]])
  })

  it('takes its slot from a process that does not know yet that it lost the move', async () => {
    await open('CREATE TABLE t (id INTEGER PRIMARY KEY)')
    await file.write(mirror, 'INSERT INTO t VALUES (1)')
    const later = await file.mirror({ held: { ...file.held, epoch: 2n } })
    await file.client.query('UPDATE tidemark.move_runs SET epoch = 2 WHERE id = $1', [file.held.run.id])
    await file.write(later, 'INSERT INTO t VALUES (2)')
    expect(file.rows('SELECT id FROM t')).toEqual([[1n], [2n]])
    await expect(until(() => mirror.tick().then(() => false), { intervalMs: 0 })).rejects.toMatchObject({
      code: 'TM_MOVE_FENCED',
    })
    await file.write(later, 'INSERT INTO t VALUES (3)')
  })

  it('TM_TIME_TIMEOUT: where it cannot be as far as asked in time', async () => {
    await open('CREATE TABLE t (id INTEGER PRIMARY KEY)')
    const { epoch, number } = await file.position(mirror)
    await expect(mirror.drainTo({ epoch, number: number + 1_000_000_000n }, { timeoutMs: 300 })).rejects.toMatchObject({
      code: 'TM_TIME_TIMEOUT',
    })
  })

  it('lets go of the file at the end of each tick, whenever its time is over', async () => {
    await open('CREATE TABLE t (id INTEGER PRIMARY KEY)')
    await mirror.close()
    let now = 0
    mirror = await file.mirror({ clock: { ...systemClock, monotonicMs: () => (now += 1) } })
    file.reader.pragma('busy_timeout = 0')
    const found = file.reader.prepare('SELECT count(*) FROM t').pluck()
    for (let maxMs = 1; maxMs <= 12; maxMs++) {
      for (let id = 1; id <= 20; id++) await file.client.query('INSERT INTO t VALUES ($1)', [maxMs * 100 + id])
      await until(
        async () => {
          await mirror.tick({ maxMs })
          file.reader.exec('BEGIN IMMEDIATE; ROLLBACK')
          return Number(found.get()) === maxMs * 20
        },
        { intervalMs: 0, timeoutMs: 20_000 },
      )
    }
  })

  it('TM_SQLITE_LOCKED: while another program holds the file, and goes on when it is free', async () => {
    await open('CREATE TABLE t (id INTEGER PRIMARY KEY)')
    await mirror.close()
    mirror = await file.mirror({ busyTimeoutMs: 50 })
    await mirror.tick()
    const other = new BetterSqlite(file.path)
    other.exec('BEGIN IMMEDIATE')
    await expect(file.write(mirror, 'INSERT INTO t VALUES (1)')).rejects.toMatchObject({ code: 'TM_SQLITE_LOCKED' })
    other.exec('ROLLBACK')
    other.close()
    await file.write(mirror)
    expect(file.rows('SELECT id FROM t')).toEqual([[1n]])
  })

  it('TM_MOVE_NOT_ALLOWED: where the file takes writes again', async () => {
    await open('CREATE TABLE t (id INTEGER PRIMARY KEY)')
    file.reader.exec("UPDATE _tidemark_control SET fence = 'open'")
    await expect(file.write(mirror, 'INSERT INTO t VALUES (1)')).rejects.toMatchObject({ code: 'TM_MOVE_NOT_ALLOWED' })
  })
})
