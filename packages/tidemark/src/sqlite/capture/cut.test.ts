import { afterEach, describe, expect, it } from 'vitest'
import { introspect } from '../introspect.js'
import { beginMirrorWrite, endMirrorWrite, readControl } from './control.js'
import { beginCut, extendCut, openAgain, seal } from './cut.js'
import { rearm } from './install.js'
import { appendLog, logHead } from './log.js'
import {
  byColumns,
  byRowid,
  type CapturedFile,
  captureFile,
  captureTables,
  refusal,
  removeFiles,
} from './testing/captured-file.js'
import { hasProgram, runCli, runPython } from './testing/other-library.js'
import { watchSchema } from './watch.js'

afterEach(removeFiles)

const sql = `CREATE TABLE parents(id INTEGER PRIMARY KEY, name TEXT UNIQUE);
  CREATE TABLE children(id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents(id) ON DELETE CASCADE ON UPDATE CASCADE);
  CREATE TABLE roots(id INTEGER PRIMARY KEY);
  CREATE TABLE leaves(root INTEGER REFERENCES roots(id) ON DELETE CASCADE);
  CREATE TABLE pairs(a, b, PRIMARY KEY(a, b)) WITHOUT ROWID;
  CREATE TABLE plain(x);
  CREATE TABLE audit(x);
  CREATE VIEW names AS SELECT name FROM parents;
  CREATE TRIGGER names_insert INSTEAD OF INSERT ON names BEGIN INSERT INTO parents(name) VALUES (NEW.name); END;
  CREATE TRIGGER audited AFTER INSERT ON plain BEGIN INSERT INTO audit VALUES ('inserted'); END;
  CREATE TRIGGER outside AFTER INSERT ON audit WHEN NEW.x = 'write' BEGIN DELETE FROM pairs; END;
  INSERT INTO parents VALUES (1, 'a'), (2, 'b');
  INSERT INTO children VALUES (1, 1);
  INSERT INTO roots VALUES (1);
  INSERT INTO leaves VALUES (1);
  INSERT INTO pairs VALUES (1, 1);
  INSERT INTO plain VALUES (1)`
const keys = {
  parents: byColumns('id'),
  children: byColumns('id'),
  leaves: byRowid(),
  pairs: byColumns('a', 'b'),
  plain: byRowid(),
}

/** `roots` and `audit` are not captured: they go on taking writes, but for those that reach a captured table. */
const refused = [
  `INSERT INTO parents(name) VALUES ('c')`,
  `INSERT OR IGNORE INTO parents VALUES (1, 'x')`,
  `INSERT OR REPLACE INTO parents VALUES (9, 'a')`,
  `REPLACE INTO parents VALUES (1, 'x')`,
  `INSERT OR FAIL INTO parents VALUES (9, 'x')`,
  `INSERT OR ROLLBACK INTO parents VALUES (9, 'x')`,
  `INSERT INTO parents VALUES (1, 'x') ON CONFLICT DO NOTHING`,
  `INSERT INTO parents VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'x'`,
  `INSERT INTO parents SELECT id + 10, name || 'x' FROM parents`,
  `INSERT INTO parents DEFAULT VALUES`,
  `INSERT INTO names VALUES ('through a view')`,
  `UPDATE parents SET name = 'x' WHERE id = 1`,
  `UPDATE OR IGNORE parents SET name = 'b' WHERE id = 1`,
  `UPDATE OR REPLACE parents SET name = 'b' WHERE id = 1`,
  `UPDATE parents SET name = plain.x FROM plain`,
  `UPDATE parents SET rowid = 7 WHERE id = 2`,
  `UPDATE parents SET id = 7 WHERE id = 1`,
  `DELETE FROM parents WHERE id = 2`,
  `DELETE FROM parents`,
  `DELETE FROM plain`,
  `INSERT INTO pairs VALUES (1, 2)`,
  `REPLACE INTO pairs VALUES (1, 1)`,
  `UPDATE pairs SET a = 1`,
  `DELETE FROM pairs`,
  `INSERT INTO plain(rowid, x) VALUES (-1, 2)`,
  `PRAGMA foreign_keys = ON; DELETE FROM roots`,
  `INSERT INTO audit VALUES ('write')`,
  `BEGIN; INSERT INTO plain VALUES (1); COMMIT`,
  `SAVEPOINT s; UPDATE plain SET x = 2; RELEASE s`,
]

const fenced = [...Object.keys(keys), 'roots']
const dump = ({ app }: CapturedFile) => JSON.stringify(fenced.map((name) => app.prepare(`SELECT * FROM ${name}`).raw(true).all()))

