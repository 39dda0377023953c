import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { testUrl } from '../../../packages/tidemark/src/schema/testing/bootstrapped-template.js'
import { type AppDatabase, openAppDatabase } from '../../../packages/tidemark/src/testing/app/app-database.js'
import { adminToken, secret, tokenOf } from '../../../packages/tidemark/src/testing/app/app-tokens.js'
import { untoldAnswers, type WatchedAnswers, watchAnswers } from '../../../packages/tidemark/src/testing/app/check-answers.js'
import { checkRoutes, listRoutes } from '../../../packages/tidemark/src/testing/app/check-routes.js'
import { type HttpRecorder, startHttpRecorder } from '../../../packages/tidemark/src/testing/http-recorder.js'
import { until } from '../../../packages/tidemark/src/time/until.js'
import { openReanna } from './open-reanna.js'
import { reannaRouter } from './reanna-router.js'
import type { Feedback, JournalEntry, Task, Tour, Visit } from './rows.js'

type Method = 'GET' | 'POST' | 'PUT'
type PlannedTour = Tour & { readonly visits: readonly Visit[]; readonly route_data: { readonly [name: string]: unknown } }

let database: AppDatabase
let app: Awaited<ReturnType<typeof openReanna>>
let answers: WatchedAnswers
let crm: HttpRecorder
let sms: HttpRecorder
let voice: HttpRecorder
let maps: HttpRecorder
let folder: string

const agent = tokenOf('agent123')
const stranger = tokenOf('agent999')

beforeAll(async () => {
  database = await openAppDatabase(reannaRouter)
  ;[crm, sms, voice, maps] = await Promise.all([
    startHttpRecorder(),
    startHttpRecorder(),
    startHttpRecorder(),
    startHttpRecorder(),
  ])
  folder = await mkdtemp(join(tmpdir(), 'reanna-'))
  app = await openReanna({
    database: database.urls.app,
    owner: database.urls.migrator,
    replication: database.urls.feed,
    callers: testUrl(database.urls.app, 'authenticator'),
    jwtSecret: secret,
    requestsPerHour: 100_000,
    crm: { url: crm.url, key: 'crm-key' },
    sms: { url: sms.url, key: 'sms-key' },
    voice: { url: voice.url },
    routing: { url: maps.url, key: 'maps-key' },
    folder,
    callBaseMs: 10,
    callAttempts: 4,
    breaker: { failureThreshold: 50, recoveryTimeoutMs: 100 },
  })
  answers = watchAnswers(app.server)
  app.start?.()
})

afterAll(async () => {
  await app?.stop()
  await Promise.all([crm, sms, voice, maps].map((each) => each?.stop()))
  await database?.drop()
  await rm(folder, { recursive: true, force: true })
})

afterEach(() => {
  for (const each of [crm, sms, voice, maps]) {
    each.answer(() => ({}))
    each.requests.length = 0
  }
})

const ask = async <T = Record<string, unknown>>(method: Method, path: string, body?: unknown, token: string = agent) => {
  const response = await app.server.inject({
    method,
    url: path,
    headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { payload: JSON.stringify(body) }),
  })
  return {
    status: response.statusCode,
    headers: response.headers,
    body: (response.body === '' ? undefined : response.json()) as T,
  }
}

const day = { start_time: '2026-11-23T09:00+09:30', end_time: '2026-11-23T17:00+09:30' }
const properties = [
  { address: '1 Smith Street, Darwin', square_footage: 1000, sellside_agent_id: 'sell-1', sellside_agent_name: 'Wei Chen' },
  { address: '2 Bagot Road, Darwin' },
  { address: '3 Cavenagh Street, Darwin', square_footage: 4600 },
]

const makeTour = async (more: object = {}): Promise<PlannedTour> => {
  // A map service that answers nothing that can be used: the order is the given one.
  const { status, body } = await ask<PlannedTour>('POST', '/tours', { ...day, properties, ...more })
  expect(status).toBe(201)
  return body
}

/** Of every page of two, one after the other; `meanwhile` happens after the first. */
const pages = async <T = { readonly id: string }>(
  path: string,
  name: string,
  token: string,
  meanwhile?: () => Promise<unknown>,
): Promise<T[]> => {
  const seen: T[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const answer: { status: number; body: Record<string, T[]> & { next: string | null } } = await ask(
      'GET',
      `${path}limit=2${cursor}`,
      undefined,
      token,
    )
    const { status, body } = answer
    expect([status, body[name]!.length <= 2]).toEqual([200, true])
    if (seen.length === 0) await meanwhile?.()
    seen.push(...body[name]!)
    cursor = body.next === null ? null : `&cursor=${body.next}`
  }
  return seen
}

/** Pages that go back, each in its order, as one. */
const inOrder = <T>(seen: readonly T[]): readonly T[] =>
  Array.from({ length: Math.ceil(seen.length / 2) }, (_, i) => seen.slice(2 * i, 2 * i + 2))
    .reverse()
    .flat()

const statuses = async (table: string, condition: string): Promise<readonly string[]> =>
  (
    await database.owner.query<{ status: string }>(`select status from ${table} where ${condition} order by created_at, id`)
  ).rows.map(({ status }) => status)

