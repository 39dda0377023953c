import { beforeEach, describe, expect, test } from 'vitest'
import { TidemarkError } from '../../../errors.js'
import type { Client, Pool } from '../../../postgres/postgres.js'
import { findRedisServer } from '../../../redis/embedded/find-server.js'
import type { Redis } from '../../../redis/redis.js'
import { until } from '../../../time/until.js'
import { createReplays } from '../../replay/replays.js'
import { createStoredEvents, type EventDetail } from '../../replay/stored-events.js'
import { acceptedEvent, giveQueued, insertRows } from '../../testing/give-events.js'
import { effect, some, useWorkerPlace } from '../../testing/use-worker-place.js'
import { createTestPool } from '../../testing/use-workers.js'
import type { EventHandler } from '../../webhooks.js'
import { type AttemptLine, failureOf, mostLines } from './attempt-log.js'
import { markFailed } from './event-rows.js'

const program = await findRedisServer()

test('SEC-2: of what was thrown a line keeps the code of whoever knows one, and no secret, within bounds', () => {
  const cause = new TidemarkError('TM_RESILIENCE_BREAKER_OPEN', { service: 'crm', retryAfterMs: 5 } as never)
  const failure = failureOf(new Error('postgres://me:secret@db/x says \0 no', { cause }))
  expect(failure).toMatchObject({
    outcome: 'breaker_open',
    code: 'TM_RESILIENCE_BREAKER_OPEN',
    message: 'postgres://me:***@db/x says  no',
  })
  expect(failure.stack).toMatch(/^\s+at /)
  expect(failure.stack).not.toContain('says')
  expect(failureOf(Object.assign(new Error('no'), { code: 'ECONNREFUSED' }))).toMatchObject({
    outcome: 'failed',
    code: 'ECONNREFUSED',
  })
  expect(failureOf(Object.assign(new Error('no'), { code: 'a text of any kind' })).code).toBeNull()
  expect(failureOf('x'.repeat(20_000))).toEqual({ outcome: 'failed', code: null, message: 'x'.repeat(1_000), stack: null })
})

