import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { LogKey } from './capture.js'
import { rearm } from './install.js'
import { letGo } from './let-go.js'
import { byColumns, captureFile, captureTables, createFile, type PlainFile, removeFiles } from './testing/captured-file.js'
import { hasProgram, type PythonRun, runPython } from './testing/other-library.js'
import { watchSchema } from './watch.js'

afterEach(removeFiles)

const tables = `
  CREATE TABLE parent(id INTEGER PRIMARY KEY, name TEXT UNIQUE, note TEXT);
  CREATE TABLE t(id INTEGER PRIMARY KEY, plain TEXT, many TEXT, one TEXT, expr TEXT, part INTEGER, gone INTEGER NOT NULL DEFAULT 0,
    kept TEXT UNIQUE, base INTEGER, made INTEGER AS (base % 10), up INTEGER REFERENCES parent(id) ON DELETE CASCADE);
  CREATE INDEX t_many ON t(many);
  CREATE UNIQUE INDEX t_one ON t(one);
  CREATE UNIQUE INDEX t_expr ON t(lower(expr) COLLATE NOCASE);
  CREATE UNIQUE INDEX t_part ON t(part) WHERE NOT t.gone;
  CREATE UNIQUE INDEX t_made ON t(made);
  CREATE TABLE words(w TEXT, x TEXT, y TEXT, PRIMARY KEY(w, x)) WITHOUT ROWID;
  CREATE UNIQUE INDEX words_y ON words(y, x);
  CREATE TABLE texts(k TEXT PRIMARY KEY, v TEXT NOT NULL DEFAULT 'none', z);
  CREATE UNIQUE INDEX texts_v ON texts(v);
  CREATE TABLE converts(k INTEGER REFERENCES texts(k), w);
  CREATE INDEX converts_k ON converts(k);
  CREATE TABLE "new"(id INTEGER PRIMARY KEY, "old" TEXT, b TEXT);
  CREATE UNIQUE INDEX new_old ON "new"("old");
  INSERT INTO parent VALUES (1, 'p', 'n');
  INSERT INTO t(id, plain, many, one, expr, part, kept, base, up) VALUES (1, 'a', 'b', 'c', 'd', 1, 'e', 3, 1), (2, 'a', 'b', 'f', 'g', 2, 'h', 4, 1);
  INSERT INTO words VALUES ('a', 'b', 'c');
  INSERT INTO texts VALUES ('7', 'v', 1);
  INSERT INTO converts VALUES (7, 1);
  INSERT INTO "new" VALUES (1, 'o', 'b');`

const keys: Readonly<Record<string, LogKey>> = {
  parent: byColumns('id'),
  t: byColumns('id'),
  words: byColumns('w', 'x'),
  texts: byColumns('k'),
  converts: { kind: 'rowid', name: 'rowid' },
  new: byColumns('id'),
}

const rebuildOf = (table: string, columns: string) => `
  CREATE TABLE x_new(id INTEGER PRIMARY KEY, ${columns});
  INSERT INTO x_new SELECT id, ${columns} FROM ${table};
  DROP TABLE ${table};
  ALTER TABLE x_new RENAME TO ${table}`

