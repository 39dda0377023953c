import { EventEmitter, once } from 'node:events'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Position } from '../../../feed/position.js'
import { openPool } from '../../../feed/sources/outbox/testing/open-outbox.js'
import type { Pool } from '../../../postgres/postgres.js'
import { bootstrappedTemplate, testUrl } from '../../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../../testing/postgres/use-database.js'
import { useCleanups } from '../../../testing/use-cleanups.js'
import { until } from '../../../time/until.js'
import { type Cursor, type CursorStore, type CursorStoreOptions, createCursorStore } from './cursor-store.js'

const database = useDatabase({ template: bootstrappedTemplate })
const client = useClient(database)
const cleanups = useCleanups()

beforeEach(() => client.query('truncate tidemark.realtime_cursors, tidemark.realtime_servers'))

const at = (number: number): Position => ({ epoch: 'wal-1', number: BigInt(number) })
const sorted = (positions: readonly Position[]) => positions.map(({ number }) => Number(number)).sort((a, b) => a - b)

/** A server that can be killed: nothing that it says reaches Postgres any more. */
const serve = (options: Partial<CursorStoreOptions> = {}): { readonly store: CursorStore; kill(): void } => {
  const { pool, close } = openPool(testUrl(database.url, 'app'))
  let isKilled = false
  const query: Pool['query'] = (text, values, how) =>
    isKilled ? Promise.reject(new Error('killed')) : pool.query(text, values, how)
  const store = createCursorStore({ pool: { query }, keptMs: 60_000, writeMs: 10, silentMs: 600, ...options })
  cleanups.push(close)
  cleanups.push(() => store.stop())
  return {
    store,
    kill: () => {
      isKilled = true
    },
  }
}

const open = (options: Partial<CursorStoreOptions> = {}): CursorStore => serve(options).store

/** A server that counts as alive, and takes others for alive, however busy the machine is. */
const lives = { silentMs: 60_000 } as const

/** What is remembered: nobody comes back to it. */
const look = async (store: CursorStore, name = 'name', number?: number): Promise<readonly number[]> => {
  return sorted((await store.recall(name, number)).positions)
}

/** As a client does that comes back; gives where it was, and its new place there. */
const comeBack = async (
  store: CursorStore,
  number?: number,
): Promise<{ readonly found: readonly number[]; readonly cursor: Cursor }> => {
  const recalled = await store.recall('name', number)
  const found = sorted(recalled.positions)
  const cursor = await store.open('name', { position: at(found[0] ?? 1_000), number, recalled })
  return { found, cursor }
}

