import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../../../observability/observability.js'
import { systemClock } from '../../../time/clock.js'
import { until } from '../../../time/until.js'
import { columnValue, type FeedEvent } from '../../feed.js'
import { loadClient } from './load-client.js'
import { runSession } from './realtime-session.js'
import type { SupabaseSource, SupabaseSourceOptions } from './supabase.js'
import { createSupabaseSource } from './supabase-source.js'
import { createRecordedRealtime, type RecordedRealtime } from './testing/recorded-realtime.js'

const key = 'eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.x'
const tables = [
  { schema: 'public', table: 'chat_messages' },
  { schema: 'public', table: 'chat_sessions' },
]

let realtime: RecordedRealtime
let ends: (() => Promise<unknown>)[] = []

beforeEach(async () => {
  realtime = await createRecordedRealtime()
})
afterEach(async () => {
  for (const end of ends.reverse()) await end()
  ends = []
  await realtime.close()
})

interface Reading {
  readonly source: SupabaseSource
  readonly events: FeedEvent[]
  /** Kinds and reasons, in short. */
  told(): string[]
}

const follow = (options: Partial<SupabaseSourceOptions> = {}): Reading => {
  const source = createSupabaseSource({ url: realtime.url, key, tables, ...options })
  const abort = new AbortController()
  const events: FeedEvent[] = []
  const read = async () => {
    for await (const event of source.events(abort.signal)) events.push(event)
  }
  const reading = read()
  ends.push(async () => {
    abort.abort()
    await reading
    await source.stop()
  })
  const told = () =>
    events.map((event) => {
      if (event.type === 'reset') return event.reason
      if (event.type === 'fresh') return 'fresh'
      const [change] = event.changes
      return `${change?.kind} ${change && columnValue(change.relation, change.new ?? change.old, 'id')}`
    })
  return { source, events, told }
}

const listens = (reading: Reading, resets = 2) =>
  until(() => reading.told().filter((text) => text === 'gap' || text === 'start').length >= resets)

/** As the service wrote it. */
const insert = (id: string) =>
  `{"table":"chat_messages","type":"INSERT","record":{"id":${id},"content":"hi","created_at":"2026-11-21T07:00:00.5+00:00"},"columns":[{"name":"id","type":"int8"},{"name":"content","type":"text"},{"name":"created_at","type":"timestamptz"}],"errors":null,"schema":"public","commit_timestamp":"2026-11-21T07:00:00.512Z"}`

describe.each(['1.0.0', '2.0.0'] as const)('Supabase Realtime, version %s of its protocol', (vsn) => {
  it('gives changes as the database has them, each as a transaction of its own', async () => {
    const reading = follow({ vsn })
    await listens(reading)
    realtime.push(insert('9007199254740993'))
    realtime.push(
      `{"table":"chat_messages","type":"DELETE","old_record":{"id":7},"columns":[{"name":"id","type":"int8"},{"name":"content","type":"text"}],"errors":null,"schema":"public","commit_timestamp":"2026-11-21T07:00:01Z"}`,
    )
    await until(() => reading.events.length >= 4)
    expect(reading.told()).toEqual(['start', 'gap', 'insert 9007199254740993', 'delete 7'])
    const [first, second] = reading.events.filter((event) => event.type === 'transaction')
    expect(first).toMatchObject({ last: true, firstOrdinal: 0, xid: 0n, committedAt: new Date('2026-11-21T07:00:00.512Z') })
    expect(first!.changes[0]!.new).toEqual(['9007199254740993', 'hi', '2026-11-21 07:00:00.5+00'])
    expect(second!.position.number).toBe(first!.position.number + 1n)
    expect(second!.position.epoch).toBe(first!.position.epoch)
    // Two bindings, one for each table.
    expect(realtime.joins[0]!.payload).toMatchObject({
      config: { postgres_changes: tables.map((table) => ({ event: '*', ...table })) },
    })
  })

  it('tells a gap when the connection was lost, and again when it is back', async () => {
    const reading = follow({ vsn })
    await listens(reading)
    realtime.cut()
    // Lost, subscribed again, listening again.
    await listens(reading, 5)
    expect(reading.told()).toEqual(['start', 'gap', 'gap', 'gap', 'gap'])
    realtime.push(insert('2'))
    await until(() => reading.told().at(-1) === 'insert 2')
  })
})