describe('tours', () => {
  it('S1 step 4: are planned in order, in the zone of Darwin, each visit as long as the property is large', async () => {
    const tour = await makeTour({ agent_id: 'agent123' })
    expect(tour).toMatchObject({
      agent_id: 'agent123',
      status: 'scheduled',
      start_time: '2026-11-23T09:00:00+09:30',
      end_time: '2026-11-23T17:00:00+09:30',
      time_zone: '+09:30',
    })
    expect(
      tour.visits.map(({ address, scheduled_arrival, scheduled_departure }) => [address, scheduled_arrival, scheduled_departure]),
    ).toEqual([
      ['1 Smith Street, Darwin', '2026-11-23T09:00:00+09:30', '2026-11-23T09:25:00+09:30'],
      ['2 Bagot Road, Darwin', '2026-11-23T09:40:00+09:30', '2026-11-23T10:10:00+09:30'],
      ['3 Cavenagh Street, Darwin', '2026-11-23T10:25:00+09:30', '2026-11-23T11:25:00+09:30'],
    ])
    const { body } = await ask<{ tasks: Task[] }>(
      'GET',
      `/tasks?visit_id=${tour.visits[0]!.id}&task_type=property_tour&pending=true`,
    )
    expect(body.tasks).toMatchObject([{ status: 'scheduled', scheduled_time: '2026-11-23T09:00:00+09:30' }])
  })

  it('ask the map service, and take its word for the way', async () => {
    const seconds = [
      [0, 600, 60],
      [600, 0, 60],
      [60, 60, 0],
    ]
    maps.answer(() => ({
      body: seconds.flatMap((row, originIndex) =>
        row.map((s, destinationIndex) => ({ originIndex, destinationIndex, condition: 'ROUTE_EXISTS', duration: `${s}s` })),
      ),
    }))
    const tour = await makeTour()
    expect(tour.visits.map(({ address }) => address[0])).toEqual(['1', '3', '2'])
    expect(tour.route_data).toMatchObject({ strategy: 'optimise', source: 'service' })
    expect(tour.visits[1]?.scheduled_arrival).toBe('2026-11-23T09:26:00+09:30')
    expect(maps.requests[0]).toMatchObject({
      path: '/distanceMatrix/v2:computeRouteMatrix',
      headers: { 'x-goog-api-key': 'maps-key' },
    })
  })

  it('are made also where routing fails, and say so', async () => {
    maps.answer(() => ({ status: 500 }))
    expect((await makeTour()).route_data).toMatchObject({ source: 'given', error: { code: 'SICK' } })
    const near = { latitude: -12.46, longitude: 130.84 }
    const spread = properties.map((property, i) => ({
      ...property,
      coordinates: { ...near, latitude: near.latitude + [0, 0.3, 0.1][i]! },
    }))
    const tour = await makeTour({ properties: spread, strategy: 'closest' })
    expect(tour.route_data).toMatchObject({ source: 'distance', error: { code: 'SICK' } })
    expect(tour.visits.map(({ address }) => address[0])).toEqual(['1', '3', '2'])
    const far = await makeTour({ properties: spread, strategy: 'furthest' })
    expect(far.visits.map(({ address }) => address[0])).toEqual(['2', '3', '1'])
  })

  it.each<[string, object]>([
    ['an end before the start', { end_time: '2026-11-23T08:00+09:30' }],
    ['a time without a zone', { start_time: '2026-11-23T09:00' }],
    ['a day that there is not', { start_time: '2026-02-30T09:00Z' }],
    ['an empty address', { properties: [{ address: '  ' }] }],
    ['a window outside of the tour', { properties: [{ address: 'x', window: { from: '08:00', until: '10:00' } }] }],
    ['a window that ends before it begins', { properties: [{ address: 'x', window: { from: '11:00', until: '10:00' } }] }],
    ['a zone that is none', { time_zone: 'Australia/Nowhere' }],
    ['a zone that Postgres does not know', { time_zone: 'AET' }],
    ['a zone that is another to Postgres', { time_zone: 'ACT' }],
    ['a field that nobody knows', { colour: 'red' }],
    ['a strategy that nobody knows', { strategy: 'scenic' }],
    ['a NUL', { properties: [{ address: 'a\0b' }] }],
  ])('are refused with 422 for %s', async (_what, wrong) => {
    const { status, body } = await ask('POST', '/tours', { ...day, properties, ...wrong })
    expect([status, body['code']]).toEqual([422, 'REANNA_INVALID'])
  })

  it('S1 step 8: are their agents', async () => {
    const tour = await makeTour()
    for (const path of [
      `/tours/${tour.id}`,
      `/tours/${tour.id}/journal`,
      `/property-visits/${tour.visits[0]!.id}`,
      `/property-visits/tour/${tour.id}/next`,
    ])
      expect((await ask('GET', path, undefined, stranger)).status, path).toBe(404)
    for (const [path, body] of [
      [`/tours/${tour.id}/status`, { status: 'cancelled' }],
      [`/property-visits/${tour.visits[0]!.id}/arrival`, undefined],
    ] as const)
      expect((await ask('PUT', path, body, stranger)).status, path).toBe(404)
    expect((await ask('POST', '/property-visits', { tour_id: tour.id, address: 'x' }, stranger)).status).toBe(404)
    expect((await ask('POST', '/tours', { ...day, agent_id: 'agent123' }, stranger)).status).toBe(403)
    expect((await ask('GET', '/ops/calls', undefined, agent)).status).toBe(403)
    const other = await ask<PlannedTour>('POST', '/tours', day, stranger)
    const agentsOf = async (token: string) =>
      new Set((await ask<{ tours: Tour[] }>('GET', '/tours', undefined, token)).body.tours.map(({ agent_id }) => agent_id))
    expect(await agentsOf(agent)).toEqual(new Set(['agent123']))
    expect(await agentsOf(stranger)).toEqual(new Set(['agent999']))
    expect(await agentsOf(adminToken())).toEqual(new Set(['agent123', 'agent999']))
    expect(
      (await ask('GET', `/tours/${other.body.id}`, undefined, tokenOf('x', { user_metadata: { role: 'admin' } }))).status,
    ).toBe(404)
    for (const token of ['', 'x.y.z', tokenOf('agent123', { exp: 1 }), tokenOf('agent123', { role: 'anon' })])
      expect((await ask('GET', '/tours', undefined, token)).status).toBe(401)
  })

  it('C17: go by their ids with dashes and without, and by no others', async () => {
    const { id } = await makeTour()
    expect((await ask('GET', `/tours/${id.replaceAll('-', '').toUpperCase()}`)).body).toMatchObject({ id })
    for (const wrong of ['1', `${id}0`, "' or true --"])
      expect((await ask('GET', `/tours/${encodeURIComponent(wrong)}`)).status, wrong).toBe(404)
  })

  it('are listed page by page, each once', async () => {
    await database.owner.query(
      `insert into tours (agent_id, start_time, end_time, status)
         select 'pager', timestamptz '2026-01-05T09:00:00.123456Z' + (n / 2) * interval '1 microsecond', '2026-01-06Z', 'scheduled'
           from generate_series(1, 7) n`,
    )
    await database.owner.query(
      `with t as (select id from tours where agent_id = 'pager' order by id limit 1),
            v as (insert into property_visits (tour_id, address, scheduled_arrival, scheduled_departure, status)
              select id, 'Stop ' || n, timestamptz '2026-01-05T09:00:00.123456Z' + (n / 2) * interval '1 microsecond', '2026-01-06Z', 'scheduled'
                from t, generate_series(1, 7) n returning id, scheduled_arrival),
            k as (insert into tasks (visit_id, task_type, status, scheduled_time)
              select id, 'feedback_collection', 'scheduled', scheduled_arrival from v returning id, scheduled_time)
       insert into feedback (task_id, raw_feedback, processed_feedback, feedback_source, timestamp) select id, 'x', 'x', 'app', scheduled_time from k`,
    )
    const pager = tokenOf('pager')
    const once = async (path: string, name: string): Promise<number[]> => {
      const ids = (await pages(path, name, pager)).map(({ id }) => id)
      return [ids.length, new Set(ids).size]
    }
    expect(await once('/tours?', 'tours')).toEqual([7, 7])
    expect(await once('/property-visits?', 'visits')).toEqual([7, 7])
    expect(await once('/tasks?task_type=feedback_collection&', 'tasks')).toEqual([7, 7])
    expect(await once('/feedback?unsent=true&', 'feedback')).toEqual([7, 7])
  })

  it('each with its own stops on a board, also what is planned for later that day while it is read', async () => {
    const tours = (n: number, second: number) =>
      database.owner.query(
        `insert into tours (agent_id, start_time, end_time, status)
           select 'boarder', timestamptz '2026-01-05T09:00:00.123456Z' + $2 * interval '1 second', '2026-01-06Z', 'scheduled'
             from generate_series(1, $1)`,
        [n, second],
      )
    await tours(5, 0)
    await database.owner.query(
      `insert into property_visits (tour_id, address, scheduled_arrival, scheduled_departure, status)
         select id, id::text, start_time, end_time, 'scheduled' from tours where agent_id = 'boarder'`,
    )
    const seen = await pages<{ id: string; stops: { address: string }[] }>(
      '/board?day=2026-01-05&',
      'tours',
      tokenOf('boarder'),
      () => tours(1, 1),
    )
    expect([seen.length, new Set(seen.map(({ id }) => id)).size]).toEqual([6, 6])
    expect(seen.map(({ id, stops }) => stops.map(({ address }) => address === id))).toEqual([...Array(5).fill([true]), []])
  })

  it('with all that was said at a stop, which comes with the stop', async () => {
    const { visits } = await makeTour()
    const say = (message: string) => ask<Feedback>('POST', '/feedback/sms', { visit_id: visits[0]!.id, message })
    for (const words of ['one', 'two', 'three']) await say(words)
    const seen = await pages<Feedback>(`/feedback?visit_id=${visits[0]!.id}&`, 'feedback', agent, () => say('four'))
    expect(seen.map(({ raw_feedback }) => raw_feedback)).toEqual(['one', 'two', 'three', 'four'])
    expect(await pages(`/feedback?visit_id=${visits[0]!.id}&`, 'feedback', stranger)).toEqual([])
    const { body } = await ask('GET', `/property-visits/${visits[0]!.id}`)
    expect(body).toMatchObject({ id: visits[0]!.id, tasks: [{}, {}], tasks_next: null, feedback_next: null })
    expect(body['feedback']).toEqual(seen)
  })

  it('a journal from its latest page back, each in its order, whatever comes to it meanwhile', async () => {
    const tour = await makeTour()
    const isSynced = async () => (await ask<Tour>('GET', `/tours/${tour.id}`)).body.crm_sync_status === 'synced'
    await until(isSynced)
    const path = `/tours/${tour.id}/journal?`
    const whole = (await ask<{ entries: JournalEntry[] }>('GET', path)).body.entries
    const arrive = () => ask('PUT', `/property-visits/${tour.visits[0]!.id}/arrival`)
    const seen = await pages<JournalEntry>(path, 'entries', agent, arrive)
    expect([whole.length > 6, inOrder(seen)]).toEqual([true, whole])
    await until(isSynced)
    // A tour out of the file: its rows tell, and many at the same moment.
    await database.owner.query(
      `with f as (insert into feedback (task_id, raw_feedback, feedback_source, timestamp)
         select k.id, 'x', 'app', '2026-11-23Z' from tasks k join property_visits v on v.id = k.visit_id
          where v.tour_id = $1 and k.task_type = 'property_tour' returning id)
       update property_visits set actual_arrival = '2026-11-23Z', actual_departure = '2026-11-23Z' where tour_id = $1`,
      [tour.id],
    )
    await database.owner.query('delete from tour_journal where tour_id = $1', [tour.id])
    const told = (await ask<{ entries: JournalEntry[] }>('GET', path)).body.entries
    expect(told.map(({ entry }) => entry)).toEqual([
      ...Array(3).fill('arrived'),
      ...Array(3).fill('completed'),
      ...Array(3).fill('received'),
    ])
    expect(inOrder(await pages<JournalEntry>(path, 'entries', agent))).toEqual(told)
  })

  it.each([
    '/tours',
    '/board',
    '/property-visits',
    '/tasks',
    '/tours/:id/journal',
    '/ops/breakers',
    '/ops/webhooks',
    '/ops/webhooks/replays',
    '/ops/alerts',
    '/ops/errors',
    '/ops/calls',
  ])('from %s by no other cursors and no other numbers', async (path) => {
    const { id } = await makeTour()
    for (const query of [
      'cursor=x',
      `cursor=${Buffer.from('2026-01-05T00:00:00Z x').toString('base64url')}`,
      'limit=0',
      'limit=1001',
    ]) {
      const { status, body } = await ask('GET', `${path.replace(':id', id)}?${query}`, undefined, adminToken())
      expect([status, body['code']], query).toEqual([422, 'REANNA_INVALID'])
    }
  })
})

