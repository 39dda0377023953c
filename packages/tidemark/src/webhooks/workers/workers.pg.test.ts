import { beforeEach, describe, expect, test } from 'vitest'
import { TidemarkError } from '../../errors.js'
import { createSignals } from '../../observability/signals.js'
import { findRedisServer } from '../../redis/embedded/find-server.js'
import type { Redis } from '../../redis/redis.js'
import { until } from '../../time/until.js'
import { entryArguments, wholeParts } from '../entry.js'
import { acceptedEvent, appendAgain, giveQueued, giveWhole, insertRows } from '../testing/give-events.js'
import { effect, some, useWorkerPlace } from '../testing/use-worker-place.js'
import type { EventHandler } from '../webhooks.js'

const program = await findRedisServer()

describe.skipIf(program === undefined)('workers', () => {
  const place = useWorkerPlace()
  const { client, server, cleanups, open, openRows, count, processed } = place
  let redis: Redis
  beforeEach(() => {
    redis = place.redis
  })
  const effects = async (): Promise<readonly { entity: string; n: number }[]> =>
    (await client.query('select entity, n from effects order by place')).rows
  const expectInOrder = async (total: number): Promise<void> => {
    const rows = await effects()
    expect(rows).toHaveLength(total)
    const last = new Map<string, number>()
    for (const { entity, n } of rows) {
      expect(n).toBe((last.get(entity) ?? -1) + 1)
      last.set(entity, n)
    }
  }
  /** Clocks differ: what is in no stream is believed to be missing once it is some seconds older than what is in one. */
  const longAgo = () => client.query(`update webhook_events set received_at = received_at - interval '10 seconds'`)
  const pending = async (): Promise<number> =>
    Number(((await redis.command(['XPENDING', 'webhooks:events', 'tidemark'])) as unknown[])[0])

  test('HOOK-1, C7: events of the stream take effect once, in the order of their entities, and leave nothing behind', async () => {
    const events = await giveQueued(client, redis, some(300, 20))
    await appendAgain(redis, events.slice(0, 100))
    const { workers } = await open({ on: { 'contact.created': effect } })
    await workers.idle()
    await expectInOrder(300)
    expect(await count(`webhook_events where status = 'processed' and attempts = 1`)).toBe(300)
    expect(await redis.command(['XLEN', 'webhooks:events'])).toBe(0)
    expect(await pending()).toBe(0)
  })

  test('HOOK-1: an event that is in the stream only gets its row together with its effect', async () => {
    await giveWhole(redis, some(60, 7))
    const { workers } = await open({ on: { 'contact.created': effect } })
    await workers.idle()
    await expectInOrder(60)
    expect(await count(`webhook_events where status = 'processed' and raw <> ''`)).toBe(60)
  })

  test('without Redis events are handled from their rows', async () => {
    await insertRows(client, some(120, 9).map(acceptedEvent), false)
    const { workers } = await openRows({ on: { 'contact.created': effect } })
    await processed(120)
    await workers.idle()
    await expectInOrder(120)
  })

  test.each(['stream', 'rows'])(
    'HOOK-2: a failed event holds up its own lane only, and that goes on in order (%s)',
    async (kind) => {
      const failures = new Map<unknown, number>()
      const others: string[] = []
      const flaky: EventHandler = async (event, context) => {
        await effect(event, context)
        if (event.data['entity'] !== 'e0') return void others.push(event.id)
        const seen = failures.get(event.id) ?? 0
        failures.set(event.id, seen + 1)
        if (event.data['n'] === 1 && seen < 3) throw new Error('not yet')
      }
      if (kind === 'rows') await insertRows(client, some(80, 8).map(acceptedEvent), false)
      else await giveQueued(client, redis, some(80, 8))
      await (kind === 'rows' ? openRows : open)({ on: { 'contact.created': flaky } })
      await processed(80)
      await expectInOrder(80)
      const [row] = (await client.query(`select attempts from webhook_events where attempts > 1`)).rows
      expect(row.attempts).toBe(4)
      if (kind === 'stream') await until(async () => (await pending()) === 0)
    },
  )

  test('R67, C8, C27: what fails too often is a dead letter with its stack, and its lane goes on', async () => {
    const signals = createSignals()
    await giveQueued(client, redis, some(6, 2))
    const fails: EventHandler = async (event, context) => {
      await effect(event, context)
      if (event.data['entity'] === 'e0' && event.data['n'] === 1) throw new Error('postgres://me:secret@db/x says no')
    }
    await open({ on: { 'contact.created': fails }, settings: { maxAttempts: 3 }, signals })
    await processed(5)
    const [dead] = await until(async () => {
      const { rows } = await client.query(`select * from webhook_events where status = 'dead'`)
      return rows.length > 0 ? rows : undefined
    })
    expect(dead).toMatchObject({ dead_reason: 'attempts', attempts: 3, next_attempt_at: null })
    expect(dead.error).toMatch(/postgres:\/\/me:\*\*\*@db\/x says no\n\s+at /)
    const letters = (await until(async () => {
      const found = (await redis.command(['XRANGE', 'webhooks:errors', '-', '+'])) as [string, string[]][]
      return found.length > 0 ? found : undefined
    })) as [string, string[]][]
    expect(letters).toHaveLength(1)
    expect(letters[0]![1]).toEqual(expect.arrayContaining([dead.id, 'attempts']))
    await until(() => signals.recent().some(({ name }) => name === 'webhooks.dead'))
    expect((await effects()).filter(({ entity }) => entity === 'e0')).toEqual([
      { entity: 'e0', n: 0 },
      { entity: 'e0', n: 2 },
    ])
  })

  test('an event that is refused is a dead letter at once', async () => {
    await giveQueued(client, redis, some(1, 1))
    const refuses: EventHandler = async () => {
      throw new TidemarkError('TM_WEBHOOKS_REFUSED', { reason: 'there is no such listing' })
    }
    await open({ on: { 'contact.created': refuses } })
    await until(async () => (await count(`webhook_events where dead_reason = 'refused' and attempts = 1`)) === 1)
  })

  test('an event that nobody handles is done, or a dead letter where that is wanted', async () => {
    await giveQueued(client, redis, some(1, 1, { type: 'note.created' }))
    const { workers } = await open({})
    await processed(1)
    await workers.stop()
    await giveQueued(client, redis, some(1, 1, { type: 'note.created' }))
    await open({ settings: { unhandled: 'dead' } })
    await until(async () => (await count(`webhook_events where dead_reason = 'no_handler'`)) === 1)
  })

  test('a handler that does not end is given up, and its transaction with it', async () => {
    await giveQueued(client, redis, some(2, 2))
    const hangs: EventHandler = async (event, context) => {
      await effect(event, context)
      if (event.data['entity'] === 'e0' && context.attempt === 1) await context.db.query('select pg_sleep(60)')
    }
    await open({ on: { 'contact.created': hangs }, settings: { handlerTimeoutMs: 300 } })
    await processed(2)
    expect(await effects()).toHaveLength(2)
    const { rows } = await client.query(`select attempts, error from webhook_events where attempts = 2`)
    expect(rows[0].error).toMatch(/did not finish within 300 ms/)
  })

  test('F12: quick events share a transaction, and one that fails takes nothing of the others along', async () => {
    const transactions = new Map<string, number>()
    const quick: EventHandler = async (event, context) => {
      const { rows } = await context.db.query<{ xid: string }>('select pg_current_xact_id()::text as xid')
      transactions.set(rows[0]!.xid, (transactions.get(rows[0]!.xid) ?? 0) + 1)
      await effect(event, context)
      if (event.data['entity'] === 'e5' && event.data['n'] === 20 && context.attempt === 1) await context.db.query('select 1 / 0')
    }
    await giveQueued(client, redis, some(400, 10))
    await open({ on: { 'contact.created': quick }, settings: { quickMs: 1_000 } })
    await processed(400)
    await expectInOrder(400)
    expect(Math.max(...transactions.values())).toBeGreaterThan(1)
  })

  test('F13: a slow handler holds up its own entity only', async () => {
    const startedAt = performance.now()
    let slowEnded = Number.POSITIVE_INFINITY
    let othersEnded = 0
    let release: () => void = () => undefined
    const slow = new Promise<void>((resolve) => {
      release = resolve
    })
    const handler: EventHandler = async (event, context) => {
      await effect(event, context)
      if (event.data['entity'] === 'e0') {
        if (event.data['n'] === 0) await slow
        slowEnded = performance.now() - startedAt
      } else {
        othersEnded++
        if (othersEnded === 190) release()
      }
    }
    await giveQueued(client, redis, some(200, 20))
    await open({ on: { 'contact.created': handler } })
    await processed(200)
    expect(othersEnded).toBeGreaterThanOrEqual(190)
    expect(slowEnded).toBeLessThan(Number.POSITIVE_INFINITY)
    await expectInOrder(200)
  })

  test('F4: after FLUSHALL everything that is not done is done once, in order', async () => {
    let isOpen = false
    const gated: EventHandler = async (event, context) => {
      await effect(event, context)
      if (!isOpen) throw new Error('not yet')
    }
    await giveQueued(client, redis, some(50, 5))
    await open({ on: { 'contact.created': gated }, settings: { held: 10, batch: 5, maxAttempts: 1_000 } })
    await until(async () => (await count(`webhook_events where status = 'failed'`)) >= 5)
    await redis.command(['FLUSHALL'])
    await giveQueued(
      client,
      redis,
      some(5, 5).map((event) => ({ ...event, n: 10 })),
    )
    isOpen = true
    await processed(55)
    await expectInOrder(55)
  })

  test('F5: entries that come back after they were acknowledged have no second effect', async () => {
    const events = await giveQueued(client, redis, some(40, 4))
    const { workers } = await open({ on: { 'contact.created': effect } })
    await workers.idle()
    await appendAgain(redis, events)
    await until(async () => (await redis.command(['XLEN', 'webhooks:events'])) === 0)
    await expectInOrder(40)
  })

  test('soundness 27: a worker whose partition was taken commits nothing', async () => {
    await giveQueued(client, redis, some(1, 1))
    const { workers } = await open({ on: { 'contact.created': effect } })
    await processed(1)
    // Somebody else has the lease and the next epoch, and this worker has not heard of it.
    await redis.command(['SET', '{webhooks:events}:lease', 'somebody'])
    await client.query(`update tidemark.webhook_partitions set epoch = epoch + 1, owner = 'somebody'`)
    await giveQueued(client, redis, some(1, 1, { data: { late: true } }))
    await until(() => workers.state.owned.length === 0)
    expect(await count('effects')).toBe(1)
    await redis.command(['DEL', '{webhooks:events}:lease'])
    await processed(2)
    expect(await count('effects')).toBe(2)
    expect(await count('webhook_events where attempts > 1')).toBe(0)
  })

  test('soundness 28: what waited in Postgres goes through the stream in order, and the intake is let back', async () => {
    await insertRows(client, some(700, 10).map(acceptedEvent), false)
    await client.query('insert into tidemark.webhook_partitions (partition, spooling) values (0, true)')
    const { workers } = await open({ on: { 'contact.created': effect } })
    await processed(700)
    await workers.idle()
    await expectInOrder(700)
    await until(async () => (await count('tidemark.webhook_partitions where not spooling')) === 1)
  })

  test('soundness 28: where order is waived events are handled from their rows while Redis is away, once, and then from it again', async () => {
    const settings = { whenRedisIsDown: 'handle', rowsAfterMs: 200 } as const
    const { workers } = await open({ on: { 'contact.created': effect }, settings })
    await giveQueued(client, redis, some(20, 4))
    await processed(20)
    server.signal('SIGSTOP')
    try {
      await client.query('update tidemark.webhook_partitions set spooling = true')
      await insertRows(client, some(40, 4, { type: 'contact.created' }).slice(20).map(acceptedEvent), false)
      await processed(40)
    } finally {
      server.signal('SIGCONT')
    }
    await until(() => redis.state === 'up')
    await until(async () => (await count('tidemark.webhook_partitions where not spooling')) === 1, { timeoutMs: 20_000 })
    await giveQueued(client, redis, some(60, 4).slice(40))
    await processed(60)
    await workers.idle()
    await expectInOrder(60)
    expect(await count('(select event from effects group by event having count(*) > 1) as twice')).toBe(0)
  })

  test('a row that never got into the stream is taken up', async () => {
    await giveQueued(client, redis, some(3, 3))
    await insertRows(client, [acceptedEvent({ entity: 'orphan', n: 0 })], false)
    await longAgo()
    await open({ on: { 'contact.created': effect }, settings: { sweepAfterMs: 50 } })
    await until(async () => (await count('effects')) === 4, { timeoutMs: 40_000 })
  })

  test('F18: a worker that stops gives its partitions back at once, and the next one goes on', async () => {
    await giveQueued(client, redis, some(400, 10))
    const slow: EventHandler = async (event, context) => {
      await effect(event, context)
      await context.db.query('select pg_sleep(0.005)')
    }
    const first = await open({ on: { 'contact.created': slow }, settings: { leaseMs: 60_000, heartbeatMs: 300 } })
    await until(async () => (await count('effects')) > 20)
    const startedAt = performance.now()
    await first.workers.stop()
    expect(performance.now() - startedAt).toBeLessThan(30_000)
    await open({ on: { 'contact.created': effect }, settings: { leaseMs: 60_000, heartbeatMs: 300 } })
    await processed(400)
    await expectInOrder(400)
    expect(await count('webhook_events where claims > 0')).toBe(0)
  })

  test('partitions are shared out evenly, and taken over from a worker that is no longer heard of', async () => {
    const settings = { heartbeatMs: 200, leaseMs: 800 }
    const one = await open({ partitions: 4, settings })
    await until(() => one.workers.state.owned.length === 4)
    const two = await open({ partitions: 4, settings })
    await until(() => one.workers.state.owned.length === 2 && two.workers.state.owned.length === 2, { timeoutMs: 20_000 })
    await one.workers.stop()
    await until(() => two.workers.state.owned.length === 4, { timeoutMs: 20_000 })
  })

  test.each(['which it had', 'that it takes up'])(
    'F6: while Postgres refuses, events of a partition %s wait and none is blamed',
    async (kind) => {
      const signals = createSignals()
      const options = { on: { 'contact.created': effect }, signals }
      if (kind === 'which it had') await (await open(options)).workers.idle()
      await client.query('revoke all on webhook_events from tidemark_app')
      cleanups.push(() => client.query('grant select, insert, update, delete on webhook_events to tidemark_app'))
      await giveQueued(client, redis, some(30, 3))
      if (kind === 'that it takes up') await open(options)
      await until(() => signals.recent().some(({ name }) => name === 'webhooks.paused'))
      await client.query('grant select, insert, update, delete on webhook_events to tidemark_app')
      await processed(30)
      await expectInOrder(30)
      expect(await count('webhook_events where attempts > 1')).toBe(0)
    },
  )

  test('entries that somebody cut off while they were held are counted and told of', async () => {
    const signals = createSignals()
    await giveQueued(client, redis, some(5, 5))
    await redis.command(['XGROUP', 'CREATE', 'webhooks:events', 'tidemark', '0'])
    await redis.command(['XREADGROUP', 'GROUP', 'tidemark', 'gone', 'COUNT', 5, 'STREAMS', 'webhooks:events', '>'])
    await redis.command(['XTRIM', 'webhooks:events', 'MAXLEN', 2])
    await longAgo()
    await open({ on: { 'contact.created': effect }, signals, settings: { sweepAfterMs: 50 } })
    await until(() => signals.recent().find(({ name }) => name === 'webhooks.deleted'))
    await until(async () => (await count('effects')) === 5, { timeoutMs: 40_000 })
    expect(await pending()).toBe(0)
  })

  test('what is no event is moved to where people look, with all that it holds', async () => {
    await redis.command(['XADD', 'webhooks:events', '*', 'provider', 'somebody', 'note', 'else'])
    await giveQueued(client, redis, some(1, 1))
    await open({ on: { 'contact.created': effect } })
    await processed(1)
    const [[, fields]] = (await until(async () => {
      const found = (await redis.command(['XRANGE', 'webhooks:errors', '-', '+'])) as [string, string[]][]
      return found.length > 0 ? found : undefined
    })) as [[string, string[]]]
    expect(fields).toEqual(expect.arrayContaining(['foreign', 'somebody', 'note', 'else']))
    await until(async () => (await redis.command(['XLEN', 'webhooks:events'])) === 0)
  })

  test('an event that Postgres cannot hold is a dead letter, and holds up nobody', async () => {
    const bad = acceptedEvent({ entity: 'bad', n: 0 })
    const envelope = Buffer.from(bad.envelope!.toString().replace('"n":0', '"n":"\\u0000"'))
    await redis.command(['XADD', 'webhooks:events', '*', ...entryArguments(wholeParts({ ...bad, envelope }, 1))])
    await giveWhole(redis, some(4, 4))
    await open({ on: { 'contact.created': effect } })
    await processed(4)
    await until(async () => (await count(`webhook_events where dead_reason = 'unparseable' and raw <> ''`)) === 1)
  })

  test('F22: nothing is left behind: no entry, nothing that is held, no name of a consumer', async () => {
    const { workers } = await open({ on: { 'contact.created': effect } })
    await giveQueued(client, redis, some(5, 5))
    await processed(5)
    await workers.idle()
    expect([await pending(), await redis.command(['XLEN', 'webhooks:events'])]).toEqual([0, 0])
    await workers.stop()
    expect(await redis.command(['XINFO', 'CONSUMERS', 'webhooks:events', 'tidemark'])).toEqual([])
  })
})