describe('the source through Supabase Realtime', () => {
  it('promises what it can', () => {
    const { source } = follow()
    expect(source).toMatchObject({ kind: 'supabase', guarantee: 'atMostOnce' })
    source.confirm({ epoch: 'x', number: 1n })
  })

  it('tells a gap for the time between the answer and the moment when the server listens', async () => {
    realtime.system = 'none'
    const reading = follow()
    await listens(reading, 1)
    realtime.push(insert('1'))
    await until(() => reading.told().includes('insert 1'))
    realtime.send(
      'system',
      `{"message":"Subscribed to PostgreSQL","status":"ok","extension":"postgres_changes","channel":"tidemark-feed"}`,
    )
    await until(() => reading.told().at(-1) === 'gap')
    realtime.send(
      'system',
      `{"message":"Replication connection established","status":"ok","extension":"system","channel":"tidemark-feed"}`,
    )
    realtime.push(insert('2'))
    await until(() => reading.told().includes('insert 2'))
    expect(reading.told()).toEqual(['start', 'insert 1', 'gap', 'insert 2'])
  })

  it('subscribes again where the server refuses to listen, or the join', async () => {
    realtime.system = 'error'
    const reading = follow()
    await until(() => realtime.joins.length >= 2)
    realtime.answer = 'error'
    const before = realtime.joins.length
    await until(() => realtime.joins.length > before)
    realtime.answer = 'ok'
    realtime.system = 'ok'
    await until(() => realtime.joined.length === 1, { timeoutMs: 15_000 })
    realtime.push(insert('1'))
    await until(() => reading.told().at(-1) === 'insert 1', { timeoutMs: 15_000 })
    expect(reading.told().slice(0, 2)).toEqual(['start', 'gap'])
  })

  it('subscribes again where the join is not answered in time', async () => {
    realtime.answer = 'silence'
    const reading = follow({ timeoutMs: 100 })
    await until(() => realtime.joins.length >= 2)
    realtime.answer = 'ok'
    await listens(reading)
  })

  it('notices that a connection is dead', async () => {
    const reading = follow({ heartbeatMs: 50 })
    await listens(reading)
    for (const { socket } of realtime.joined) socket.removeAllListeners('message')
    await listens(reading, 5)
  })

  it('tells a gap now and then, since losses show themselves in no other way', async () => {
    const reading = follow({ reconcileEveryMs: 30 })
    await until(() => reading.told().length >= 6)
    expect(reading.told().slice(0, 6)).toEqual(['start', 'gap', 'gap', 'gap', 'gap', 'gap'])
  })

  it('drops what a slow consumer has no room for, and says so', async () => {
    let warnings = 0
    const log = { ...silentLogger, warn: () => void warnings++ }
    const source = createSupabaseSource({ url: realtime.url, key, tables, maxQueuedChanges: 5, log })
    const abort = new AbortController()
    const events = source.events(abort.signal)[Symbol.asyncIterator]()
    const first = await events.next()
    expect(first.value).toMatchObject({ type: 'reset', reason: 'start' })
    await until(() => realtime.joined.length === 1)
    for (let id = 0; id < 7; id += 1) realtime.push(insert(String(id)))
    await until(() => warnings === 1)
    const told: string[] = []
    while (told.at(-1) !== '6') {
      const { value } = await events.next()
      told.push(value?.type === 'transaction' ? String(value.changes[0]?.new?.[0]) : String(value?.type))
    }
    // A gap stood before the first of them, and was dropped with them.
    expect(told).toEqual(['reset', '5', '6'])
    abort.abort()
    await events.next()
    await source.stop()
  })

  it('tells a gap in place of a change that it cannot read', async () => {
    const reading = follow()
    await listens(reading)
    realtime.push('{"table":"chat_messages","type":"INSERT","columns":7,"record":[],"schema":{"a":1}}')
    realtime.push(insert('2'))
    await until(() => reading.told().includes('insert 2'))
    expect(reading.events.length).toBeGreaterThanOrEqual(4)
  })

  it('names what has to be installed', async () => {
    const source = createSupabaseSource({
      url: realtime.url,
      key,
      tables,
      loadPackage: async (name) => {
        if (name !== 'ws') throw new Error('not found')
      },
    })
    const events = source.events(new AbortController().signal)[Symbol.asyncIterator]()
    await expect(events.next()).rejects.toMatchObject({
      code: 'TM_FEED_DRIVER_MISSING',
      fix: 'Install it: npm install @supabase/supabase-js',
    })
    await source.stop()
  })

  it('says nothing of lag, since nothing is kept', async () => {
    const { source } = follow()
    expect(await source.lag()).toEqual({ head: null, confirmed: null, behind: 0, headroomBytes: null })
  })
})

it('leaves nothing of a session that is over with the signal of all sessions', async () => {
  realtime.answer = 'error'
  const { signal } = new AbortController()
  const parts = await loadClient((name) => import(name))
  const options = {
    url: realtime.url,
    key,
    tables,
    accessToken: undefined,
    heartbeatMs: 25_000,
    timeoutMs: 10_000,
    vsn: undefined,
  }
  const silent = { subscribed: () => undefined, changed: () => undefined }
  for (let session = 0; session < 3; session++) await runSession(parts, { ...options, clock: systemClock }, silent, signal)
  expect(getEventListeners(signal, 'abort')).toEqual([])
})