describe('a day', () => {
  it('S1 steps 5 and 6: arrivals and departures take tasks, tour and caches along', async () => {
    const tour = await makeTour()
    const [first, second] = tour.visits
    await until(async () => (await ask('GET', `/tours/${tour.id}`)).headers['x-cache'] === 'HIT')
    expect((await ask<Visit>('GET', `/property-visits/tour/${tour.id}/next`)).body.id).toBe(first!.id)
    expect((await ask('GET', `/property-visits/tour/${tour.id}/current`)).status).toBe(404)
    expect(await ask('PUT', `/property-visits/${first!.id}/departure`)).toMatchObject({
      status: 409,
      body: { code: 'REANNA_ILLEGAL_MOVE' },
    })

    const arrival = await ask<Visit>('PUT', `/property-visits/${first!.id}/arrival`, { at: '2026-11-23T09:03:12+09:30' })
    expect(arrival).toMatchObject({ status: 200, body: { status: 'arrived', actual_arrival: '2026-11-23T09:03:12+09:30' } })
    expect(await statuses('tasks', `visit_id = '${first!.id}'`)).toEqual(['in_progress'])
    expect((await ask('GET', `/tours/${tour.id}`)).body['status']).toBe('in_progress')
    expect((await ask<Visit>('GET', `/property-visits/tour/${tour.id}/current`)).body.id).toBe(first!.id)
    // Once more changes nothing.
    expect((await ask('PUT', `/property-visits/${first!.id}/arrival`)).body['actual_arrival']).toBe('2026-11-23T09:03:12+09:30')

    const early = await ask('PUT', `/property-visits/${first!.id}/departure`, { at: '2026-11-23T09:00+09:30' })
    expect(early.status).toBe(422)
    const departure = await ask<Visit>('PUT', `/property-visits/${first!.id}/departure`, { at: '2026-11-23T09:40+09:30' })
    expect(departure.body).toMatchObject({ status: 'completed', actual_departure: '2026-11-23T09:40:00+09:30' })
    const { body } = await ask<{ tasks: Task[] }>('GET', `/tasks?visit_id=${first!.id}`)
    expect(body.tasks.map(({ task_type, status }) => [task_type, status])).toEqual([
      ['property_tour', 'completed'],
      ['feedback_collection', 'scheduled'],
    ])
    expect((await ask<Visit>('GET', `/property-visits/tour/${tour.id}/next`)).body.id).toBe(second!.id)
  })

  it('ends once every visit has, or by force', async () => {
    const tour = await makeTour()
    const [first, second, third] = tour.visits
    const put = (status: string, force?: boolean) => ask('PUT', `/tours/${tour.id}/status`, { status, ...(force && { force }) })
    expect((await put('completed')).body['code']).toBe('REANNA_ILLEGAL_MOVE')
    expect((await put('in_progress')).status).toBe(200)
    expect(await put('completed')).toMatchObject({ status: 409, body: { code: 'REANNA_OPEN_VISITS' } })
    await ask('PUT', `/property-visits/${first!.id}/arrival`)
    await ask('PUT', `/property-visits/${second!.id}/status`, { status: 'cancelled' })
    expect((await put('completed', true)).body['status']).toBe('completed')
    expect(await statuses('property_visits', `id = '${first!.id}'`)).toEqual(['completed'])
    expect(await statuses('property_visits', `id = '${third!.id}'`)).toEqual(['skipped'])
    expect(await statuses('tasks', `visit_id in ('${first!.id}')`)).toEqual(['completed'])
    expect(await statuses('tasks', `visit_id in ('${second!.id}', '${third!.id}')`)).toEqual(['cancelled', 'cancelled'])
    expect((await put('in_progress')).status).toBe(409)
    expect((await ask('POST', '/property-visits', { tour_id: tour.id, address: 'x' })).status).toBe(409)
    expect((await put('paused')).status).toBe(422)
  })

  it('takes open visits and tasks along when it is cancelled', async () => {
    const tour = await makeTour()
    const [first, second] = tour.visits
    await ask('PUT', `/property-visits/${first!.id}/arrival`)
    await ask('PUT', `/property-visits/${first!.id}/departure`)
    await ask('PUT', `/property-visits/${second!.id}/arrival`)
    expect((await ask('PUT', `/tours/${tour.id}/status`, { status: 'cancelled' })).status).toBe(200)
    const visits = (await ask<{ visits: Visit[] }>('GET', `/property-visits?tour_id=${tour.id}`)).body.visits
    expect(visits.map(({ status }) => status)).toEqual(['completed', 'cancelled', 'cancelled'])
    const tasks = await statuses('tasks', `visit_id in (select id from property_visits where tour_id = '${tour.id}')`)
    expect(tasks.toSorted()).toEqual(['cancelled', 'cancelled', 'cancelled', 'completed'])
  })

  it('takes one more stop, after the last or when it is said', async () => {
    const tour = await makeTour()
    const added = await ask<Visit>('POST', '/property-visits', {
      tour_id: tour.id,
      address: '4 Knuckey Street',
      square_footage: 2000,
    })
    expect(added).toMatchObject({
      status: 201,
      body: { scheduled_arrival: '2026-11-23T11:40:00+09:30', scheduled_departure: '2026-11-23T12:15:00+09:30' },
    })
    const times = { scheduled_arrival: '2026-11-23T08:00+09:30', scheduled_departure: '2026-11-23T08:30+09:30' }
    const early = await ask<Visit>('POST', '/property-visits', { tour_id: tour.id, address: '5 Knuckey Street', ...times })
    expect((await ask<Visit>('GET', `/property-visits/tour/${tour.id}/next`)).body.id).toBe(early.body.id)
    const { scheduled_arrival, scheduled_departure } = times
    const wrong = {
      tour_id: tour.id,
      address: 'x',
      scheduled_arrival: scheduled_departure,
      scheduled_departure: scheduled_arrival,
    }
    expect((await ask('POST', '/property-visits', wrong)).status).toBe(422)
    await database.owner.query(
      `insert into property_visits (tour_id, address, scheduled_arrival, scheduled_departure, status)
         select id, 'x', end_time, end_time, 'scheduled' from tours, generate_series(1, 195) where id = $1`,
      [tour.id],
    )
    expect((await ask('POST', '/property-visits', { tour_id: tour.id, address: 'x' })).status).toBe(422)
    expect((await ask<PlannedTour>('GET', `/tours/${tour.id}`)).body.visits).toHaveLength(200)
  })

  it('shows on the board of its day, planned and as it went', async () => {
    const board = { start_time: '2027-03-01T00:30+09:30', end_time: '2027-03-01T08:00+09:30' }
    const tour = await makeTour(board)
    await ask('PUT', `/property-visits/${tour.visits[0]!.id}/arrival`, { at: '2027-03-01T00:42+09:30' })
    const shown = await ask<{ tours: { id: string; stops: object[] }[] }>('GET', '/board?day=2027-03-01')
    expect(shown.body.tours).toMatchObject([
      {
        id: tour.id,
        status: 'in_progress',
        stops: [{ status: 'arrived', late_minutes: 12, pending_tasks: 1, feedback: 0 }, { late_minutes: null }, {}],
      },
    ])
    expect((await ask<{ tours: unknown[] }>('GET', '/board?day=2027-02-28')).body.tours).toEqual([])
    expect((await ask<{ tours: unknown[] }>('GET', '/board?day=2027-03-01', undefined, stranger)).body.tours).toEqual([])
  })
})