/** What applications do to their schema. Whatever SQLite lets them do without the capture, it has to let them do with it. */
const changes: readonly (readonly [string, string])[] = [
  ['adds a column', 'ALTER TABLE t ADD COLUMN fresh DEFAULT 5'],
  ['adds a column called rowid', 'ALTER TABLE t ADD COLUMN rowid'],
  ['renames a plain column', 'ALTER TABLE t RENAME COLUMN plain TO renamed'],
  ['renames the key', 'ALTER TABLE t RENAME COLUMN id TO nr'],
  ['renames a column of a unique index', 'ALTER TABLE t RENAME COLUMN one TO renamed'],
  ['renames a column behind an expression', 'ALTER TABLE t RENAME COLUMN expr TO renamed'],
  ['renames a column behind a generated one', 'ALTER TABLE t RENAME COLUMN base TO renamed'],
  ['renames a column of a predicate', 'ALTER TABLE t RENAME COLUMN gone TO renamed'],
  ['renames a key that a reference converts', 'ALTER TABLE texts RENAME COLUMN k TO renamed'],
  ['renames a column of a table called new', 'ALTER TABLE "new" RENAME COLUMN "old" TO renamed'],
  ['renames a table', 'ALTER TABLE t RENAME TO renamed'],
  ['renames a parent', 'ALTER TABLE parent RENAME TO renamed'],
  ['renames a table with a key of several columns', 'ALTER TABLE words RENAME TO renamed'],
  ['renames every table', 'ALTER TABLE texts RENAME TO a1; ALTER TABLE converts RENAME TO a2; ALTER TABLE "new" RENAME TO a3'],
  ['drops a plain column', 'ALTER TABLE t DROP COLUMN plain'],
  ['drops a column of a table with an image', 'ALTER TABLE texts DROP COLUMN z'],
  ['drops a column of a child', 'ALTER TABLE converts DROP COLUMN w'],
  ['drops a column of a table called new', 'ALTER TABLE "new" DROP COLUMN b'],
  ['drops a column of a table without rowid', 'DROP INDEX words_y; ALTER TABLE words DROP COLUMN y'],
  ['tries to drop an indexed column', 'ALTER TABLE t DROP COLUMN many'],
  ['tries to drop a uniquely indexed column', 'ALTER TABLE t DROP COLUMN one'],
  ['tries to drop a unique column', 'ALTER TABLE t DROP COLUMN kept'],
  ['tries to drop the key', 'ALTER TABLE t DROP COLUMN id'],
  ['tries to drop a column that refers to another table', 'ALTER TABLE t DROP COLUMN up'],
  ['drops a generated column', 'DROP INDEX t_made; ALTER TABLE t DROP COLUMN made; ALTER TABLE t DROP COLUMN base'],
  ['drops an index', 'DROP INDEX t_many'],
  ['drops an index with its column', 'DROP INDEX t_many; ALTER TABLE t DROP COLUMN many'],
  ['drops a unique index', 'DROP INDEX t_one'],
  ['drops a unique index with its column', 'DROP INDEX t_one; ALTER TABLE t DROP COLUMN one'],
  ['drops an index over an expression with its column', 'DROP INDEX t_expr; ALTER TABLE t DROP COLUMN expr'],
  [
    'drops a partial index with both its columns',
    'DROP INDEX t_part; ALTER TABLE t DROP COLUMN part; ALTER TABLE t DROP COLUMN gone',
  ],
  ['drops a unique index with a column that has a default', 'DROP INDEX texts_v; ALTER TABLE texts DROP COLUMN v'],
  ['drops a unique index with a column called old', 'DROP INDEX new_old; ALTER TABLE "new" DROP COLUMN "old"'],
  ['drops a unique index and renames its column', 'DROP INDEX t_one; ALTER TABLE t RENAME COLUMN one TO renamed'],
  [
    'drops a unique index with its column and renames the table',
    'DROP INDEX t_one; ALTER TABLE t DROP COLUMN one; ALTER TABLE t RENAME TO u',
  ],
  ['drops one column and adds it anew', 'DROP INDEX t_one; ALTER TABLE t DROP COLUMN one; ALTER TABLE t ADD COLUMN one INTEGER'],
  ['makes a unique index', 'CREATE UNIQUE INDEX t_plain ON t(plain, id)'],
  ['drops a table', 'DROP TABLE t'],
  ['drops a parent that rows refer to', 'DROP TABLE parent'],
  ['drops every table', 'DROP TABLE converts; DROP TABLE texts; DROP TABLE t; DROP TABLE parent; DROP TABLE words'],
  ['rebuilds a child', rebuildOf('t', 'plain, one, kept')],
  ['rebuilds a parent', rebuildOf('parent', 'name, note')],
  ['rebuilds a table called new', rebuildOf('"new"', '"old"')],
  [
    'puts the old table aside and fills a new one',
    `ALTER TABLE parent RENAME TO aside; CREATE TABLE parent(id INTEGER PRIMARY KEY, name TEXT, note TEXT);
     INSERT INTO parent SELECT * FROM aside; DROP TABLE aside`,
  ],
  [
    'puts a table with unique indexes aside',
    `ALTER TABLE t RENAME TO aside; CREATE TABLE t(id INTEGER PRIMARY KEY, one UNIQUE); INSERT INTO t SELECT id, one FROM aside; DROP TABLE aside`,
  ],
  [
    'makes a view and a trigger of its own',
    'CREATE VIEW v AS SELECT one FROM t; CREATE TRIGGER own AFTER INSERT ON t BEGIN UPDATE t SET plain = NEW.one; END',
  ],
  ['drops a column that a view of its own names', 'CREATE VIEW v AS SELECT plain FROM t; ALTER TABLE t DROP COLUMN plain'],
]

/** Writes to every table as it stands afterwards. */
const writes = ['t', 'renamed', 'u', 'texts', 'a1', 'words', 'parent', 'new', 'a3', 'converts', 'x_new'].flatMap((name) => [
  `INSERT OR IGNORE INTO "${name}" DEFAULT VALUES`,
  `INSERT OR REPLACE INTO "${name}" SELECT * FROM "${name}" LIMIT 0`,
  `UPDATE OR REPLACE "${name}" SET rowid = rowid`,
  `DELETE FROM "${name}"`,
])

const schemaSql = `SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT GLOB '_tidemark_*' ORDER BY 1, 2`