describe('cursors', () => {
  it('RT-2: are remembered before their client is told that it listens, for any node', async () => {
    const [here, there] = [open(lives), open(lives)]
    const cursor = await here.open('name', { position: at(5) })
    expect(await look(there)).toEqual([5])
    cursor.move(at(8))
    cursor.move(at(7))
    expect(await look(here)).toEqual([8])
    // What another server knew when it was asked is waited for.
    expect(await look(there)).toEqual([8])
    expect(await look(there, 'another')).toEqual([])
  })

  it('RT-2: of clients that share a name each counts: whoever comes back takes the place of the last, and leaves the earlier ones', async () => {
    const store = open(lives)
    const [first, second, third] = [
      await store.open('name', { position: at(1) }),
      await store.open('name', { position: at(2) }),
      await store.open('name', { position: at(3) }),
    ]
    first.close(true)
    second.close(true)
    // One of them is gone before it has a place.
    const found = await Promise.all([store.recall('name'), store.recall('name'), store.recall('name')])
    expect(found.map(({ positions }) => sorted(positions))).toEqual([
      [1, 2, 3],
      [1, 2, 3],
      [1, 2, 3],
    ])
    for (const recalled of found.slice(1)) await store.open('name', { position: at(1), recalled })
    // Of a socket that seems to live nothing is taken away: nobody knows whose it is.
    expect(await look(store)).toEqual([1, 1, 3])
    third.close(false)
    expect(await look(store)).toEqual([1, 1])
  })

  it.each([
    { what: 'ends', mayReturn: false, found: [], left: [9] },
    { what: 'is cut off', mayReturn: true, found: [5], left: [9] },
  ])(
    'RT-2: what $what while it is looked up is found as it is then, and its place is taken',
    async ({ mayReturn, found, left }) => {
      const { pool, close } = openPool(testUrl(database.url, 'app'))
      cleanups.push(close)
      const steps = new EventEmitter()
      const [answered, told] = [once(steps, 'answered'), once(steps, 'told')]
      // Postgres has answered before the end was written, and its answer comes after that.
      const query: Pool['query'] = async (text, values, how) => {
        const answer = await pool.query(text, values, how)
        if (!text.includes('postmaster_start_time')) return answer as never
        steps.emit('answered')
        await told
        return answer as never
      }
      const store = createCursorStore({ pool: { query }, keptMs: 60_000, writeMs: 60_000, ...lives })
      cleanups.push(() => store.stop())
      const cursor = await store.open('name', { position: at(1) })
      const recalling = store.recall('name')
      await answered
      cursor.move(at(5))
      cursor.close(mayReturn)
      const row = mayReturn ? `select from tidemark.realtime_cursors where cut and position = 'wal-1:5'` : 'select 1 where false'
      const all = 'select from tidemark.realtime_cursors'
      await until(async () => (await client.query(row)).rowCount === (await client.query(all)).rowCount)
      steps.emit('told')
      const recalled = await recalling
      expect(sorted(recalled.positions)).toEqual(found)
      await store.open('name', { position: at(9), recalled })
      const { rows } = await client.query<{ position: string }>('select position from tidemark.realtime_cursors')
      expect(rows.map(({ position }) => Number(position.split(':')[1]))).toEqual(left)
    },
  )

  it('RT-2: whoever comes back is remembered at every moment, also where its new server is killed before it has a place there', async () => {
    const [before, after] = [serve(), open()]
    const cursor = await before.store.open('name', { position: at(7) })
    cursor.close(true)
    await until(async () => (await client.query(`select from tidemark.realtime_cursors where cut`)).rowCount === 1)
    expect(sorted((await before.store.recall('name')).positions)).toEqual([7])
    before.kill()
    expect((await comeBack(after)).found).toEqual([7])
    const { rows } = await client.query(`select position, cut from tidemark.realtime_cursors`)
    expect(rows).toEqual([{ position: 'wal-1:7', cut: false }])
  })

  it('RT-2: the place at a server that was killed is taken once, and not found again by who has acknowledged more since', async () => {
    const [killed, after] = [serve(), open()]
    const cursor = await killed.store.open('name', { position: at(1), number: 2 })
    cursor.move(at(5))
    await until(
      async () => (await client.query(`select from tidemark.realtime_cursors where position = 'wal-1:5'`)).rowCount === 1,
    )
    killed.kill()
    const back = await comeBack(after, 4)
    expect(back.found).toEqual([5])
    back.cursor.move(at(9))
    back.cursor.close(true, 6)
    expect((await comeBack(after, 8)).found).toEqual([9])
  })

  it('RT-2: what a server that lives has not written yet is waited for', async () => {
    const slow = open({ ...lives, writeMs: 300 })
    const cursor = await slow.open('name', { position: at(1) })
    cursor.move(at(5))
    expect(await look(open(lives))).toEqual([5])
  })

  it('RT-2: a server that could not write for a while writes again what others have taken away meanwhile', async () => {
    const { pool, close } = openPool(testUrl(database.url, 'app'))
    cleanups.push(close)
    let resume: (() => void) | undefined
    let stalled: Promise<void> | undefined
    const query: Pool['query'] = async (text, values, how) => {
      await stalled
      return pool.query(text, values, how) as never
    }
    const store = createCursorStore({ pool: { query }, keptMs: 60_000, writeMs: 10, silentMs: 300 })
    cleanups.push(() => store.stop())
    await store.open('name', { position: at(3) })
    stalled = new Promise((resolve) => {
      resume = resolve
    })
    const other = open()
    await until(
      async () =>
        (await client.query(`select from tidemark.realtime_servers where seen_at < now() - interval '1 second'`)).rowCount === 1,
    )
    expect((await comeBack(other)).found).toEqual([3])
    expect((await client.query('select from tidemark.realtime_cursors')).rowCount).toBe(1)
    resume?.()
    await until(async () => (await client.query('select from tidemark.realtime_cursors')).rowCount === 2)
  })

  it('RT-2: a place that was taken is not written again by a server that had no answer when it wrote it', async () => {
    const { pool, close } = openPool(testUrl(database.url, 'app'))
    cleanups.push(close)
    let answers = true
    let failed = 0
    let again = 0
    const query: Pool['query'] = async (text, values, how) => {
      const result = await pool.query(text, values, how)
      const isWriting = text.includes('insert into tidemark.realtime_cursors')
      if (answers && isWriting && failed > 0) again += 1
      if (answers || !isWriting) return result as never
      failed += 1
      throw new Error('Connection terminated')
    }
    const store = createCursorStore({ pool: { query }, keptMs: 60_000, writeMs: 50, silentMs: 5_000 })
    cleanups.push(() => store.stop())
    const cursor = await store.open('name', { position: at(3) })
    answers = false
    cursor.close(true)
    await until(() => failed > 0)
    expect((await comeBack(open())).found).toEqual([3])
    answers = true
    await until(() => again > 0)
    // What the new server holds, and nothing else.
    const { rows } = await client.query(`select cut from tidemark.realtime_cursors`)
    expect(rows).toEqual([{ cut: false }])
  })

  it('RT-2: a client that counts less than another had come to is not taken for it, however young both are', async () => {
    const [here, there] = [open(), open()]
    const cursor = await here.open('name', { position: at(5), number: 2 })
    // A new page makes its join as the one before did.
    expect(await look(there, 'name', 2)).toEqual([])
    expect(await look(there, 'name', 3)).toEqual([5])
    cursor.close(true, 4)
    expect(await look(here, 'name', 4)).toEqual([])
    expect(await look(here, 'name', 5)).toEqual([5])
    expect(await look(here)).toEqual([5])
  })

  it('RT-2: whoever has to hear of a gap has no place until it has acknowledged that', async () => {
    const [killed, after] = [serve(), open()]
    const cursor = await killed.store.open('name', { position: undefined })
    expect((await after.recall('name')).positions).toEqual([{ epoch: '', number: 0n }])
    cursor.move(at(4))
    expect(await look(after)).toEqual([4])
  })

  it('RT-2: those that were kept for long enough say only that there was one, and are forgotten later', async () => {
    await open().open('name', { position: at(1) })
    // Nobody closes it, and nobody refreshes it.
    await client.query(`update tidemark.realtime_cursors set member = gen_random_uuid(), server = null`)
    expect(await look(open())).toContain(1)
    await client.query(`update tidemark.realtime_cursors set seen_at = now() - interval '2 minutes' where server is null`)
    const later = open()
    expect((await later.recall('name')).positions).toContainEqual({ epoch: '', number: 0n })
    await client.query(`update tidemark.realtime_cursors set seen_at = now() - interval '61 minutes' where server is null`)
    open()
    await until(async () => (await client.query(`select from tidemark.realtime_cursors where server is null`)).rowCount === 0)
  })

  it('keeps cursors of quiet clients', async () => {
    const store = open({ keptMs: 300 })
    await store.open('name', { position: at(1) })
    const { rows } = await client.query<{ seen: Date }>('select seen_at as seen from tidemark.realtime_cursors')
    await until(async () => {
      const now = await client.query<{ seen: Date }>('select seen_at as seen from tidemark.realtime_cursors')
      return Number(now.rows[0]?.seen) - Number(rows[0]?.seen) > 300
    })
    expect(await look(store)).toEqual([1])
  })
})