describe('feedback', () => {
  const atVisit = async () => {
    const tour = await makeTour()
    const visit = tour.visits[0]!
    await ask('PUT', `/property-visits/${visit.id}/arrival`)
    await ask('PUT', `/property-visits/${visit.id}/departure`)
    return { tour, visit }
  }

  it('S1 step 7: is received, processed, and told to the listing agent, who is tried until it works', async () => {
    const { tour, visit } = await atVisit()
    let failures = 2
    sms.answer(() => ({ status: failures-- > 0 ? 503 : 200 }))
    const received = await ask<Feedback>('POST', '/feedback/sms', {
      visit_id: visit.id,
      message: 'Loved   the kitchen.\n\n Too loud.',
    })
    expect(received).toMatchObject({
      status: 201,
      body: { feedback_source: 'sms', processed_feedback: null, sent_to_agent: false },
    })
    const { id } = received.body
    expect((await ask('PUT', `/feedback/${id}/notify`)).status).toBe(409)
    expect((await ask<Feedback>('PUT', `/feedback/${id}/process`)).body.processed_feedback).toBe('Loved the kitchen.\nToo loud.')
    expect((await ask('PUT', `/feedback/${id}/process`)).status).toBe(409)
    expect([200, 202]).toContain((await ask('PUT', `/feedback/${id}/notify`)).status)
    const sent = await until(async () => {
      const { body } = await ask<Feedback>('GET', `/feedback/${id}`)
      return body.sent_to_agent ? body : undefined
    })
    expect(sent).toMatchObject({ notification_attempts: 3, notification_error: null, sent_to_agent: true })
    expect(await ask('PUT', `/feedback/${id}/notify`)).toMatchObject({ status: 200, body: { notification_attempts: 3 } })
    expect(new Set(sms.requests.map(({ headers }) => headers['idempotency-key'])).size).toBe(1)
    expect(sms.requests).toHaveLength(3)
    expect(sms.requests[0]?.body).toEqual({
      feedback_id: id,
      agent_id: 'sell-1',
      agent_name: 'Wei Chen',
      address: '1 Smith Street, Darwin',
      text: 'Loved the kitchen.\nToo loud.',
      channel: 'sms',
    })
    const second = await ask<Feedback>('POST', '/feedback/voice', { visit_id: visit.id, transcript: 'Second thoughts.' })
    const { body } = await ask<{ entries: JournalEntry[] }>('GET', `/tours/${tour.id}/journal`)
    const told = body.entries
      .filter(({ subject }) => subject === 'feedback')
      .map(({ entry, feedback_id }) => [entry, feedback_id])
    expect(told).toEqual([
      ['received', id],
      ['processed', id],
      ['notification_failed', id],
      ['notified', id],
      ['received', second.body.id],
    ])
    expect(body.entries.map(({ at }) => Date.parse(at))).toEqual(
      body.entries.map(({ at }) => Date.parse(at)).toSorted((a, b) => a - b),
    )
    expect(body.entries[0]).toMatchObject({ subject: 'tour', entry: 'scheduled', actor: 'agent123' })
    const tasks = (await ask<{ tasks: Task[] }>('GET', `/tasks?visit_id=${visit.id}`)).body.tasks
    expect(tasks.map(({ task_type, status }) => [task_type, status]).toSorted()).toEqual([
      ['feedback_collection', 'completed'],
      ['listing_agent_notification', 'completed'],
      ['property_tour', 'completed'],
    ])
  })

  it('R75, R127: that somebody leaves and works on is in the audit log: who, in which request, what it was and what it became', async () => {
    const { visit } = await atVisit()
    const { body, headers } = await ask<Feedback>('POST', '/feedback/sms', { visit_id: visit.id, message: 'Too  loud.' })
    const processed = await ask('PUT', `/feedback/${body.id}/process`)
    const { rows } = await database.owner.query(
      `select action, actor, actor_role, request_id, old_data ->> 'processed_feedback' as before, new_data ->> 'processed_feedback' as after
         from audit_log where table_name = 'feedback' and record_id = $1 order by id limit 2`,
      [body.id],
    )
    const who = { actor: 'agent123', actor_role: 'authenticated' }
    expect(rows).toEqual([
      { ...who, action: 'INSERT', request_id: headers['x-request-id'], before: null, after: null },
      { ...who, action: 'UPDATE', request_id: processed.headers['x-request-id'], before: null, after: 'Too loud.' },
    ])
  })

  it('is given up after its attempts, and asked for again with what is unsent', async () => {
    const { visit } = await atVisit()
    sms.answer(() => ({ status: 500 }))
    const { body } = await ask<Feedback>('POST', '/feedback/voice', { visit_id: visit.id, transcript: 'No parking.' })
    await ask('PUT', `/feedback/${body.id}/process`, { processed_feedback: 'Parking is missed.' })
    const shown = async () => (await ask<Feedback>('GET', `/feedback/${body.id}`)).body
    await until(async () => (await statuses('tasks', `id = '${(await shown()).notification_task_id}'`))[0] === 'failed')
    expect(await shown()).toMatchObject({
      notification_attempts: 4,
      sent_to_agent: false,
      notification_error: 'sms answered with 500.',
    })
    const unsent = await ask<{ feedback: Feedback[] }>('GET', '/feedback?unsent=true')
    expect(unsent.body.feedback.map(({ id }) => id)).toEqual([body.id])
    const failed = await ask<{ failed: { subject: string }[] }>('GET', '/ops/calls', undefined, adminToken())
    expect(failed.body.failed).toMatchObject([{ kind: 'feedback.notify', subject: body.id }])
    sms.answer(() => ({}))
    expect(await ask('POST', '/feedback/process-unsent')).toMatchObject({
      status: 202,
      body: { requested: 1, feedback: [body.id] },
    })
    await until(async () => (await shown()).sent_to_agent)
    expect(await statuses('tasks', `id = '${(await shown()).notification_task_id}'`)).toEqual(['completed'])
  })

  it('is told to nobody once its task was cancelled, until somebody asks again', async () => {
    const { visit } = await atVisit()
    let let503: () => void = () => undefined
    const after = new Promise<void>((resolve) => {
      let503 = resolve
    })
    sms.answer(() => ({ status: 503, after }))
    const { body } = await ask<Feedback>('POST', '/feedback/sms', { visit_id: visit.id, message: 'Never mind.' })
    const { notification_task_id: task } = (await ask<Feedback>('PUT', `/feedback/${body.id}/process`)).body
    await until(() => sms.requests.length === 1)
    expect((await ask('PUT', `/tasks/${task}/status`, { status: 'cancelled' })).status).toBe(200)
    let503()
    const sql = `select from reanna.calls where kind = 'feedback.notify' and subject = $1 and status in ('waiting', 'calling')`
    await until(async () => (await database.owner.query(sql, [body.id])).rows.length === 0)
    expect(sms.requests).toHaveLength(1)
    sms.answer(() => ({}))
    expect((await ask<Feedback>('PUT', `/feedback/${body.id}/notify`)).body.sent_to_agent).toBe(true)
  })

  it('goes to the phone where the listing agent wants to be called', async () => {
    const tour = await makeTour({ properties: [{ address: 'x', contact_method: 'phone' }] })
    const { body } = await ask<Feedback>('POST', '/feedback/sms', { visit_id: tour.visits[0]!.id, message: 'Fine.' })
    await ask('PUT', `/feedback/${body.id}/process`)
    await until(async () => (await ask<Feedback>('GET', `/feedback/${body.id}`)).body.sent_to_agent)
    expect([sms.requests.length, voice.requests.length]).toEqual([0, 1])
  })

  it.each<[string, string, object, number]>([
    ['too long', 'sms', { message: 'x'.repeat(1601) }, 422],
    ['without words', 'sms', { message: ' ' }, 422],
    ['without a visit', 'voice', { transcript: 'x', visit_id: undefined }, 422],
    ['of a visit that there is not', 'sms', { message: 'x', visit_id: '00000000-0000-4000-8000-000000000000' }, 404],
  ])('is refused where it is %s', async (_what, kind, wrong, status) => {
    const { visit } = await atVisit()
    expect((await ask('POST', `/feedback/${kind}`, { visit_id: visit.id, ...wrong })).status).toBe(status)
  })

  it('of a foreign visit cannot be left', async () => {
    const { visit } = await atVisit()
    expect((await ask('POST', '/feedback/sms', { visit_id: visit.id, message: 'x' }, stranger)).status).toBe(404)
  })
})