const version = ({ file }: CapturedFile) => watchSchema(file.db).schemaVersion
const cutting = (captured: CapturedFile, pauseMs = 60_000) =>
  beginCut(captured.file, captured.hold, { pauseMs, schemaVersion: version(captured) })
const cut = async (captured: CapturedFile) => {
  await cutting(captured)
  await seal(captured.file, captured.hold, { drainedSeq: logHead(captured.file.db) })
}
const fence = ({ file }: CapturedFile) => readControl(file.db)?.fence
const expireNow = ({ app }: CapturedFile) => app.exec('UPDATE _tidemark_control SET cutting_until = cutting_until - 100000')
const setEpoch = (captured: CapturedFile, epoch: bigint) =>
  captured.app.prepare('UPDATE _tidemark_control SET epoch = ?').run(epoch)
const triggers = ({ app }: CapturedFile) =>
  app.prepare(`SELECT name FROM sqlite_schema WHERE type = 'trigger' ORDER BY name`).pluck().all() as string[]

describe('MOVE-4 the fence', () => {
  it.each(['DELETE', 'WAL'] as const)(
    'S20 refuses every form of write while it is cutting, and when it is cut (%s)',
    async (journal) => {
      const captured = await captureFile(sql, keys, journal)
      captured.app.pragma('foreign_keys = OFF')
      const before = dump(captured)
      await cutting(captured)
      for (const statement of refused) {
        if (captured.app.inTransaction) captured.app.exec('ROLLBACK')
        expect(() => captured.app.exec(statement), statement).toThrow(/^tidemark: .* for a moment/)
      }
      if (captured.app.inTransaction) captured.app.exec('ROLLBACK')
      await seal(captured.file, captured.hold, { drainedSeq: logHead(captured.file.db) })
      captured.app.exec('DROP TRIGGER outside')
      for (const statement of refused.filter((text) => !text.includes('audit'))) {
        if (captured.app.inTransaction) captured.app.exec('ROLLBACK')
        expect(() => captured.app.exec(statement), statement).toThrow(/^tidemark: .* was moved to Postgres/)
      }
      if (captured.app.inTransaction) captured.app.exec('ROLLBACK')
      expect(dump(captured)).toBe(before)
    },
  )

  it.runIf(hasProgram('sqlite3'))('S20 refuses the sqlite3 program', async () => {
    const captured = await captureFile(sql, keys)
    await cut(captured)
    const single = refused.filter((statement) => !/BEGIN|SAVEPOINT|PRAGMA|audit/.test(statement))
    const { errors } = await runCli(captured.path, `${single.join(';\n')};`)
    expect(errors.match(/tidemark: this file was moved/g)).toHaveLength(single.length)
  })

  it.runIf(hasProgram('python3'))('S20 refuses Python', async () => {
    const captured = await captureFile(sql, keys, 'DELETE')
    await cutting(captured)
    const single = refused.filter((statement) => !/BEGIN|SAVEPOINT|PRAGMA/.test(statement))
    const [outcomes = []] = await runPython([{ path: captured.path, sql: single }])
    expect(new Set(outcomes)).toEqual(
      new Set(['IntegrityError: tidemark: this file is being moved to Postgres and takes no writes for a moment; try again']),
    )
  })

  it('leaves tables alone that are not moved', async () => {
    const captured = await captureFile(sql, keys)
    await cut(captured)
    captured.app.pragma('foreign_keys = OFF')
    captured.app.exec(`INSERT INTO roots VALUES (2); INSERT INTO audit VALUES ('x'); DELETE FROM roots`)
  })

  it('frees the application by itself when its time is over', async () => {
    const captured = await captureFile(sql, keys)
    await cutting(captured)
    expireNow(captured)
    captured.app.exec(`INSERT INTO plain VALUES (2)`)
    expect(captured.logged()).toEqual(['5: 2'])
  })

  it('is put up in one transaction that answers until when, by the clock of SQLite', async () => {
    const captured = await captureFile(sql, keys)
    const until = await cutting(captured, 5000)
    expect(Math.abs(until - Date.now() - 5000)).toBeLessThan(2000)
    expect(readControl(captured.file.db)).toMatchObject({ fence: 'cutting', cuttingUntil: until })
    expect(watchSchema(captured.file.db)).toMatchObject({ moved: false })
  })

  it('waits for whoever is writing, and gives up in time', async () => {
    const captured = await captureFile(sql, keys)
    captured.app.exec('BEGIN; INSERT INTO plain VALUES (5)')
    const options = { pauseMs: 1000, schemaVersion: version(captured), timeoutMs: 50 }
    const error = await refusal(() => beginCut(captured.file, captured.hold, options))
    expect(error.code).toBe('TM_SQLITE_LOCKED')
    captured.app.exec('COMMIT')
    await cutting(captured)
    expect(captured.logged()).toEqual(['5: 2'])
  })

  it('is not put up on a schema that was not looked at', async () => {
    const captured = await captureFile(sql, keys)
    const schemaVersion = version(captured)
    captured.app.exec('CREATE TABLE more(x)')
    const begin = (expected: number) => beginCut(captured.file, captured.hold, { pauseMs: 1000, schemaVersion: expected })
    expect((await refusal(() => begin(schemaVersion))).code).toBe('TM_SQLITE_CHANGED')
    // Looked at, but not armed again: nobody knows what was missed.
    expect((await refusal(() => begin(schemaVersion + 1))).code).toBe('TM_SQLITE_CHANGED')
    await rearm(captured.file, captured.hold, { watch: watchSchema(captured.file.db), tables: captureTables(keys) })
    await begin(schemaVersion + 1)
  })

  it('spares tables that are gone', async () => {
    const captured = await captureFile(sql, keys)
    captured.app.exec('DROP TABLE pairs; DROP TRIGGER outside')
    await rearm(captured.file, captured.hold, {
      watch: watchSchema(captured.file.db),
      tables: captureTables(keys).filter(({ name }) => name !== 'pairs'),
    })
    await cut(captured)
    expect((await openAgain(captured.file, captured.hold)).missing).toEqual(['pairs'])
  })
})

