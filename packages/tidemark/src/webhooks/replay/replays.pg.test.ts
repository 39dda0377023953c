import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { findRedisServer } from '../../redis/embedded/find-server.js'
import { bootstrappedTemplate } from '../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { useRedis } from '../../testing/redis/use-redis.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import { createRenormalise } from '../intake/renormalise.js'
import { generic } from '../providers/generic.js'
import { giveQueued } from '../testing/give-events.js'
import { createTestPool, openTestWorkers, type TestWorkersOptions } from '../testing/use-workers.js'
import type { EventHandler } from '../webhooks.js'
import { createReplays } from './replays.js'
import { ReplaySender, type SentEvent } from './send-replays.js'
import { createStoredEvents } from './stored-events.js'

const program = await findRedisServer()

describe.skipIf(program === undefined)('replays (F17)', () => {
  const database = useDatabase({ template: bootstrappedTemplate })
  const client = useClient(database)
  const server = useRedis()
  const cleanups = useCleanups()

  beforeAll(async () => {
    await client.query('create table effects (event uuid, n int, replay uuid); grant all on effects to tidemark_app')
  })

  beforeEach(async () => {
    await client.query(
      'truncate effects, webhook_events, tidemark.webhook_partitions, tidemark.webhook_workers, tidemark.webhook_replays',
    )
  })

  let isMended = false
  const handler: EventHandler = async ({ id, data }, { db, replayId }) => {
    if (data['bad'] === true && !isMended) throw new Error('the service says no')
    await db.query('insert into effects (event, n, replay) values ($1, $2, $3)', [id, data['n'], replayId ?? null])
  }
  const open = (options: Partial<TestWorkersOptions> = {}) =>
    openTestWorkers(cleanups, server.url, {
      url: database.url,
      on: { 'contact.created': handler },
      settings: { maxAttempts: 1, ...options.settings },
      ...options,
    })
  const count = async (sql: string): Promise<number> => Number((await client.query(`select count(*) as n from ${sql}`)).rows[0].n)

  const giveDead = async (dead: number, options: Partial<TestWorkersOptions> = {}) => {
    isMended = false
    const opened = await open(options)
    const given = Array.from({ length: dead + 3 }, (_each, n) => ({ entity: `e${n}`, n, data: { bad: n < dead } }))
    const events = await giveQueued(client, opened.redis, given)
    await until(async () => (await count(`webhook_events where status = 'dead'`)) === dead, { timeoutMs: 30_000 })
    await until(async () => (await count(`webhook_events where status = 'processed'`)) === 3)
    isMended = true
    return { ...opened, events, replays: createReplays(opened.pool) }
  }

  test('dead letters of a filter go through again, each once; what is done is not touched', async () => {
    const { replays } = await giveDead(12)
    expect(await replays.count({ reason: 'attempts', provider: 'generic' })).toBe(12)
    expect(await replays.count({ reason: 'refused' })).toBe(0)
    expect(await count(`webhook_events where status = 'dead'`)).toBe(12)
    const started = await replays.start({ reason: 'attempts', provider: 'generic' }, 'ada')
    expect(started).toMatchObject({ selected: 12, actor: 'ada', again: false, status: 'running' })
    await until(async () => (await replays.get(started.id))?.status === 'done')
    await until(async () => (await count(`webhook_events where status = 'processed'`)) === 15)
    expect(await count('effects')).toBe(15)
    expect(await count(`effects where replay = '${started.id}'`)).toBe(12)
    expect(await replays.get(started.id)).toMatchObject({ sent: 12, selected: 12 })
  })

  test('T10: only so many events of a replay are on their way at a time, in their order, whoever sends them', async () => {
    const { workers, replays, pool, events } = await giveDead(9)
    await workers.stop()
    await replays.start({}, 'ada')
    const done = new Set<string>()
    const limits = { partitions: [0], count: 3, most: 5, isUnderWay: ({ id }: SentEvent) => !done.has(id) }
    const sender = new ReplaySender({ pool, renormalise: undefined, worker: 'w' })
    const send = async (by: ReplaySender): Promise<readonly (number | undefined)[]> =>
      (await by.send(limits))!.map(({ id }) => events.findIndex((event) => event.id === id)).sort()
    expect(await send(sender)).toEqual([0, 1, 2])
    expect(await send(sender)).toEqual([3, 4])
    expect(await send(sender)).toEqual([])
    done.add(events[1]!.id)
    expect(await send(sender)).toEqual([5])
    expect(
      await new ReplaySender({ pool, renormalise: undefined, worker: 'w' }).send({ ...limits, partitions: [1] }),
    ).toBeUndefined()
    expect(await send(new ReplaySender({ pool, renormalise: undefined, worker: 'w' }))).toEqual([6, 7, 8])
    for (const { id } of events) done.add(id)
    // What it had found by then others have sent.
    expect(await send(sender)).toEqual([])
    expect(await sender.send(limits)).toBeUndefined()
    expect((await replays.list())[0]).toMatchObject({ status: 'done', sent: 9 })
    expect(await count(`webhook_events where status = 'accepted'`)).toBe(9)
  })

  test('a second click while the first is on its way begins nothing', async () => {
    const { replays } = await giveDead(6, { settings: { maxAttempts: 1, replayPerSecond: 2 } })
    const [one, two] = await Promise.all([replays.start({}, 'ada'), replays.start({}, 'ada')])
    expect([one.again, two.again].sort()).toEqual([false, true])
    expect(one.id).toBe(two.id)
    expect(await replays.list()).toHaveLength(1)
    await until(async () => (await count('effects')) === 9, { timeoutMs: 30_000 })
    await until(async () => (await replays.get(one.id))?.status === 'done')
  })

  test('what was processed is sent again only where that is asked for', async () => {
    const { replays, events } = await giveDead(1)
    const done = events.slice(1).map(({ id }) => id)
    expect(await replays.count({ ids: done })).toBe(0)
    expect((await replays.start({ ids: done }, 'ada')).status).toBe('done')
    const started = await replays.start({ ids: done.slice(0, 2), status: ['processed'] }, 'ada')
    await until(async () => (await replays.get(started.id))?.status === 'done')
    await until(async () => (await count('effects')) === 5)
    expect(await count('effects')).toBe(5)
  })

  test('an event that fails again is dead again, and not sent a second time', async () => {
    const { replays } = await giveDead(4)
    isMended = false
    const started = await replays.start({}, 'ada')
    await until(async () => (await replays.get(started.id))?.status === 'done')
    await until(
      async () => (await count(`webhook_events where status = 'dead' and attempts = 1 and replay_id = '${started.id}'`)) === 4,
    )
    expect(await replays.get(started.id)).toMatchObject({ sent: 4 })
  })

  test('events are understood as the code of today does; what still cannot be is dead at once', async () => {
    const { replays, events, pool } = await giveDead(2, {
      renormalise: ({ id, raw }) =>
        (JSON.parse(raw.toString()) as { data: { n: number } }).data.n === 0
          ? { unparseable: 'no' }
          : {
              type: 'contact.created',
              sourceType: 'anew',
              entity: { type: 'contact', externalId: 'anew' },
              lane: 'generic||contact|anew',
              partition: 0,
              envelope: JSON.stringify({ id, type: 'contact.created', data: { n: 77 } }),
              normaliser: 9,
            },
    })
    await replays.start({}, 'ada')
    await until(async () => (await count('effects where n = 77')) === 1)
    const shown = await createStoredEvents(pool).show(events[1]!.id)
    expect(shown).toMatchObject({ sourceType: 'anew', normaliser: 9, status: 'processed', lane: 'generic||contact|anew' })
    expect(await createStoredEvents(pool).show(events[0]!.id)).toMatchObject({
      status: 'dead',
      reason: 'unparseable',
      error: 'no',
    })
  })

  test('an event goes through with the body that an operator wrote; the body that came stays, and no signature covers the other', async () => {
    const seen: unknown[] = []
    const { replays, events, pool } = await giveDead(2, {
      renormalise: createRenormalise({ providers: [generic()] }),
      on: {
        mended: async ({ data, verified, edited }, context) => {
          seen.push({ data, verified, edited, raw: String(await context.raw()) })
        },
        'contact.created': handler,
      },
    })
    const { id } = events[0]!
    const stored = createStoredEvents(pool)
    const came = await stored.show(id)
    const edit = Buffer.from('{"event_type":"mended","big":9007199254740993}')
    for (const broken of ['', '{', `${'['.repeat(200)}${']'.repeat(200)}`])
      await expect(replays.startEdited(id, Buffer.from(broken), 'ada')).rejects.toMatchObject({ code: 'TM_WEBHOOKS_BAD_EDIT' })
    await expect(replays.startEdited('00000000-0000-4000-8000-000000000000', edit, 'ada')).rejects.toMatchObject({
      code: 'TM_WEBHOOKS_NOT_FOUND',
    })
    const [one, two] = await Promise.all([replays.startEdited(id, edit, 'ada'), replays.startEdited(id, edit, 'ada')])
    expect([one.id, one.edited, one.selected]).toEqual([two.id, true, 1])
    await until(async () => (await stored.show(id)).status === 'processed')
    expect(seen).toEqual([
      { data: { event_type: 'mended', big: '9007199254740993' }, verified: false, edited: true, raw: String(edit) },
    ])
    const after = await stored.show(id)
    expect(after).toMatchObject({ raw: came.raw, verified: came.verified, edited: true, replayId: one.id })
    expect(after.edits).toMatchObject([{ replayId: one.id, actor: 'ada', raw: String(edit) }])
    expect((await stored.list({ ids: [id] }, 1))[0]?.edited).toBe(true)
    // A plain replay means what came.
    await replays.start({ ids: [id], status: ['processed'] }, 'ada')
    await until(async () => (await stored.show(id)).edited === false && (await stored.show(id)).status === 'processed')
    expect((await stored.show(id)).edits).toHaveLength(1)
    await client.query('delete from webhook_events where id = $1', [id])
    expect(await count('tidemark.webhook_replays where event_id is not null')).toBe(0)
  })

  test('a replay that nobody works on is taken up by whoever comes', async () => {
    const { replays, workers } = await giveDead(3)
    await workers.stop()
    const pool = createTestPool(database.url, cleanups)
    const started = await createReplays(pool).start({}, 'ada')
    expect(started.sent).toBe(0)
    await open()
    await until(async () => (await replays.get(started.id).catch(() => createReplays(pool).get(started.id)))?.status === 'done')
    await until(async () => (await count('effects')) === 6)
  })
})