describe('the CRM', () => {
  const synced = (id: string) =>
    until(async () => {
      const { body } = await ask<Tour>('GET', `/tours/${id}`)
      return body.crm_sync_status === 'synced' ? body : undefined
    })

  it('is told of a tour and of its changes, under a key of each', async () => {
    const tour = await makeTour()
    expect(tour.crm_sync_status).toBe('pending')
    expect((await synced(tour.id)).crm_sync_timestamp).not.toBeNull()
    await ask('PUT', `/tours/${tour.id}/status`, { status: 'cancelled' })
    await synced(tour.id)
    const told = crm.requests.filter(({ path }) => path === `/tours/${tour.id}`)
    expect(told.map(({ body }) => (body as Tour).status)).toEqual(['scheduled', 'cancelled'])
    expect(new Set(told.map(({ headers }) => headers['idempotency-key'])).size).toBe(2)
    expect(told[0]).toMatchObject({ method: 'PUT', headers: { authorization: 'Bearer crm-key' } })
  })

  it('that fails is tried again, then failed with its words, and can be asked for anew', async () => {
    crm.answer(() => ({ status: 502, body: { secret: 'x' } }))
    const tour = await makeTour()
    const failed = await until(async () => {
      const { body } = await ask<{ tours: Tour[] }>('GET', '/tours?crm_sync_status=failed')
      return body.tours.find(({ id }) => id === tour.id)
    })
    expect(failed.crm_sync_error).toBe('crm answered with 502.')
    expect(crm.requests.filter(({ path }) => path.endsWith(tour.id))).toHaveLength(4)
    crm.answer(() => ({}))
    // 202 where the job had it already.
    expect([200, 202]).toContain((await ask('POST', `/tours/${tour.id}/crm-sync`)).status)
    const synced = await until(async () => {
      const { body } = await ask<Tour>('GET', `/tours/${tour.id}`)
      return body.crm_sync_status === 'synced' ? body : undefined
    })
    expect(synced.crm_sync_error).toBeNull()
  })

  it('that refuses is not asked twice', async () => {
    crm.answer(() => ({ status: 400 }))
    const tour = await makeTour()
    await until(async () => (await ask<Tour>('GET', `/tours/${tour.id}`)).body.crm_sync_status === 'failed')
    expect(crm.requests.filter(({ path }) => path.endsWith(tour.id))).toHaveLength(1)
  })

  it('is told of what changed while it was being told', async () => {
    let release = (): void => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    crm.answer(() => ({ after: held }))
    const tour = await makeTour()
    await until(() => crm.requests.some(({ path }) => path.endsWith(tour.id)))
    await ask('PUT', `/tours/${tour.id}/status`, { status: 'in_progress' })
    release()
    await synced(tour.id)
    const told = crm.requests.filter(({ path }) => path.endsWith(tour.id)).map(({ body }) => (body as Tour).status)
    expect(told).toEqual(['scheduled', 'in_progress'])
  })
})

