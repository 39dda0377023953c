import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { until } from '../../time/until.js'
import { cutover } from '../cutover/cutover.js'
import { conduct } from '../live/conductor.js'
import { runKilled } from '../live/testing/killed.js'
import { hasty, type LiveMove, type LiveMoveOptions, useLiveMoves } from '../live/testing/live-moves.js'
import { createPosts } from '../live/testing/posts.js'
import { postgresWriter } from '../live/testing/writer.js'
import type { MoveEvent } from '../move.js'
import { rollback } from './rollback.js'
import { rollbackWithoutPostgres } from './rollback-without-postgres.js'

const moves = useLiveMoves()

/** A move that has been cut over. */
const made = async (options?: LiveMoveOptions): Promise<LiveMove> => {
  const move = await moves.makeReady(options)
  await cutover(move.options)
  return move
}

const { inFile, inPostgres, last, writePostgres, writeSqlite } = createPosts(moves.client)

describe('MOVE-5: a rollback', () => {
  it('S20: gives the writes back with a writer at work, and loses none that was accepted', async () => {
    const move = await made()
    move.conduct()
    const writer = postgresWriter(moves.url, move.schema, 400, 10_001)
    await until(() => writer.accepted > 600, { timeoutMs: 30_000 })
    const before = await moves.slots()
    const events: MoveEvent[] = []
    const report = await rollback({ ...move.options, maxPauseMs: 20_000, onEvent: (event) => events.push(event) })
    const written = await writer.stop()
    expect(report).toMatchObject({ ok: true, resumed: false, lostTriggers: [] })
    expect(written.said.filter((said) => !said.startsWith('TM001'))).toEqual([])
    const ids = move.app.prepare('SELECT id FROM posts WHERE id > 10000 ORDER BY id').pluck().all()
    expect(ids).toEqual(written.ids)
    expect(await move.differences()).toEqual([])
    expect(await move.status()).toMatchObject({ state: 'rolledBack', writer: 'sqlite' })
    expect(await moves.slots()).toBe(before - 1)
    expect(events).toContainEqual({ type: 'state', from: 'mirroring', to: 'rolledBack' })
    expect([writeSqlite(move), await writePostgres(move)]).toEqual([true, false])
  })

  it("puts the application's own triggers back, which act once, and counts ids on", async () => {
    const move = await made()
    await moves.client.query(`INSERT INTO ${move.schema}.authors (id, email) VALUES (700, 'x')`)
    await moves.client.query(`DELETE FROM ${move.schema}.authors WHERE id = 700`)
    await moves.client.query(`SELECT setval(pg_get_serial_sequence('${move.schema}.authors', 'id'), 700)`)
    await writePostgres(move)
    await rollback(move.options)
    const posts = () => move.app.prepare('SELECT posts FROM authors WHERE id = 1').pluck().get() as number
    const before = posts()
    writeSqlite(move)
    expect(posts()).toBe(before + 1)
    expect(move.app.prepare("INSERT INTO authors (email) VALUES ('next') RETURNING id").pluck().get()).toBe(701)
  })

  it('names what the triggers of the application keep beside the moved tables, which nobody kept up', async () => {
    const move = await made({
      prepare: (app) =>
        app.exec(`CREATE TABLE doc (id INTEGER PRIMARY KEY, body TEXT); CREATE VIRTUAL TABLE search USING fts5(body, content='doc', content_rowid='id');
          CREATE TRIGGER indexed AFTER INSERT ON doc BEGIN INSERT INTO search (rowid, body) VALUES (new.id, new.body); END`),
    })
    await moves.client.query(`INSERT INTO ${move.schema}.doc VALUES (1, 'word')`)
    const events: MoveEvent[] = []
    await rollback({ ...move.options, onEvent: (event) => events.push(event) })
    const found = () => move.app.prepare("SELECT rowid FROM search WHERE search MATCH 'word'").pluck().all()
    const notices = events.flatMap((event) => (event.type === 'notice' ? [event.message] : []))
    const [, rebuild = ''] = /: search \((INSERT .*) makes it anew\)\.$/.exec(notices.join('')) ?? []
    expect(found()).toEqual([])
    move.app.exec(rebuild)
    expect(found()).toEqual([1])
  })

  it('knows rows again whose REAL key is a whole number', async () => {
    const move = await made({
      prepare: (app) => app.exec("CREATE TABLE rates (k REAL PRIMARY KEY, v); INSERT INTO rates VALUES (1, 'a')"),
    })
    await moves.client.query(`UPDATE ${move.schema}.rates SET v = 'b'; INSERT INTO ${move.schema}.rates VALUES (2, 'c')`)
    expect(await rollback(move.options)).toMatchObject({ ok: true })
    expect(move.app.prepare('SELECT k, v FROM rates').raw().all()).toEqual([
      [1, 'b'],
      [2, 'c'],
    ])
  })

  it('can be followed again, and cut over again', async () => {
    const move = await made()
    await writePostgres(move)
    move.app.pragma('foreign_keys = ON')
    await rollback(move.options)
    writeSqlite(move)
    move.app.exec("DELETE FROM notes WHERE at > 30; INSERT INTO notes VALUES ('after the way back', 1)")
    await conduct({ ...move.options, until: 'ready', checkShare: 1 })
    expect(await move.differences()).toEqual([])
    expect(await cutover(move.options)).toMatchObject({ ok: true })
    expect([await inPostgres(move, last()), await writePostgres(move)]).toEqual([true, true])
    expect(await rollback(move.options)).toMatchObject({ ok: true })
    expect(inFile(move, last())).toBe(true)
    expect((await move.status()).history.map(({ to }) => to)).toEqual([
      'following', 'cuttingOver', 'mirroring', 'rollingBack', 'rolledBack', 'following', 'cuttingOver', 'mirroring', 'rollingBack', 'rolledBack',
    ]) // biome-ignore format: one line reads better
  })

  it('names a transaction that does not end, and is undone', async () => {
    const move = await made()
    const busy = new pg.Client({ connectionString: moves.url, application_name: 'a slow job' })
    await busy.connect()
    await busy.query(`BEGIN; INSERT INTO ${move.schema}.notes VALUES ('not done', 1)`)
    await expect(rollback({ ...move.options, maxPauseMs: 600 })).rejects.toMatchObject({
      code: 'TM_MOVE_PAUSE',
      message: expect.stringMatching(/pid \d+ a slow job/) as string,
    })
    await busy.query('COMMIT')
    await busy.end()
    expect(await move.status()).toMatchObject({ state: 'mirroring', writer: 'postgres' })
    expect([writeSqlite(move), await writePostgres(move)]).toEqual([false, true])
    expect(await rollback(move.options)).toMatchObject({ ok: true })
    expect(move.app.prepare("SELECT count(*) FROM notes WHERE text = 'not done'").pluck().get()).toBe(1)
  })

  it('refuses rows that the file cannot hold as Postgres does', async () => {
    const move = await made()
    move.conduct()
    await moves.client.query(`ALTER TABLE ${move.schema}.authors ALTER COLUMN email DROP NOT NULL`)
    await moves.client.query(`INSERT INTO ${move.schema}.authors (id, email) VALUES (600, NULL)`)
    await until(async () => (await move.status()).checks.differences > 0)
    await expect(rollback({ ...move.options, clock: hasty })).rejects.toMatchObject({
      code: 'TM_MOVE_GATE',
      message: expect.stringContaining('1 row differs between the two sides (first: id=600 in authors)') as string,
    })
    expect(await writePostgres(move)).toBe(true)
    await moves.client.query(`DELETE FROM ${move.schema}.authors WHERE id = 600`)
    expect(await rollback(move.options)).toMatchObject({ ok: true })
  })

  it('is refused where nothing was switched over', async () => {
    const move = await moves.makeReady()
    await expect(rollback(move.options)).rejects.toMatchObject({ code: 'TM_MOVE_STATE' })
  })
})

