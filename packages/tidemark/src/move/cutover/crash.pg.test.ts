import { describe, expect, it } from 'vitest'
import { until } from '../../time/until.js'
import { runKilled } from '../live/testing/killed.js'
import { type LiveMove, useLiveMoves } from '../live/testing/live-moves.js'
import { createPosts } from '../live/testing/posts.js'
import { cutover } from './cutover.js'

const moves = useLiveMoves()

const { inFile, inPostgres, last, writePostgres, writeSqlite } = createPosts(moves.client)

/** Ends a cutover at that place, as `kill -9` does. One that is too slow for its pause undoes itself before: then it is given a longer one. */
const killAt = async (move: LiveMove, at: string): Promise<void> => {
  for (const maxPauseMs of [600, 4_000, 12_000]) {
    if ((await runKilled('cutover/cutover.js', 'cutover', { ...move.options, maxPauseMs }, at)).signal === 'SIGKILL') return
  }
  throw new Error(`no cutover came to ${at}`)
}

describe('MOVE-4, S20: a cutover that is killed', () => {
  it.each(['prepared', 'noted', 'fenced', 'drained', 'compared', 'ready'])(
    'at "%s" frees the application by itself, and is undone',
    async (at) => {
      const move = await moves.makeReady()
      const before = await moves.slots()
      await killAt(move, `cutover.${at}`)
      // Nobody but the application is at work.
      await until(() => writeSqlite(move))
      expect(await writePostgres(move)).toBe(false)
      move.conduct()
      await until(async () => (await move.status()).state === 'following' && (await inPostgres(move, last() - 1)))
      await until(
        async () => (await move.status()).waiting.every(({ state }) => state === 'waiting') && (await moves.slots()) === before,
      )
      expect(await cutover(move.options)).toMatchObject({ ok: true, resumed: false })
      expect(await move.differences()).toEqual([])
      expect([writeSqlite(move), await writePostgres(move)]).toEqual([false, true])
    },
  )

  it.each(['conductor', 'command'])('at "sealed" leaves two stores without a writer, until a %s finishes it', async (by) => {
    const move = await moves.makeReady()
    await killAt(move, 'cutover.sealed')
    expect(await move.status()).toMatchObject({ state: 'cuttingOver', writer: 'none' })
    expect([writeSqlite(move), await writePostgres(move)]).toEqual([false, false])
    if (by === 'conductor') move.conduct()
    else expect(await cutover(move.options)).toMatchObject({ ok: true, resumed: true })
    await until(async () => (await move.status()).state === 'mirroring')
    expect(await move.differences()).toEqual([])
    expect([writeSqlite(move), await writePostgres(move)]).toEqual([false, true])
  })

  it('at "flipped" has switched: the writes are Postgres\' own, and the mirror begins with the first of them', async () => {
    const move = await moves.makeReady()
    await killAt(move, 'cutover.flipped')
    expect(await move.status()).toMatchObject({ state: 'mirroring', writer: 'postgres' })
    expect([writeSqlite(move), await writePostgres(move)]).toEqual([false, true])
    move.conduct()
    await until(() => inFile(move, last()))
    expect(await move.differences()).toEqual([])
  })

  it.each(['opened', 'unprepared'])('while it was being undone, at "%s", is undone by whoever comes next', async (at) => {
    const move = await moves.makeReady()
    const killed = await runKilled('cutover/cutover.js', 'cutover', { ...move.options, maxPauseMs: 1 }, `cutover.${at}`)
    expect(killed.signal).toBe('SIGKILL')
    expect(writeSqlite(move)).toBe(true)
    const before = await moves.slots()
    move.conduct()
    await until(async () => (await move.status()).state === 'following')
    await until(async () => (await moves.slots()) === (at === 'opened' ? before - 1 : before))
    expect(await cutover(move.options)).toMatchObject({ ok: true })
    expect(await move.differences()).toEqual([])
  })
})
