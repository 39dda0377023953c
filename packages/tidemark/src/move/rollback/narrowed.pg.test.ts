import { describe, expect, it } from 'vitest'
import { until } from '../../time/until.js'
import { cutover } from '../cutover/cutover.js'
import { conduct } from '../live/conductor.js'
import { hasty, type LiveMove, useLiveMoves } from '../live/testing/live-moves.js'
import type { MoveEvent } from '../move.js'
import { rollback } from './rollback.js'

const moves = useLiveMoves()

/** Columns that Postgres keeps finer than the file: counts of seconds and milliseconds, three and no digits, minutes, a time, doubles. */
const table = `CREATE TABLE fine (id INTEGER PRIMARY KEY, s TIMESTAMP, ms TIMESTAMP, three DATETIME, none DATETIME, minute DATETIME, zoned TIMESTAMP,
    clock TIME, price NUMERIC);
  INSERT INTO fine VALUES (1, 1700000000, 1700000000123, '2024-01-02 03:04:05.123', '2024-01-02 03:04:05', '2024-01-02 03:04',
    '2024-01-02T03:04:05.1+02:00', '03:04:05', 12.5), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 3)`

const fine = `'2030-01-02 03:04:05.678912Z', '1969-12-31 23:59:59.999999Z', '2030-01-02 03:04:05.678912', '2030-01-02 03:04:05.678912',
  '2030-01-02 03:04:05.678912', '2030-01-02 03:04:05.678912Z', '03:04:05', 0.12345678901234567890`

const inFile = (move: LiveMove, id: number): unknown =>
  move.app.prepare('SELECT s, ms, three, none, minute, zoned, clock, price FROM fine WHERE id = ?').raw().get(id)

const cut = [
  1893553445,
  -1,
  '2030-01-02 03:04:05.678',
  '2030-01-02 03:04:05',
  '2030-01-02 03:04',
  '2030-01-02T05:04:05.6+02:00',
  '03:04:05',
  0.12345678901234568,
]

describe('MOVE-5: values that Postgres keeps finer than the file', () => {
  it('go back cut to what the file has a form for, counted as narrowed, and stand in the way of nothing', async () => {
    const move = await moves.make({ prepare: (app) => app.exec(table) })
    await move.ready()
    await cutover(move.options)
    const events: MoveEvent[] = []
    const { stop, done } = move.conduct({ onEvent: (event) => events.push(event) })
    for (const id of [10, 11]) await moves.client.query(`INSERT INTO ${move.schema}.fine VALUES (${id}, ${fine})`)
    await moves.client.query(`UPDATE ${move.schema}.fine SET ms = '2030-01-02 03:04:05.678912Z' WHERE id = 2`)
    const changed = move.app.prepare('SELECT 1 FROM fine WHERE id = 2 AND ms > 1893553445000').pluck()
    await until(() => inFile(move, 11) !== undefined && changed.get() === 1, { timeoutMs: 20_000 })
    stop.abort()
    await done
    expect([inFile(move, 10), inFile(move, 11)]).toEqual([cut, cut])
    const { narrowed, checks } = await move.status()
    expect(checks.differences).toBe(0)
    expect(narrowed.map(({ column, count }) => [column, count])).toEqual([
      ['minute', 2],
      ['ms', 3],
      ['none', 2],
      ['price', 2],
      ['s', 2],
      ['three', 2],
      ['zoned', 2],
    ])
    expect(narrowed[0]).toMatchObject({ table: 'fine', first: { key: 'id=10', target: '2030-01-02 03:04:05.678912' } })
    const told = events.flatMap((event) => (event.type === 'notice' && event.message.startsWith('fine.') ? [event.message] : []))
    expect(told).toHaveLength(7)
    expect(await rollback(move.options)).toMatchObject({ ok: true })
    expect(inFile(move, 10)).toEqual(cut)
    // The file is the truth again: Postgres has what the file has, nothing is set aside, and the next cutover is let through.
    await conduct({ ...move.options, until: 'ready', checkShare: 1 })
    expect(await move.differences()).toEqual([])
    expect((await move.status()).rejects).toMatchObject({ rows: 0 })
    await cutover(move.options)
    expect((await move.status()).narrowed).toEqual([])
  })

  it('differ nevertheless where the file holds something else, by one step of its own', async () => {
    const move = await moves.make({ prepare: (app) => app.exec(table) })
    await move.ready()
    await cutover(move.options)
    await moves.client.query(`INSERT INTO ${move.schema}.fine VALUES (10, ${fine})`)
    const { stop, done } = move.conduct()
    await until(() => inFile(move, 10) !== undefined, { timeoutMs: 20_000 })
    stop.abort()
    await done
    // As a mirror that does its work wrongly would.
    move.app.exec('UPDATE _tidemark_control SET mirroring = 1; UPDATE fine SET ms = 0, price = 0.12345678901234566 WHERE id = 10')
    move.app.exec(
      "INSERT INTO _tidemark_log (t, k0) SELECT id, 10 FROM _tidemark_tables WHERE name = 'fine'; UPDATE _tidemark_control SET mirroring = 0",
    )
    await expect(rollback(move.options)).rejects.toMatchObject({
      code: 'TM_MOVE_GATE',
      message: expect.stringContaining('id=10 in fine'),
    })
  })

  it('are no rows of their own: two keys that the file cannot tell apart stop the way back', async () => {
    const keyed =
      "CREATE TABLE keyed (at DATETIME PRIMARY KEY NOT NULL, v TEXT) WITHOUT ROWID; INSERT INTO keyed VALUES ('2024-01-02 03:04:05', 'a')"
    const move = await moves.make({ prepare: (app) => app.exec(keyed) })
    await move.ready()
    await cutover(move.options)
    await moves.client.query(
      `INSERT INTO ${move.schema}.keyed VALUES ('2030-01-02 03:04:05.1', 'b'), ('2030-01-02 03:04:05.2', 'c')`,
    )
    await expect(rollback({ ...move.options, clock: hasty })).rejects.toMatchObject({ code: 'TM_MOVE_GATE' })
  })
})