describe('R121: the routes', () => {
  it('each want a token, show a stranger nothing of a tour, and users nothing of the operators', async () => {
    const tour = await makeTour()
    const visit = tour.visits[0]!
    await ask('PUT', `/property-visits/${visit.id}/arrival`)
    const { id: feedback } = (await ask<Feedback>('POST', '/feedback/sms', { visit_id: visit.id, message: 'x' })).body
    const { tasks } = (await ask<{ tasks: Task[] }>('GET', `/tasks?visit_id=${visit.id}`)).body
    const violations = await checkRoutes(app.server, {
      stranger,
      names: {
        id: {
          '/tours': tour.id,
          '/property-visits/tour': tour.id,
          '/property-visits': visit.id,
          '/tasks': tasks[0]!.id,
          '/feedback': feedback,
          '/ops': tour.id,
        },
      },
      routes: {
        'GET /health': 'open',
        'GET /livez': 'open',
        'GET /openapi.json': 'open',
        'GET /tours': 'shared',
        'POST /tours': 'shared',
        'GET /tours/:id': 'own',
        'PUT /tours/:id/status': { who: 'own', body: { status: 'cancelled' } },
        'GET /tours/:id/journal': 'own',
        'POST /tours/:id/crm-sync': 'own',
        'GET /board': 'shared',
        'GET /property-visits': 'shared',
        'POST /property-visits': { who: 'own', body: { tour_id: tour.id, address: 'x' } },
        'GET /property-visits/:id': 'own',
        'GET /property-visits/tour/:id/next': 'own',
        'GET /property-visits/tour/:id/current': 'own',
        'PUT /property-visits/:id/arrival': 'own',
        'PUT /property-visits/:id/departure': 'own',
        'PUT /property-visits/:id/status': { who: 'own', body: { status: 'cancelled' } },
        'GET /tasks': 'shared',
        'PUT /tasks/:id/status': { who: 'own', body: { status: 'completed' } },
        'POST /feedback/sms': { who: 'own', body: { visit_id: visit.id, message: 'x' } },
        'POST /feedback/voice': { who: 'own', body: { visit_id: visit.id, transcript: 'x' } },
        'GET /feedback': 'shared',
        'GET /feedback/:id': 'own',
        'PUT /feedback/:id/process': 'own',
        'PUT /feedback/:id/notify': 'own',
        'POST /feedback/process-unsent': 'shared',
        'GET /ops/overview': 'staff',
        'GET /ops/breakers': 'staff',
        'GET /ops/limits': 'staff',
        'GET /ops/webhooks': 'staff',
        'POST /ops/webhooks/replay': 'staff',
        'GET /ops/webhooks/replays': 'staff',
        'GET /ops/alerts': 'staff',
        'GET /ops/errors': 'staff',
        'GET /ops/calls': 'staff',
        'POST /ops/calls/:id/retry': 'staff',
      },
    })
    expect(violations).toEqual([])
  })
})

