import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPools } from '../../postgres/pool/pools.js'
import type { Pools } from '../../postgres/postgres.js'
import { createRedis } from '../../redis/create-redis.js'
import { findRedisServer } from '../../redis/embedded/find-server.js'
import { bootstrappedTemplate } from '../../schema/testing/bootstrapped-template.js'
import { type FeedWitness, witness } from '../../testing/feed/feed-witness.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { useRedis } from '../../testing/redis/use-redis.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import { columnValue } from '../feed.js'
import { installOutbox } from '../sources/outbox/install-outbox.js'
import type { FanOut } from './fan-out.js'
import { createFanOut } from './open-fan-out.js'
import { outboxSources } from './outbox-sources.js'

const program = await findRedisServer()

describe.skipIf(program === undefined)('nodes on one outbox', () => {
  const database = useDatabase({ template: bootstrappedTemplate })
  const client = useClient(database)
  const redis = useRedis()
  const cleanups = useCleanups()
  let pools: Pools
  const tables = [{ schema: 'public', table: 'things' }]

  beforeAll(async () => {
    await client.query('create table things (id bigint generated always as identity primary key, n int not null)')
    pools = createPools({ url: database.url })
  })
  afterAll(async () => {
    await pools?.stop()
  })

  const node = async (): Promise<{ readonly fanOut: FanOut; readonly seen: FeedWitness }> => {
    const connect = () => createRedis({ url: redis.url, retryMaxMs: 100 })
    const shared = await connect()
    const install = async () => {
      const owner = new pg.Client({ connectionString: database.url })
      await owner.connect()
      await installOutbox(owner, tables)
      await owner.end()
    }
    const sources = outboxSources({
      pool: pools.primary,
      tables,
      name: 'shared',
      maxSilenceMs: 600,
      install,
      listen: { url: database.url },
    })
    const fanOut = createFanOut({ sources, redis: { redis: shared, connect }, maxSilenceMs: 600, replayWindowMs: 500 })
    const seen = witness(fanOut.source)
    cleanups.push(async () => {
      await seen.stop()
      await shared.stop()
    })
    return { fanOut, seen }
  }

  const numbers = ({ seen }: { readonly seen: FeedWitness }): number[] =>
    seen.events.flatMap((event) =>
      event.type === 'transaction' ? event.changes.map(({ relation, new: row }) => Number(columnValue(relation, row, 'n'))) : [],
    )

  test('FEED-2: one reads, the other tails; when the reader goes, the other goes on with every row in order', async () => {
    const first = await node()
    await until(() => first.fanOut.state().role === 'reading' && first.fanOut.state().streamEpoch)
    const second = await node()
    await until(() => second.fanOut.state().role === 'tailing' && second.seen.resets.length > 0)
    const written: number[] = []
    const write = async (count: number) => {
      for (let i = 0; i < count; i++) {
        written.push(written.length)
        await client.query('insert into things (n) values ($1)', [written.length - 1])
      }
    }
    await write(30)
    for (const each of [first, second]) {
      await until(() => numbers(each).length >= written.length)
      expect(numbers(each)).toEqual(written)
    }
    const at = performance.now()
    await until(() => second.seen.freshAsOf > at)
    await first.seen.stop()
    await until(() => second.fanOut.state().role === 'reading', { timeoutMs: 15_000 })
    await write(30)
    await until(() => numbers(second).length >= written.length)
    expect(numbers(second)).toEqual(written)
    expect(second.seen.resets.map(({ reason }) => reason)).toEqual(['start'])
    // What is read and past the window does not stay in the database.
    await until(async () => (await client.query('select from tidemark.feed_outbox')).rowCount === 0, { timeoutMs: 15_000 })
  })

  test('S7: a reader that says nothing any more is replaced', async () => {
    const first = await node()
    await until(() => first.fanOut.state().role === 'reading' && first.fanOut.state().streamEpoch)
    const second = await node()
    await until(() => second.fanOut.state().role === 'tailing' && second.seen.resets.length > 0)
    await client.query(
      `update tidemark.feed_outbox_readers set holder = 'somebody who is dead', seen_at = now() - interval '1 minute'`,
    )
    await until(() => [first, second].some(({ fanOut }) => fanOut.state().role === 'reading' && fanOut.state().streamEpoch))
    await client.query('insert into things (n) values (-7)')
    for (const each of [first, second]) await until(() => numbers(each).includes(-7), { timeoutMs: 15_000 })
  })
})