const statementsOf = (change: string): string[] => {
  const parts = change.split(';').map((part) => part.trim())
  const found: string[] = []
  let open = ''
  for (const part of parts) {
    open += open === '' ? part : `; ${part}`
    if (/^CREATE TRIGGER/.test(open) && !/END$/.test(open)) continue
    found.push(open)
    open = ''
  }
  return found
}

const outcome = (app: PlainFile['app'], sql: string): string => {
  try {
    app.exec(sql)
    return 'done'
  } catch (error) {
    return (error as Error).message
  }
}

/** The change in one transaction with writes behind it, or by itself. */
const steps = (change: string, setting: string, inTransaction: boolean): readonly string[] => [
  ...setting.split('; '),
  ...(inTransaction ? ['BEGIN'] : []),
  ...statementsOf(change),
  ...(inTransaction ? writes : []),
  ...(inTransaction ? ['COMMIT'] : []),
  ...writes,
]

const settings = [0, 1].flatMap((keys) => [0, 1].map((legacy) => ({ keys, legacy })))
const pragmas = ({ keys, legacy }: (typeof settings)[number]) =>
  `PRAGMA synchronous = OFF; PRAGMA foreign_keys = ${keys}; PRAGMA legacy_alter_table = ${legacy}`

/** What SQLite itself does not let us hide; see the tests at the end. */
const isHidden = (change: string, { legacy }: (typeof settings)[number]) =>
  legacy === 0 || !/RENAME TO (?:renamed|a\d)$/.test(change)

/** All ways under all settings take a minute: with TIDEMARK_TEST_LONG=1. Otherwise each way under two of them. */
const isLong = process.env['TIDEMARK_TEST_LONG'] !== undefined

const run = ({ app }: PlainFile, all: readonly string[]) => all.map((sql) => [sql, outcome(app, sql)])

describe.each(settings)('MOVE-1 an application changes its schema as if there were no capture, under %j', (setting) => {
  it.each(changes.filter(([, change]) => isHidden(change, setting)))('it %s', async (_what, change) => {
    for (const inTransaction of isLong ? [true, false] : [setting.legacy === setting.keys]) {
      const [twin, captured] = [createFile(tables), await captureFile(tables, keys)]
      const all = steps(change, pragmas(setting), inTransaction)
      expect(run(captured, all)).toEqual(run(twin, all))
      expect(captured.app.prepare(schemaSql).all()).toEqual(twin.app.prepare(schemaSql).all())
    }
  })
})

describe.runIf(hasProgram('python3'))('MOVE-1 in the library of another language an application', () => {
  let outcomes: readonly (readonly string[])[] = []
  beforeAll(async () => {
    const runs: PythonRun[] = []
    for (const [, change] of changes) {
      const sql = [...steps(change, pragmas({ keys: 1, legacy: 0 }), true), schemaSql]
      for (const { path } of [createFile(tables), await captureFile(tables, keys)]) runs.push({ path, sql })
    }
    outcomes = await runPython(runs)
  })

  it.each(changes.map(([what], index) => [what, index] as const))('%s', (_what, index) => {
    const [twin, captured] = outcomes.slice(2 * index, 2 * index + 2)
    expect(twin?.length).toBeGreaterThan(0)
    expect(captured).toEqual(twin)
  })
})

describe('what the capture is in the way of', () => {
  it('is a table that was renamed the legacy way, until it is let go', async () => {
    const { app, file, hold } = await captureFile(tables, keys)
    app.exec('PRAGMA legacy_alter_table = ON; ALTER TABLE parent RENAME TO renamed')
    const insert = `INSERT INTO renamed VALUES (5, 'five', NULL)`
    expect(outcome(app, insert)).toBe('no such table: main.parent')
    const { dropped } = await file.read(watchSchema)
    expect(dropped).toEqual(['parent'])
    const gone = captureTables(keys).filter(({ name }) => dropped.includes(name))
    await letGo(file, hold, gone)
    // A connection that does nothing else keeps the schema as it knows it; any statement that succeeds has it look.
    app.exec('SELECT 1 FROM t')
    expect(outcome(app, insert)).toBe('done')
    const version = () => app.pragma('schema_version', { simple: true })
    const before = version()
    await letGo(file, hold, gone)
    expect(version()).toBe(before)
    expect((await file.read(watchSchema)).dropped).toEqual(['parent'])
  })

  it('is the end of a column that was renamed a moment before, until the table is armed again', async () => {
    const { app, file, hold } = await captureFile(tables, keys)
    const drop = 'ALTER TABLE t DROP COLUMN renamed'
    app.exec('ALTER TABLE t RENAME COLUMN one TO renamed; DROP INDEX t_one')
    expect(outcome(app, drop)).toMatch('error in trigger _tidemark_2_replace_insert')
    await rearm(file, hold, {
      watch: await file.read(watchSchema),
      tables: captureTables(keys).filter(({ name }) => name === 't'),
    })
    expect(outcome(app, drop)).toBe('done')
  })
})