describe('MOVE-2: a rollback that is killed', () => {
  const short = { maxPauseMs: 3_000 }

  it.each(['noted', 'fenced', 'drained', 'compared'])('at "%s" is undone', async (at) => {
    const move = await made()
    await writePostgres(move)
    expect((await runKilled('rollback/rollback.js', 'rollback', { ...move.options, ...short }, `rollback.${at}`)).signal).toBe(
      'SIGKILL',
    )
    expect([writeSqlite(move), await writePostgres(move)]).toEqual([false, at === 'noted'])
    move.conduct()
    await until(async () => (await move.status()).state === 'mirroring')
    expect(await writePostgres(move)).toBe(true)
    expect(await rollback(move.options)).toMatchObject({ ok: true, resumed: false })
    expect(inFile(move, last())).toBe(true)
    expect(await move.differences()).toEqual([])
  })

  it.each(['conductor', 'command'])('at "opened" has given the writes back, and a %s says so', async (by) => {
    const move = await made()
    const before = await moves.slots()
    await writePostgres(move)
    expect((await runKilled('rollback/rollback.js', 'rollback', { ...move.options, ...short }, 'rollback.opened')).signal).toBe(
      'SIGKILL',
    )
    expect([inFile(move, last()), writeSqlite(move), await writePostgres(move)]).toEqual([true, true, false])
    if (by === 'command') expect(await rollback(move.options)).toMatchObject({ ok: true, resumed: true })
    else move.conduct()
    await until(async () => ['rolledBack', 'following'].includes((await move.status()).state))
    await until(async () => (await moves.slots()) === before - 1)
  })

  it('at "ended" leaves nothing but the slot, which goes when the move goes on', async () => {
    const move = await made()
    const before = await moves.slots()
    expect((await runKilled('rollback/rollback.js', 'rollback', { ...move.options, ...short }, 'rollback.ended')).signal).toBe(
      'SIGKILL',
    )
    expect([await moves.slots(), (await move.status()).state]).toEqual([before, 'rolledBack'])
    await conduct({ ...move.options, until: 'ready', checkShare: 1 })
    expect(await moves.slots()).toBe(before - 1)
    expect(await move.differences()).toEqual([])
  })
})