describe.skipIf(program === undefined)('the attempts of an event', () => {
  const place = useWorkerPlace()
  const { client, database, cleanups, open, openRows, processed, count } = place
  let redis: Redis
  beforeEach(() => {
    redis = place.redis
  })
  const show = (id: string): Promise<EventDetail> => createStoredEvents(createTestPool(database.url, cleanups)).show(id)
  const lineOf = ({ attempt, outcome, replayId }: AttemptLine) => [attempt, outcome, replayId]
  const failsAt =
    (...attempts: readonly number[]): EventHandler =>
    async (event, context) => {
      await effect(event, context)
      if (attempts.includes(context.attempt)) throw new Error(`no ${context.attempt}`)
    }

  test.each(['stream', 'rows'])('R67: what fails twice and then succeeds has three lines, in order (%s)', async (kind) => {
    const events = kind === 'rows' ? some(1, 1).map(acceptedEvent) : await giveQueued(client, redis, some(1, 1))
    if (kind === 'rows') await insertRows(client, events, false)
    const { workers } = await (kind === 'rows' ? openRows : open)({ on: { 'contact.created': failsAt(1, 2) } })
    await processed(1)
    const { attemptLog, attemptsLeftOut } = await show(events[0]!.id)
    expect(attemptsLeftOut).toBe(0)
    expect(attemptLog.map(({ attempt, outcome, message, worker }) => ({ attempt, outcome, message, worker }))).toEqual([
      { attempt: 1, outcome: 'failed', message: 'no 1', worker: workers.state.name },
      { attempt: 2, outcome: 'failed', message: 'no 2', worker: workers.state.name },
      { attempt: 3, outcome: 'processed', message: null, worker: workers.state.name },
    ])
    for (const [at, { beganAt, durationMs, nextAt, stack }] of attemptLog.entries()) {
      expect(durationMs).toBeGreaterThanOrEqual(0)
      const next = attemptLog[at + 1]
      if (!next) continue
      expect(Date.parse(beganAt!)).toBeLessThanOrEqual(Date.parse(nextAt!))
      expect(Date.parse(next.beganAt!)).toBeGreaterThanOrEqual(Date.parse(nextAt!) - durationMs! - 1)
      expect(stack).toMatch(/^\s+at /)
    }
  })

  test('what succeeds at once costs one statement on its row, and none for its line', async () => {
    const pool = createTestPool(database.url, cleanups)
    const asked: string[] = []
    const told: Pool['transaction'] = (work, options) =>
      pool.transaction((db) => {
        const query: Client['query'] = (text, ...rest) => {
          if (text.includes('public.webhook_events')) asked.push(text)
          return db.query(text, ...rest)
        }
        return work(new Proxy(db, { get: (_db, name) => (name === 'query' ? query : Reflect.get(db, name)) }))
      }, options)
    const telling = new Proxy(pool, {
      get: (_pool, name) => {
        if (name === 'transaction') return told
        const value: unknown = Reflect.get(pool, name)
        return typeof value === 'function' ? value.bind(pool) : value
      },
    })
    await giveQueued(client, redis, some(1, 1))
    const { workers } = await open({ on: { 'contact.created': effect }, pool: telling, settings: { replayPerSecond: 1 } })
    await processed(1)
    await workers.stop()
    expect(asked.filter((text) => text.includes("status = 'processed'"))).toHaveLength(1)
    expect(asked.filter((text) => text.includes('attempt_log'))).toEqual([])
    expect(asked.filter((text) => /^\s*(?:update|with|insert)/.test(text))).toHaveLength(1)
  })

  test('what succeeds at once says so by its row, and keeps that when it is sent through again', async () => {
    const [event] = await giveQueued(client, redis, some(1, 1))
    const { workers, pool } = await open({ on: { 'contact.created': effect } })
    await processed(1)
    expect(await count('webhook_events where attempt_log is not null')).toBe(0)
    const first = await show(event!.id)
    expect(first.attemptLog).toMatchObject([
      { attempt: 1, outcome: 'processed', at: first.processedAt, worker: workers.state.name },
    ])

    const replay = await createReplays(pool).start({ ids: [event!.id], status: ['processed'] }, 'ada')
    await until(async () => (await count('effects')) === 2)
    const again = await until(async () => {
      const shown = await show(event!.id)
      return shown.status === 'processed' ? shown : undefined
    })
    expect(again.attemptLog.map(lineOf)).toEqual([
      [1, 'processed', null],
      [1, 'processed', replay.id],
    ])
    expect(again.attemptLog[0]).toEqual(first.attemptLog[0])
  })

  test.each(['stream', 'rows'])(
    'F12: a worker that ends while it has an event leaves a line that does not count (%s)',
    async (kind) => {
      const events = kind === 'rows' ? some(1, 1).map(acceptedEvent) : await giveQueued(client, redis, some(1, 1))
      if (kind === 'rows') await insertRows(client, events, false)
      if (kind === 'stream') {
        await redis.command(['XGROUP', 'CREATE', 'webhooks:events', 'tidemark', '0'])
        await redis.command(['XREADGROUP', 'GROUP', 'tidemark', 'gone', 'COUNT', 1, 'STREAMS', 'webhooks:events', '>'])
        await redis.command(['SADD', '{webhooks:events}:begun', events[0]!.id])
      } else await client.query(`update webhook_events set status = 'processing'`)
      await client.query(`insert into tidemark.webhook_partitions (partition, epoch, owner) values (0, 1, 'gone')`)
      await (kind === 'rows' ? openRows : open)({ on: { 'contact.created': failsAt(1) } })
      await processed(1)
      const { attemptLog, attempts } = await show(events[0]!.id)
      expect(attempts).toBe(2)
      expect(attemptLog.map(lineOf)).toEqual([
        [1, 'worker_ended', null],
        [1, 'failed', null],
        [2, 'processed', null],
      ])
      expect(attemptLog[0]).toMatchObject({ worker: 'gone', durationMs: null })
      expect(attemptLog[0]!.beganAt === null).toBe(kind === 'stream')
    },
  )

  test('a handler that does not end, and one whose statement fails, say how long it was', async () => {
    const [event] = await giveQueued(client, redis, some(1, 1))
    const fails: EventHandler = async ({ id }, { db, attempt }) => {
      await db.query(attempt === 1 ? 'select pg_sleep(60)' : 'insert into effects (event) values ($1)', [
        ...(attempt === 1 ? [] : [id]),
      ])
      await db.query('select no_such_column')
    }
    await open({ on: { 'contact.created': fails }, settings: { handlerTimeoutMs: 300, maxAttempts: 2 } })
    await until(async () => (await count(`webhook_events where status = 'dead'`)) === 1)
    const [late, failed] = (await show(event!.id)).attemptLog
    expect(late).toMatchObject({ outcome: 'failed', code: 'TM_TIME_TIMEOUT', deadReason: null })
    expect(late!.durationMs).toBeGreaterThanOrEqual(295)
    expect(failed).toMatchObject({ attempt: 2, code: 'TM_POSTGRES_QUERY', deadReason: 'attempts', nextAt: null })
  })

  test('only the last are kept, and how many were left out', async () => {
    const [event] = await giveQueued(client, redis, some(1, 1))
    const pool = createTestPool(database.url, cleanups)
    for (let attempt = 1; attempt <= mostLines + 5; attempt++) {
      await client.query('update webhook_events set attempts = attempts + 1')
      const ended = { ...failureOf(new Error('no'.repeat(2_000))), worker: 'w', durationMs: 1 }
      await pool.transaction((db) => markFailed(db, event!.id, 1, 'no', ended))
    }
    const { attemptLog, attemptsLeftOut } = await show(event!.id)
    expect(attemptsLeftOut).toBe(5)
    expect(attemptLog.map(({ attempt }) => attempt)).toEqual(Array.from({ length: mostLines }, (_each, at) => at + 6))
    expect(await count('webhook_events where octet_length(attempt_log::text) > 100000')).toBe(0)
  })
})
