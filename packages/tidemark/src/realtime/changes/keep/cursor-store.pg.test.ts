import { beforeEach, describe, expect, it } from 'vitest'
import type { Position } from '../../../feed/position.js'
import { openPool } from '../../../feed/sources/outbox/testing/open-outbox.js'
import { bootstrappedTemplate, testUrl } from '../../../schema/testing/bootstrapped-template.js'
import { useCleanups } from '../../../testing/use-cleanups.js'
import { useClient, useDatabase } from '../../../testing/use-database.js'
import { until } from '../../../time/until.js'
import { createCursorStore } from './cursor-store.js'

const database = useDatabase({ template: bootstrappedTemplate })
const client = useClient(database)
const cleanups = useCleanups()

beforeEach(() => client.query('truncate tidemark.realtime_cursors'))

const at = (number: number): Position => ({ epoch: 'wal-1', number: BigInt(number) })
const numbers = (positions: readonly Position[]) => positions.map(({ number }) => Number(number)).sort((a, b) => a - b)

const open = (keptMs = 60_000) => {
  const { pool, close } = openPool(testUrl(database.url, 'app'))
  const store = createCursorStore({ pool, keptMs, writeMs: 10 })
  cleanups.push(close)
  cleanups.push(() => store.stop())
  return store
}

describe('cursors', () => {
  it('RT-2: are remembered before their client is told that it listens, for any node', async () => {
    const [here, there] = [open(), open()]
    const cursor = await here.open('name', at(5))
    expect(numbers(await there.recall('name'))).toEqual([5])
    cursor.move(at(8))
    cursor.move(at(7))
    expect(numbers(await here.recall('name'))).toEqual([8])
    await until(async () => numbers(await there.recall('name'))[0] === 8)
    expect(await there.recall('another')).toEqual([])
  })

  it('RT-2: of clients that share a name each counts: whoever comes back takes the last away, and leaves the earlier ones', async () => {
    const store = open()
    const [first, second, third] = [
      await store.open('name', at(1)),
      await store.open('name', at(2)),
      await store.open('name', at(3)),
    ]
    first.close(true)
    second.close(true)
    expect(numbers(await store.recall('name'))).toEqual([1, 2, 3])
    expect(numbers(await store.recall('name'))).toEqual([1, 3])
    // Of a socket that seems to live nothing is taken away: nobody knows whose it is.
    expect(numbers(await store.recall('name'))).toEqual([3])
    third.close(false)
    await until(async () => (await store.recall('name')).length === 0)
  })

  it('RT-2: those of a server that was killed stay, and are forgotten in their time', async () => {
    await open().open('name', at(1))
    // Nobody closes it, and nobody refreshes it.
    await client.query(`update tidemark.realtime_cursors set member = gen_random_uuid()`)
    expect(numbers(await open().recall('name'))).toContain(1)
    await client.query(`update tidemark.realtime_cursors set seen_at = now() - interval '2 minutes'`)
    const later = open()
    expect(numbers(await later.recall('name')).filter((number) => number === 1)).toEqual([])
    await until(async () => {
      const { rows } = await client.query(`select from tidemark.realtime_cursors where seen_at < now() - interval '1 minute'`)
      return rows.length === 0
    })
  })

  it('keeps cursors of quiet clients', async () => {
    const store = open(300)
    await store.open('name', at(1))
    const { rows } = await client.query<{ seen: Date }>('select seen_at as seen from tidemark.realtime_cursors')
    await until(async () => {
      const now = await client.query<{ seen: Date }>('select seen_at as seen from tidemark.realtime_cursors')
      return Number(now.rows[0]?.seen) - Number(rows[0]?.seen) > 300
    })
    expect(numbers(await store.recall('name'))).toEqual([1])
  })
})
