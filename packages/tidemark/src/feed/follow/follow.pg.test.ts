import pg from 'pg'
import { beforeAll, describe, expect, it } from 'vitest'
import { bootstrappedTemplate } from '../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import type { Follower } from '../feed.js'
import { installOutbox } from '../sources/outbox/install-outbox.js'
import { createOutboxSource } from '../sources/outbox/outbox-source.js'
import { openPool } from '../sources/outbox/testing/open-outbox.js'
import { createFeed } from './create-feed.js'
import { followerPosition, storedPositions } from './follower-position.js'
import { onTables } from './on-tables.js'

const database = useDatabase({ template: bootstrappedTemplate })
const client = useClient(database)

beforeAll(async () => {
  await client.query(
    `create table events (id int primary key, user_name text not null); create table counts (user_name text primary key, n int not null)`,
  )
  await installOutbox(client, [{ schema: 'public', table: 'events' }])
})

interface Database {
  public: { Tables: { events: { Row: { id: number; user_name: string } } } }
}

const position = followerPosition('counter')

/** Counts the events of each user, each once: what is written and how far it is belong together. */
const counter = (work: pg.Client, crashAt: () => boolean): Follower => {
  const { tables } = onTables<Database>()({ 'public.events': () => undefined })
  return {
    name: 'counter',
    tables,
    stored: () => position.get(work),
    apply: async (piece) => {
      await work.query('begin')
      if (!(await position.set(work, piece.position))) {
        await work.query('rollback')
        return
      }
      const count = onTables<Database>()({
        'public.events': async (change) => {
          if (change.kind !== 'insert') return
          const sql = `insert into counts values ($1, 1) on conflict (user_name) do update set n = counts.n + 1`
          await work.query(sql, [change.new.user_name])
        },
      })
      await count.apply(piece)
      await work.query('commit')
      // It was written, and nobody heard of it.
      if (crashAt()) throw new Error('crashed')
    },
  }
}

const withFeed = async (crashAt: () => boolean, work: () => Promise<void>): Promise<void> => {
  const { pool, close } = openPool(database.url)
  const own = new pg.Client({ connectionString: database.url })
  await own.connect()
  const source = createOutboxSource({ pool, name: 'counter', tables: 'installed', pollMs: 5 })
  await source.open()
  const feed = createFeed({ source, followers: [counter(own, crashAt)], retryBaseMs: 5, confirmEveryMs: 20 })
  await feed.start()
  try {
    await work()
  } finally {
    await feed.stop()
    await own.end()
    await close()
  }
}

const counts = async () =>
  Object.fromEntries((await client.query('select user_name, n from counts')).rows.map(({ user_name, n }) => [user_name, n]))
const events = async () =>
  Object.fromEntries(
    (await client.query('select user_name, count(*)::int as n from events group by 1')).rows.map(({ user_name, n }) => [
      user_name,
      n,
    ]),
  )

describe('a durable follower', () => {
  it('FEED-1, S4: applies each change once, through crashes, retries and restarts', async () => {
    let id = 0
    let seed = 1
    const random = () => {
      seed = (seed * 16_807) % 2_147_483_647
      return seed / 2_147_483_647
    }
    for (let round = 0; round < 4; round += 1) {
      await withFeed(
        () => random() < 0.3,
        async () => {
          for (let i = 0; i < 25; i += 1) {
            id += 1
            await client.query('insert into events values ($1, $2)', [id, `user ${id % 3}`])
          }
          // The others end in the middle.
          if (round % 2 === 0) await expect.poll(counts, { timeout: 20_000 }).toEqual(await events())
        },
      )
    }
    await withFeed(
      () => false,
      async () => {
        await expect.poll(counts, { timeout: 20_000 }).toEqual(await events())
      },
    )
    expect(await counts()).toEqual({ 'user 0': 33, 'user 1': 34, 'user 2': 33 })
  })

  it('says that it has done what was done before', async () => {
    const one = followerPosition('again')
    expect(await one.get(client)).toBeNull()
    expect(await one.set(client, { epoch: 'a', number: 5n })).toBe(true)
    expect(await one.set(client, { epoch: 'a', number: 5n })).toBe(false)
    expect(await one.set(client, { epoch: 'a', number: 4n })).toBe(false)
    expect(await one.set(client, { epoch: 'b', number: 1n })).toBe(true)
    expect(await one.get(client)).toEqual({ epoch: 'b', number: 1n })
    expect(await storedPositions(client)).toContainEqual({ epoch: 'b', number: 1n })
    await one.forget(client)
    expect(await one.get(client)).toBeNull()
  })

  it('waits for whoever does the same work, and then has nothing to do', async () => {
    const one = followerPosition('twice')
    const other = new pg.Client({ connectionString: database.url })
    await other.connect()
    await one.set(client, { epoch: 'a', number: 1n })
    await client.query('begin')
    await one.set(client, { epoch: 'a', number: 2n })
    const waiting = one.set(other, { epoch: 'a', number: 2n })
    await client.query('commit')
    expect(await waiting).toBe(false)
    await other.end()
  })
})