describe('what operators look at', () => {
  it('errors by endpoint and hour, the worst first, of the hours that are asked for', async () => {
    await database.owner.query(`insert into public.api_metrics (endpoint, method, status_code, response_time, success, timestamp)
      select endpoint, 'GET', case when good then 200 else 500 end, 5, good, now() - hours * interval '1 hour'
        from (values ('/a', true, 0), ('/a', false, 0), ('/b', true, 0), ('/b', true, 0), ('/c', false, 1), ('/c', false, 9))
          as told(endpoint, good, hours)`)
    type Report = { readonly hours: number; readonly endpoints: readonly { readonly endpoint: string; readonly hour: string }[] }
    const { status, body } = await ask<Report>('GET', '/ops/errors?hours=3', undefined, adminToken())
    expect([status, body.hours]).toEqual([200, 3])
    // The other tests' requests are there, too.
    const told = ({ endpoints }: Report) => endpoints.filter(({ endpoint }) => ['/a', '/b', '/c'].includes(endpoint))
    expect(told(body)).toMatchObject([
      { endpoint: '/a', method: 'GET', requests: 2, errors: 1, error_rate: 0.5 },
      { endpoint: '/b', requests: 2, errors: 0, error_rate: 0 },
      { endpoint: '/c', requests: 1, errors: 1, error_rate: 1 },
    ])
    const day = await ask<Report>('GET', '/ops/errors', undefined, adminToken())
    expect([day.body.hours, told(day.body).length]).toEqual([24, 4])
    expect((await ask('GET', '/ops/errors?hours=0', undefined, adminToken())).status).toBe(422)
    expect((await ask('GET', '/ops/errors', undefined, agent)).status).toBe(403)
  })

  it('calls that failed, to be made again, and events to be sent through again', async () => {
    const { rows } = await database.owner.query<{ id: string }>(
      `insert into reanna.calls (kind, subject, status) values ('crm.fetch_contact', 'x||gone', 'failed') returning id`,
    )
    const retry = () => ask('POST', `/ops/calls/${rows[0]!.id}/retry`, undefined, adminToken())
    expect(await retry()).toMatchObject({ status: 202, body: { kind: 'crm.fetch_contact', status: 'waiting' } })
    expect((await retry()).status).toBe(404)
    const selection = { provider: 'nobody', dry_run: true }
    expect((await ask('POST', '/ops/webhooks/replay', selection, adminToken())).body).toEqual({ events: 0 })
    const started = await ask('POST', '/ops/webhooks/replay', { ...selection, dry_run: false }, adminToken())
    expect(started).toMatchObject({ status: 202, body: { status: 'done', selected: 0, again: false } })
    for (const path of ['overview', 'limits'])
      expect((await ask('GET', `/ops/${path}`, undefined, adminToken())).status).toBe(200)
  })

  it('alerts that are open, the newest first', async () => {
    await database.owner.query(`insert into public.alerts (alert_type, entity_id, entity_type, message, severity, status, timestamp, resolved_at, acknowledged_at)
      select 'slow_route', id, 'route', 'It is slow.', 'warning', state, now() - ago * interval '1 minute',
             case state when 'resolved' then now() end, case state when 'acknowledged' then now() end
        from (values ('one', 'active', 9), ('two', 'acknowledged', 2), ('three', 'resolved', 1)) as told(id, state, ago)`)
    const { status, body } = await ask<{ alerts: object[] }>('GET', '/ops/alerts', undefined, adminToken())
    expect([status, body.alerts.length]).toEqual([200, 2])
    expect(body.alerts).toMatchObject([
      { entity_id: 'two', alert_type: 'slow_route', entity_type: 'route', status: 'acknowledged', severity: 'warning' },
      { entity_id: 'one', status: 'active', message: 'It is slow.' },
    ])
    expect((await ask('GET', '/ops/alerts', undefined, agent)).status).toBe(403)
  })

  it('in pages, the latest first, each once whatever comes meanwhile', async () => {
    const insert = (ids: string) =>
      database.owner.query(
        `with n as (select n from generate_series(1, ${ids === 'old' ? 5 : 1}) n),
              at as (select now() - interval '${ids === 'old' ? 2 : 1} hours' as at),
          b as (insert into circuit_breaker_events (service_name, previous_state, new_state, timestamp, epoch)
            select 'paged-${ids}', 'CLOSED', 'OPEN', at, n from n, at),
          w as (insert into webhook_events (id, provider, dedupe_key, event_type, lane, payload, raw, verified, trust, status, dead_reason, received_at)
            select gen_random_uuid(), 'paged-${ids}', n, 'x', 'x', 'null', '', true, 'hint', 'dead', 'attempts', at from n, at),
          r as (insert into tidemark.webhook_replays (actor, selection, selected, status, created_at)
            select 'paged-${ids}', '{"provider": "none"}', 0, 'done', at from n, at),
          a as (insert into alerts (alert_type, entity_id, entity_type, message, severity, timestamp)
            select 'paged-${ids}', n, 'x', 'x', 'info', at from n, at)
         insert into reanna.calls (kind, subject, status, updated_at) select 'crm.fetch_contact', 'paged-${ids}|x|' || n, 'failed', at from n, at`,
      )
    await insert('old')
    for (const [path, name, of] of [
      ['breakers', 'events', 'service_name'],
      ['webhooks', 'dead_letters', 'provider'],
      ['webhooks/replays', 'replays', 'actor'],
      ['alerts', 'alerts', 'alert_type'],
      ['calls', 'failed', 'subject'],
    ] as const) {
      const meanwhile = path === 'breakers' ? () => insert('new') : undefined
      const all = await pages<{ id: string } & Record<string, string>>(`/ops/${path}?`, name, adminToken(), meanwhile)
      const own = all.filter((each) => each[of]!.startsWith('paged-old'))
      expect([own.length, new Set(own.map(({ id }) => id)).size], path).toEqual([5, 5])
    }
  })

  it('error rates by whole hours, each hour on one page', async () => {
    await database.owner.query(`insert into api_metrics (endpoint, method, status_code, response_time, success, timestamp)
      select '/paged/' || e, 'GET', 200, 5, true, now() - n * interval '1 hour' from generate_series(0, 5) n, generate_series(1, 3) e`)
    type Report = {
      readonly endpoints: readonly { readonly endpoint: string; readonly hour: string }[]
      readonly next: string | null
    }
    const seen: (readonly string[])[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const { body }: { body: Report } = await ask('GET', `/ops/errors?hours=5&limit=2${cursor}`, undefined, adminToken())
      const own = body.endpoints.filter(({ endpoint }) => endpoint.startsWith('/paged/'))
      seen.push(own.map(({ endpoint, hour }) => `${hour} ${endpoint}`))
      cursor = body.next === null ? null : `&cursor=${body.next}`
    }
    expect(seen.map(({ length }) => length)).toEqual([6, 6, 3])
    expect(new Set(seen.flat()).size).toBe(15)
  })
})

