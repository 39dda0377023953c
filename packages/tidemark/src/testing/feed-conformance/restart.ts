import { expect, it } from 'vitest'
import { until } from '../../time/until.js'
import type { Reading } from './collected.js'
import { plain } from './collected.js'
import type { Scene } from './scene.js'

const inPublic = (...tables: string[]) => tables.map((table) => ({ schema: 'public', table }))

const idsOf = (reading: Reading): string[] =>
  reading.transactions.flatMap(({ changes }) => changes.map((change) => String(plain(change).new?.id)))

/** What happens when reading ends and begins again. */
export const defineRestart = (scene: () => Scene): void => {
  it('begins with a reset that names the epoch, and with none where the consumer has a position of it', async () => {
    const { sql, follow, commit } = scene()
    await sql.query('create table begun (id int primary key)')
    const { reading, name, end } = await follow(inPublic('begun'))
    const given = await commit(reading, ['insert into begun values (1)'])
    expect(reading.events[0]).toMatchObject({ type: 'reset', reason: 'start', epoch: given.position.epoch })
    expect(reading.resets).toHaveLength(1)
    await end()
    const again = await follow(inPublic('begun'), { name, from: given.position })
    await commit(again.reading, ['insert into begun values (2)'])
    expect(again.reading.resets).toEqual([])
    expect(idsOf(again.reading)).toEqual(['2'])
  })

  it('tells that a position of another history is void', async () => {
    const { sql, follow, commit } = scene()
    await sql.query('create table foreign_position (id int primary key)')
    const from = { epoch: 'wal-1-1-1-00', number: 5n }
    const { reading } = await follow(inPublic('foreign_position'), { from })
    const given = await commit(reading, ['insert into foreign_position values (1)'])
    expect(reading.events[0]).toMatchObject({ type: 'reset', epoch: given.position.epoch, reason: 'newHistory' })
  })

  it('FEED-1 gives everything again that was not confirmed, and what was written meanwhile', async () => {
    const { sql, follow } = scene()
    await sql.query('create table restarted (id int primary key)')
    const first = await follow(inPublic('restarted'))
    for (let id = 1; id <= 6; id++) await sql.query('insert into restarted values ($1)', [id])
    await first.reading.until(() => idsOf(first.reading).length === 6, 'All transactions')
    first.source.confirm(first.reading.transactions[2]!.position)
    await first.end()
    await sql.query('insert into restarted values (7)')

    const second = await follow(inPublic('restarted'), { name: first.name })
    await second.reading.until(() => idsOf(second.reading).includes('7'), 'What was written meanwhile')
    const ids = idsOf(second.reading)
    expect(ids.slice(-4)).toEqual(['4', '5', '6', '7'])
    expect(ids.length).toBeLessThanOrEqual(7)
    expect(second.reading.transactions[0]!.position.epoch).toBe(first.reading.transactions[0]!.position.epoch)
    await second.end()

    // A consumer that brings a later position is given what follows it.
    const from = first.reading.transactions[4]!.position
    const third = await follow(inPublic('restarted'), { name: first.name, from })
    await third.reading.until(() => idsOf(third.reading).includes('7'), 'What was written meanwhile')
    expect(idsOf(third.reading).filter((id) => Number(id) > 5)).toEqual(['6', '7'])
    expect(idsOf(third.reading)).not.toContain('4')
  })

  it('gives nothing again that was confirmed', async () => {
    const { sql, follow } = scene()
    await sql.query('create table confirmed (id int primary key)')
    const first = await follow(inPublic('confirmed'))
    for (let id = 1; id <= 3; id++) await sql.query('insert into confirmed values ($1)', [id])
    await first.reading.until(() => idsOf(first.reading).length === 3, 'All transactions')
    first.source.confirm(first.reading.transactions[2]!.position)
    await first.end()
    await sql.query('insert into confirmed values (4)')
    const second = await follow(inPublic('confirmed'), { name: first.name })
    await second.reading.until(() => idsOf(second.reading).includes('4'), 'What was written meanwhile')
    expect(idsOf(second.reading)).toEqual(['4'])
  })

  it('keeps a large transaction whole for whoever comes back in the middle of it', async () => {
    const { sql, follow } = scene()
    await sql.query('create table interrupted (id int primary key)')
    const first = await follow(inPublic('interrupted'), {
      // Only one piece is taken, and confirmed, before the reading ends.
      each: async (event) => {
        if (event.type !== 'transaction') return
        first.source.confirm(event.position)
        await new Promise<void>((resolve) => {
          release = resolve
        })
      },
    })
    let release = () => {}
    await sql.query('insert into interrupted select generate_series(1, 20000)')
    await first.reading.until(() => first.reading.events.some(({ type }) => type === 'transaction'), 'The first piece')
    const ended = first.end()
    release()
    await ended
    const second = await follow(inPublic('interrupted'), { name: first.name })
    const given = await second.reading.transaction(({ changes }) => changes.length > 1)
    expect(given.changes).toHaveLength(20_000)
  })

  it('says how far it is, and falls behind while nothing is confirmed', async () => {
    const { sql, follow } = scene()
    await sql.query('create table lagging (id int primary key, text text)')
    const { source, reading } = await follow(inPublic('lagging'))
    await sql.query(`insert into lagging select n, repeat('x', 1000) from generate_series(1, 500) n`)
    await reading.until(() => idsOf(reading).length === 500, 'All transactions')
    const before = await source.lag()
    expect(before.behind).toBeGreaterThan(0)
    expect(before.head?.epoch).toBe(reading.resets[0]!.epoch)
    source.confirm(reading.transactions.at(-1)!.position)
    const number = reading.transactions.at(-1)!.position.number
    await until(async () => ((await source.lag()).confirmed?.number ?? -1n) >= number, { what: 'The confirmation' })
  })

  it('ends when it is told to, in the middle of nothing and by stop', async () => {
    const { sql, follow } = scene()
    await sql.query('create table idle (id int primary key)')
    const { source, reading } = await follow(inPublic('idle'))
    await reading.until(() => reading.resets.length === 1, 'The start')
    await reading.end()
    await source.stop()
    await source.stop()
  })
}