describe('MOVE-4 sealing', () => {
  it('is refused when the time is over, and after the file was opened again', async () => {
    const captured = await captureFile(sql, keys)
    const sealNow = () => seal(captured.file, captured.hold, { drainedSeq: logHead(captured.file.db) })
    expect((await refusal(sealNow)).code).toBe('TM_SQLITE_CUT_EXPIRED')
    await cutting(captured)
    expireNow(captured)
    expect((await refusal(sealNow)).code).toBe('TM_SQLITE_CUT_EXPIRED')
    expect((await refusal(() => extendCut(captured.file, captured.hold, { pauseMs: 100 }))).code).toBe('TM_SQLITE_CUT_EXPIRED')
    await cutting(captured)
    await openAgain(captured.file, captured.hold)
    expect((await refusal(sealNow)).code).toBe('TM_SQLITE_CUT_EXPIRED')
    expect(fence(captured)).toBe('open')
  })

  it('is refused while anything in the log was not brought over', async () => {
    const captured = await captureFile(sql, keys)
    await cutting(captured)
    const drainedSeq = logHead(captured.file.db)
    expireNow(captured)
    captured.app.exec('INSERT INTO plain VALUES (2)')
    await extendLate(captured)
    const error = await refusal(() => seal(captured.file, captured.hold, { drainedSeq }))
    expect(error).toMatchObject({ code: 'TM_SQLITE_CUT_EXPIRED', message: expect.stringContaining('the log stands at 1') })
  })

  /** As a clock that was put back would. */
  const extendLate = async ({ app }: CapturedFile) =>
    app.exec('UPDATE _tidemark_control SET cutting_until = cutting_until + 500000')

  it('S20 is refused after a table was dropped and made again, which no trigger stops', async () => {
    const captured = await captureFile(sql, keys)
    await cutting(captured)
    captured.app.exec('DROP TABLE plain; CREATE TABLE plain(x); INSERT INTO plain VALUES (9)')
    expect((await refusal(() => seal(captured.file, captured.hold, { drainedSeq: 0n }))).code).toBe('TM_SQLITE_CHANGED')
    await openAgain(captured.file, captured.hold)
    expect(watchSchema(captured.file.db).unarmed).toEqual(['leaves', 'plain'])
    captured.app.exec('INSERT INTO plain VALUES (10); INSERT INTO parents VALUES (10, 10)')
    expect(captured.logged()).toEqual(['1: 10'])
  })

  it('can be put off, and done twice', async () => {
    const captured = await captureFile(sql, keys)
    const until = await cutting(captured, 100)
    expect(await extendCut(captured.file, captured.hold, { pauseMs: 60_000 })).toBeGreaterThan(until)
    await seal(captured.file, captured.hold, { drainedSeq: 0n })
    await seal(captured.file, captured.hold, { drainedSeq: 0n })
    expect(readControl(captured.file.db)).toMatchObject({ fence: 'cut', cuttingUntil: null })
    expect((await refusal(() => cutting(captured))).code).toBe('TM_MOVE_NOT_ALLOWED')
  })

  it('S21 keeps the application’s triggers aside, leaves only the fence, and restores all of it', async () => {
    const captured = await captureFile(sql, keys)
    const before = introspect(captured.app)
    const armed = triggers(captured)
    await cut(captured)
    expect(triggers(captured).filter((name) => !name.startsWith('_tidemark_'))).toEqual(['names_insert', 'outside'])
    expect(triggers(captured).filter((name) => name.startsWith('_tidemark_'))).toHaveLength(15)
    expect(await openAgain(captured.file, captured.hold, { note: 'because' })).toEqual({
      head: 0n,
      lostTriggers: [],
      missing: [],
    })
    expect(triggers(captured)).toEqual(armed)
    const after = introspect(captured.app)
    expect({ ...after, triggers: [], sizeBytes: 0 }).toEqual({ ...before, triggers: [], sizeBytes: 0 })
    expect(readControl(captured.file.db)).toMatchObject({ fence: 'open', note: 'because' })
    captured.app.exec('INSERT INTO plain VALUES (3)')
    expect(captured.logged()).toEqual(['5: 2'])
    expect(captured.app.prepare('SELECT * FROM audit').pluck().all()).toEqual(['inserted', 'inserted'])
  })

  it('lets no process act that was overtaken, nor on another capture', async () => {
    const captured = await captureFile(sql, keys)
    const { file, hold } = captured
    await cutting(captured)
    setEpoch(captured, 7n)
    const acts = [
      () => cutting(captured),
      () => extendCut(file, hold, { pauseMs: 1 }),
      () => seal(file, hold, { drainedSeq: 0n }),
      () => openAgain(file, hold),
      () => file.write((db) => beginMirrorWrite(db, hold)),
    ]
    for (const act of acts) expect((await refusal(act)).code).toBe('TM_MOVE_FENCED')
    const stranger = { captureId: 'another', epoch: 9n }
    expect((await refusal(() => openAgain(file, stranger))).code).toBe('TM_SQLITE_CHANGED')
    expect((await refusal(() => seal(file, stranger, { drainedSeq: 0n }))).code).toBe('TM_SQLITE_CHANGED')
    expect(fence(captured)).toBe('cutting')
    await openAgain(file, { ...hold, epoch: 8n })
    expect(readControl(file.db)).toMatchObject({ fence: 'open', epoch: 8n })
  })

  it('names triggers of the application that cannot be restored', async () => {
    const captured = await captureFile(sql, keys)
    await cut(captured)
    captured.app.exec('DROP TABLE plain')
    const { lostTriggers, missing } = await openAgain(captured.file, captured.hold)
    expect(lostTriggers).toMatchObject([{ name: 'audited', table: 'plain', reason: expect.stringContaining('no such table') }])
    expect(missing).toEqual(['plain'])
  })
})

