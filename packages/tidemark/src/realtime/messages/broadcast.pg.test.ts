import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createFeed } from '../../feed/follow/create-feed.js'
import { createWalSource } from '../../feed/sources/wal/wal-source.js'
import { bootstrappedTemplate, testUrl } from '../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { until } from '../../time/until.js'
import { createMessageFollower } from './message-follower.js'
import type { DatabaseMessage } from './messages.js'

const database = useDatabase({ template: bootstrappedTemplate })
const admin = useClient(database)
const follower = createMessageFollower()
const told: DatabaseMessage[] = []
follower.listen({ message: (message) => told.push(message) })

let migrator: pg.Client
let feed: ReturnType<typeof createFeed>

beforeAll(async () => {
  migrator = new pg.Client({ connectionString: testUrl(database.url, 'migrator') })
  await migrator.connect()
  // Under the roles that a server has: the table is the migrator's, the log is the feed's.
  const source = createWalSource({
    target: { url: testUrl(database.url, 'feed') },
    adminTarget: { url: testUrl(database.url, 'migrator') },
    slot: { name: 'broadcast', temporary: true },
    publication: 'broadcast',
    tables: [{ schema: 'realtime', table: 'messages' }],
    replayWindowMs: 0,
    beatMs: 50,
    start: 'now',
  })
  feed = createFeed({ source, followers: [follower] })
  await feed.start()
  await until(() => Number.isFinite(feed.freshness()), { what: 'A feed' })
})

afterAll(async () => {
  await feed.stop()
  await migrator.end()
})

describe('broadcast from the database', () => {
  it('reaches listeners from whichever partition, in the order of commits, and never what was rolled back', async () => {
    await migrator.query(`select realtime.send('{"n": 1}', 'one', 'room')`)
    await migrator.query(`begin; select realtime.send('{"n": 0}', 'undone', 'room'); rollback`)
    await migrator.query(`insert into realtime.messages (topic, extension, event, payload, private, inserted_at)
      values ('room', 'broadcast', 'tomorrow', '{"n": 2}', false, (now() at time zone 'utc') + interval '1 day')`)
    await migrator.query(`select realtime.send_binary('\\x00ff', 'three', 'room', false)`)
    await until(() => told.length === 3, { what: 'Three messages' })
    expect(told.map(({ event, private: isPrivate }) => [event, isPrivate])).toEqual([
      ['one', true],
      ['tomorrow', false],
      ['three', false],
    ])
    const [first] = told
    expect(first?.payload.kind === 'json' && JSON.parse(first.payload.text)).toEqual({ n: 1, id: first?.id })
    expect(told[2]?.payload).toEqual({ kind: 'binary', bytes: Buffer.from([0, 255]) })
  })

  it('goes on over partitions that are made and dropped', async () => {
    told.length = 0
    const day = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10)
    await migrator.query(
      `create table realtime.messages_2000_01_01 partition of realtime.messages for values from ('2000-01-01') to ('2000-01-02')`,
    )
    await migrator.query(
      `create table realtime.messages_later partition of realtime.messages for values from ('${day(20)}') to ('${day(21)}')`,
    )
    await migrator.query('select tidemark.keep_realtime_messages()')
    await migrator.query(
      `insert into realtime.messages (topic, extension, event, payload, inserted_at) values ('room', 'broadcast', 'later', '{}', '${day(20)}')`,
    )
    await until(() => told.length === 1, { what: 'A message' })
    const { rows } = await admin.query(`select to_regclass('realtime.messages_2000_01_01') as old`)
    expect(rows).toEqual([{ old: null }])
  })
})
