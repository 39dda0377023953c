import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../../time/until.js'
import { runKilled } from '../live/testing/killed.js'
import { type LiveMove, type LiveMoves, openLiveMoves } from '../live/testing/live-moves.js'
import { cutover } from './cutover.js'

let moves: LiveMoves
beforeAll(async () => {
  moves = await openLiveMoves()
})
afterAll(() => moves.end())
afterEach(() => moves.clear())

const made = async (): Promise<LiveMove> => {
  const move = await moves.make()
  await move.ready()
  return move
}

let next = 90_000
const writeSqlite = (move: LiveMove): boolean => {
  try {
    move.app.prepare("INSERT INTO posts VALUES (?, 1, 'after', 'the crash')").run(++next)
    return true
  } catch (error) {
    expect(String(error)).toContain('tidemark')
    return false
  }
}
const writePostgres = (move: LiveMove): Promise<boolean> =>
  moves.client.query(`INSERT INTO ${move.schema}.posts VALUES ($1, 1, 'after', 'the crash')`, [++next]).then(
    () => true,
    (error: unknown) => {
      expect(error).toMatchObject({ code: 'TM001' })
      return false
    },
  )
const slots = async (): Promise<number> =>
  (await moves.client.query('SELECT FROM pg_replication_slots WHERE database = current_database()')).rowCount ?? 0

const short = { maxPauseMs: 600 }

describe('MOVE-4, S20: a cutover that is killed', () => {
  it.each(['prepared', 'noted', 'fenced', 'drained', 'compared', 'ready'])(
    'at "%s" frees the application by itself, and is undone',
    async (at) => {
      const move = await made()
      const before = await slots()
      expect((await runKilled('cutover/cutover.js', 'cutover', { ...move.options, ...short }, `cutover.${at}`)).signal).toBe(
        'SIGKILL',
      )
      // Nobody but the application is at work.
      await until(() => writeSqlite(move), { timeoutMs: 3_000 })
      expect(await writePostgres(move)).toBe(false)
      move.conduct()
      await until(
        async () =>
          (await move.status()).state === 'following' &&
          (await moves.client.query(`SELECT FROM ${move.schema}.posts WHERE id = $1`, [next - 1])).rowCount === 1,
      )
      await until(
        async () => (await move.status()).waiting.every(({ state }) => state === 'waiting') && (await slots()) === before,
      )
      expect(await cutover(move.options)).toMatchObject({ ok: true, resumed: false })
      expect(await move.differences()).toEqual([])
      expect([writeSqlite(move), await writePostgres(move)]).toEqual([false, true])
    },
  )

  it.each(['conductor', 'command'])('at "sealed" leaves two stores without a writer, until a %s finishes it', async (by) => {
    const move = await made()
    expect((await runKilled('cutover/cutover.js', 'cutover', { ...move.options, ...short }, 'cutover.sealed')).signal).toBe(
      'SIGKILL',
    )
    expect(await move.status()).toMatchObject({ state: 'cuttingOver', writer: 'none' })
    expect([writeSqlite(move), await writePostgres(move)]).toEqual([false, false])
    if (by === 'conductor') move.conduct()
    else expect(await cutover(move.options)).toMatchObject({ ok: true, resumed: true })
    await until(async () => (await move.status()).state === 'mirroring')
    expect(await move.differences()).toEqual([])
    expect([writeSqlite(move), await writePostgres(move)]).toEqual([false, true])
  })

  it('at "flipped" has switched: the writes are Postgres\' own, and the mirror begins with the first of them', async () => {
    const move = await made()
    expect((await runKilled('cutover/cutover.js', 'cutover', { ...move.options, ...short }, 'cutover.flipped')).signal).toBe(
      'SIGKILL',
    )
    expect(await move.status()).toMatchObject({ state: 'mirroring', writer: 'postgres' })
    expect([writeSqlite(move), await writePostgres(move)]).toEqual([false, true])
    move.conduct()
    await until(() => move.app.prepare('SELECT 1 FROM posts WHERE id = ?').get(next) !== undefined)
    expect(await move.differences()).toEqual([])
  })

  it.each(['opened', 'unprepared'])('while it was being undone, at "%s", is undone by whoever comes next', async (at) => {
    const move = await made()
    const killed = await runKilled('cutover/cutover.js', 'cutover', { ...move.options, maxPauseMs: 1 }, `cutover.${at}`)
    expect(killed.signal).toBe('SIGKILL')
    expect(writeSqlite(move)).toBe(true)
    const before = await slots()
    move.conduct()
    await until(async () => (await move.status()).state === 'following')
    expect(await slots()).toBe(at === 'opened' ? before - 1 : before)
    expect(await cutover(move.options)).toMatchObject({ ok: true })
    expect(await move.differences()).toEqual([])
  })
})