describe('MOVE-5 the mirror', () => {
  it('writes through the fence, alone, and its position with its rows', async () => {
    const captured = await captureFile(sql, keys)
    await cut(captured)
    const { file, hold, app } = captured
    await file.write((db) => {
      beginMirrorWrite(db, hold)
      db.exec(`INSERT INTO plain VALUES (7); DELETE FROM parents WHERE id = 1`)
      appendLog(db, captureTables(keys)[0]!, [[1n]])
      endMirrorWrite(db, 'epoch:42')
    })
    expect(readControl(app)).toMatchObject({ mirroredPosition: 'epoch:42', fence: 'cut' })
    expect(app.prepare('SELECT count(*) FROM children').pluck().get()).toBe(1)
    expect(app.prepare('SELECT count(*) FROM audit').pluck().get()).toBe(1)
    expect(captured.logged()).toEqual(['1: 1'])
    expect(() => app.exec('DELETE FROM plain')).toThrow(/^tidemark/)
  })

  it('leaves neither rows nor position nor an open fence behind when it fails', async () => {
    const captured = await captureFile(sql, keys)
    await cut(captured)
    const before = dump(captured)
    const failing = captured.file.write((db) => {
      beginMirrorWrite(db, captured.hold)
      db.exec('DELETE FROM parents')
      throw new RangeError('no')
    })
    await expect(failing).rejects.toThrow(RangeError)
    expect(dump(captured)).toBe(before)
    expect(readControl(captured.app)?.mirroredPosition).toBeNull()
    expect(() => captured.app.exec('DELETE FROM plain')).toThrow(/^tidemark/)
  })

  it('writes only into a file that is cut', async () => {
    const captured = await captureFile(sql, keys)
    expect((await refusal(() => captured.file.write((db) => beginMirrorWrite(db, captured.hold)))).code).toBe(
      'TM_MOVE_NOT_ALLOWED',
    )
  })
})