describe('R90: a rollback without Postgres', () => {
  it('opens the file, says up to where it holds what Postgres took, and Postgres learns of it when it is back', async () => {
    const move = await made()
    const { stop, done } = move.conduct()
    await writePostgres(move)
    await until(() => inFile(move, last()))
    stop.abort()
    await done
    const mirrored = last()
    // Postgres takes one more, and dies with it.
    await writePostgres(move)
    const unseen = last()
    const report = await rollbackWithoutPostgres({ path: move.path })
    expect(report).toMatchObject({ ok: true, opened: true, lostTriggers: [] })
    expect(report.position).toMatch(/^wal-/)
    expect(Math.abs(Date.parse(report.mirroredAt!) - Date.now())).toBeLessThan(60_000)
    expect([inFile(move, mirrored), inFile(move, unseen), writeSqlite(move)]).toEqual([true, false, true])
    expect(await rollbackWithoutPostgres({ path: move.path })).toMatchObject({ opened: false, epoch: report.epoch })

    // It is back, and still believes that it takes the writes, until any command is given.
    expect((await move.status()).state).toBe('mirroring')
    await expect(cutover(move.options)).rejects.toMatchObject({ code: 'TM_MOVE_STATE' })
    expect(await move.status()).toMatchObject({ state: 'rolledBack', writer: 'sqlite' })
    expect(await writePostgres(move)).toBe(false)
    expect(BigInt((await move.status()).epoch)).toBeGreaterThan(BigInt(report.epoch))

    await conduct({ ...move.options, until: 'ready', checkShare: 1 })
    expect(await move.differences()).toEqual([])
    expect(await inPostgres(move, unseen)).toBe(false)
    expect(await cutover(move.options)).toMatchObject({ ok: true })
  })

  it('fences a mirror that is still alive', async () => {
    const move = await made()
    move.conduct()
    await writePostgres(move)
    await until(() => inFile(move, last()))
    await rollbackWithoutPostgres({ path: move.path })
    expect(writeSqlite(move)).toBe(true)
    await until(async () => (await move.status()).state === 'rolledBack')
    expect(await writePostgres(move)).toBe(false)
  })

  it('frees a file that a cutover was killed on, sealed', async () => {
    const move = await moves.makeReady()
    await runKilled('cutover/cutover.js', 'cutover', move.options, 'cutover.sealed')
    expect(writeSqlite(move)).toBe(false)
    expect(await rollbackWithoutPostgres({ path: move.path })).toMatchObject({ opened: true, position: null, mirroredAt: null })
    expect(writeSqlite(move)).toBe(true)
    await conduct({ ...move.options, until: 'ready', checkShare: 1 })
    expect((await move.status()).state).toBe('following')
    expect(await inPostgres(move, last())).toBe(true)
  })

  it('does nothing to a file that is in no move', async () => {
    const move = await moves.make()
    await expect(rollbackWithoutPostgres({ path: move.path })).rejects.toMatchObject({ code: 'TM_MOVE_NOT_ALLOWED' })
  })
})