describe('while a move holds the tables', () => {
  it('S1 step 13: writes are answered with 503 and when to come back, reads with 200', async () => {
    const tour = await makeTour()
    await database.owner.query(
      `create trigger fence before insert or update or delete on tours for each statement execute function tidemark.refuse_write('x.db')`,
    )
    try {
      const refused = await ask('POST', '/tours', day)
      expect(refused).toMatchObject({ status: 503, body: { code: 'REANNA_ELSEWHERE' } })
      expect(refused.headers['retry-after']).toBe('1')
      expect((await ask('GET', `/tours/${tour.id}`)).status).toBe(200)
      expect((await ask('GET', '/tours')).status).toBe(200)
    } finally {
      await database.owner.query('drop trigger fence on tours')
    }
    expect((await ask('POST', '/tours', day)).status).toBe(201)
  })
})

describe('tasks and what is collected by them', () => {
  const tasksOf = async (query: string, token?: string): Promise<readonly Task[]> =>
    (await ask<{ tasks: readonly Task[] }>('GET', `/tasks?${query}`, undefined, token)).body.tasks

  it('are listed by visit, kind and whether they are open, to whoever may see their tour', async () => {
    const [first] = (await makeTour()).visits
    await ask('PUT', `/property-visits/${first!.id}/arrival`)
    await ask('PUT', `/property-visits/${first!.id}/departure`)
    const kinds = async (query: string) => (await tasksOf(`visit_id=${first!.id}${query}`)).map(({ task_type }) => task_type)
    expect((await kinds('')).toSorted()).toEqual(['feedback_collection', 'property_tour'])
    expect(await kinds('&pending=true')).toEqual(['feedback_collection'])
    expect(await kinds('&pending=false')).toEqual(['property_tour'])
    expect(await kinds('&task_type=property_tour')).toEqual(['property_tour'])
    expect(await tasksOf(`visit_id=${first!.id}`, stranger)).toEqual([])
  })

  it('go from state to state as drawn; the same state twice is no harm, and what another has is not there', async () => {
    const [first] = (await makeTour()).visits
    const [task] = await tasksOf(`visit_id=${first!.id}`)
    const put = (status: string, token?: string) => ask<Task>('PUT', `/tasks/${task!.id}/status`, { status }, token)
    expect((await put('in_progress', stranger)).status).toBe(404)
    expect((await put('completed')).status).toBe(409)
    expect((await put('in_progress')).body).toMatchObject({ status: 'in_progress', completed_time: null })
    expect((await put('in_progress')).status).toBe(200)
    expect((await put('completed')).body).toMatchObject({ status: 'completed', completed_time: expect.any(String) })
    expect((await put('scheduled')).status).toBe(409)
    expect((await ask('PUT', `/tasks/${randomUUID()}/status`, { status: 'completed' })).status).toBe(404)
  })

  it('feedback of a task completes the one that collects it, and of another kind leaves it as it is', async () => {
    const [first] = (await makeTour()).visits
    await ask('PUT', `/property-visits/${first!.id}/arrival`)
    await ask('PUT', `/property-visits/${first!.id}/departure`)
    const byKind = async () => new Map((await tasksOf(`visit_id=${first!.id}`)).map((task) => [task.task_type, task]))
    const tasks = await byKind()
    const tell = (kind: Task['task_type']) =>
      ask<Feedback>('POST', '/feedback/sms', { task_id: tasks.get(kind)!.id, message: `of ${kind}` })
    expect((await tell('property_tour')).body).toMatchObject({ raw_feedback: 'of property_tour' })
    expect((await byKind()).get('feedback_collection')).toMatchObject({ status: 'scheduled' })
    expect((await tell('feedback_collection')).status).toBe(201)
    expect((await byKind()).get('feedback_collection')).toMatchObject({ status: 'completed' })
    const nowhere = { task_id: randomUUID(), message: 'x' }
    expect((await ask('POST', '/feedback/sms', nowhere)).status).toBe(404)
    expect((await ask('PUT', `/feedback/${randomUUID()}/process`)).status).toBe(404)
  })
})

describe('what is answered', () => {
  it('is what the document of the routes says, of each of them', async () => {
    expect(await untoldAnswers(app.server)).toEqual([])
    // All that came before, of every route that the tests have asked.
    expect(answers.violations).toEqual([])
    const open = ['GET /health', 'GET /livez']
    expect(listRoutes(app.server).filter((route) => !answers.answered.has(route))).toEqual(open)
  })
})
