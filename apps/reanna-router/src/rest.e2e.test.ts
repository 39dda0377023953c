import { fileURLToPath } from 'node:url'
import { createClient, type RealtimePostgresChangesPayload } from '@supabase/supabase-js'
import { SignJWT } from 'jose'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import ws from 'ws'
import { runCli } from '../../../packages/tidemark/src/testing/project/cli-call.js'
import { type CliProcess, startCli, untilServing } from '../../../packages/tidemark/src/testing/project/cli-process.js'
import { createPreparedProject } from '../../../packages/tidemark/src/testing/project/prepared-project.js'
import { until } from '../../../packages/tidemark/src/time/until.js'
import { reannaRouter } from './reanna-router.js'

const secret = 'a-secret-of-this-test-that-is-long-enough'

let dir: string
let remove: () => Promise<void>
let server: CliProcess
let url: string
let anonKey: string
let serviceKey: string
let database: pg.Client
/** Ids of the tours, by agent. */
let tours: Record<'agent123' | 'agent999', string>

/** A token as the agents' own system issues it: their subjects are no uuids (C1). */
const tokenOf = (sub: string, claims: object = {}): Promise<string> =>
  new SignJWT({ sub, role: 'authenticated', ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .setAudience('authenticated')
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(secret))

const clientOf = (key: string, token?: string) =>
  createClient(url, key, {
    auth: { persistSession: false, autoRefreshToken: false },
    realtime: { transport: ws as never },
    ...(token !== undefined && { accessToken: async () => token }),
  })

const as = async (sub: string, claims?: object) => clientOf(anonKey, await tokenOf(sub, claims))

beforeAll(async () => {
  const folder = await createPreparedProject()
  ;({ dir, remove } = folder)
  server = startCli(['dev', '--json'], { cwd: dir, env: { PORT: '0', SUPABASE_JWT_SECRET: secret } })
  url = await untilServing(server)
  const status = JSON.parse(server.stdout) as { database: { url: string }; keys: { anon: string; service: string } }
  ;({ anon: anonKey, service: serviceKey } = status.keys)
  const up = await runCli(['schema', 'up', '--migrations', fileURLToPath(reannaRouter.migrations)], { cwd: dir })
  expect([up.exitCode, up.stderr]).toEqual([0, ''])
  database = new pg.Client({ connectionString: status.database.url })
  await database.connect()
  const { rows } = await database.query<{ agent_id: string; id: string }>(`
    insert into tours (agent_id, start_time, end_time, status)
      select agent, '2026-11-23T09:00+09:30', '2026-11-23T17:00+09:30', 'scheduled' from unnest(array['agent123', 'agent999']) agent
    returning agent_id, id`)
  tours = Object.fromEntries(rows.map(({ agent_id, id }) => [agent_id, id])) as typeof tours
  await database.query(`
    insert into property_visits (tour_id, address, scheduled_arrival, scheduled_departure, status)
      select id, 'of ' || agent_id, start_time, end_time, 'scheduled' from tours;
    insert into tasks (visit_id, task_type, status, scheduled_time) select id, 'property_tour', 'scheduled', scheduled_arrival from property_visits;
    insert into feedback (task_id, raw_feedback, feedback_source) select id, 'Liked it.', 'sms' from tasks`)
})

afterAll(async () => {
  await database?.end()
  server.child.kill('SIGTERM')
  await server.ended
  await remove()
})

const everything = '*, property_visits(address, tasks(status, feedback(raw_feedback)))'

describe('S1 step 8: tours over REST, as their agents', () => {
  it('an agent lists its own, with all that hangs on them', async () => {
    const { data, status, error } = await (await as('agent123')).from('tours').select(everything)
    expect([status, error]).toEqual([200, null])
    expect(data).toEqual([
      expect.objectContaining({
        id: tours.agent123,
        agent_id: 'agent123',
        property_visits: [
          { address: 'of agent123', tasks: [{ status: 'scheduled', feedback: [{ raw_feedback: 'Liked it.' }] }] },
        ],
      }),
    ])
  })

  it("another agent's tour is not found, whatever is tried", async () => {
    const other = await as('agent999')
    expect(await other.from('tours').select().eq('id', tours.agent123).single()).toMatchObject({
      status: 406,
      error: { code: 'PGRST116', message: 'Cannot coerce the result to a single JSON object' },
    })
    expect(await other.from('tours').select().eq('id', tours.agent123).maybeSingle()).toMatchObject({ data: null, error: null })
    for (const table of ['property_visits', 'tasks', 'feedback'])
      expect((await other.from(table).select('id', { count: 'exact' })).count, table).toBe(1)
    expect(await other.from('tours').update({ status: 'cancelled' }).eq('id', tours.agent123).select()).toMatchObject({
      data: [],
    })
    expect(await other.from('tours').delete().eq('id', tours.agent123).select()).toMatchObject({ data: [] })
    const given = await other.from('tours').update({ agent_id: 'agent123' }).eq('id', tours.agent999)
    expect(given).toMatchObject({ status: 403, error: { code: '42501' } })
    const foreign = {
      tour_id: tours.agent123,
      address: 'x',
      scheduled_arrival: 'now',
      scheduled_departure: 'now',
      status: 'scheduled',
    }
    expect(await other.from('property_visits').insert(foreign)).toMatchObject({ status: 403, error: { code: '42501' } })
    const { rows } = await database.query('select agent_id, status from tours order by agent_id')
    expect(rows).toEqual([
      { agent_id: 'agent123', status: 'scheduled' },
      { agent_id: 'agent999', status: 'scheduled' },
    ])
  })

  it('an admin sees all; who only says so sees nothing (C2)', async () => {
    const admin = await as('boss', { app_metadata: { role: 'admin' } })
    expect((await admin.from('tours').select('agent_id').order('agent_id')).data).toEqual([
      { agent_id: 'agent123' },
      { agent_id: 'agent999' },
    ])
    const pretender = await as('nobody', { user_metadata: { role: 'admin' } })
    expect((await pretender.from('tours').select()).data).toEqual([])
  })

  it('without a token nothing is granted; the service key sees all (R123)', async () => {
    expect(await clientOf(anonKey).from('tours').select()).toMatchObject({ status: 401, error: { code: '42501' } })
    expect((await clientOf(serviceKey).from('tours').select()).data).toHaveLength(2)
  })

  it('a token of another secret, and one that names a role of the server, get nothing', async () => {
    const forged = await new SignJWT({ sub: 'agent123', role: 'authenticated' })
      .setProtectedHeader({ alg: 'HS256' })
      .setExpirationTime('1h')
      .sign(new TextEncoder().encode('another-secret-that-is-long-enough-too'))
    expect(await clientOf(anonKey, forged).from('tours').select()).toMatchObject({ status: 401, data: null })
    for (const role of ['tidemark_app', 'tidemark_migrator', 'postgres']) {
      const { data, status } = await (await as('agent123', { role })).from('tours').select()
      expect([data, status >= 400], role).toEqual([null, true])
    }
  })
})

describe('a day board over supabase-js', () => {
  const tables = ['tours', 'property_visits', 'tasks', 'feedback'] as const

  /** What somebody is told of, as `table event id`. */
  const watch = async (sub: string, claims?: object) => {
    const client = await as(sub, claims)
    await client.realtime.setAuth()
    const told: string[] = []
    const channel = client.channel(`board of ${sub}`)
    for (const table of tables)
      channel.on(
        'postgres_changes',
        { event: '*', schema: 'public', table },
        (change: RealtimePostgresChangesPayload<{ id: string }>) => {
          const { id } = change.eventType === 'DELETE' ? change.old : change.new
          told.push(`${table} ${change.eventType} ${id}`)
        },
      )
    const states: string[] = []
    channel.subscribe((state, error) => void states.push(`${state} ${error?.message ?? ''}`.trim()))
    await until(() => states.length > 0, { what: 'the answer to the subscription' })
    expect(states[0]).toBe('SUBSCRIBED')
    return { told, stop: () => client.realtime.disconnect() }
  }

  it('is told live of its own tours, stops, tasks and feedback, and of nothing else', async () => {
    const [own, other, admin] = [
      await watch('agent123'),
      await watch('agent999'),
      await watch('boss', { app_metadata: { role: 'admin' } }),
    ]
    /** Changes the day of an agent, and gives what is to be told of it. */
    const day = async (agent: string): Promise<string[]> => {
      const { rows } = await database.query<{ told: string }>(
        `with t as (update tours set status = 'in_progress' where agent_id = $1 returning id),
              v as (update property_visits set status = 'arrived', actual_arrival = now() where tour_id in (select id from t) returning id),
              k as (update tasks set status = 'in_progress' where visit_id in (select id from v) returning id),
              f as (insert into feedback (task_id, raw_feedback, feedback_source) select id, 'Liked the garden.', 'app' from k returning id)
         select 'tours UPDATE ' || id as told from t union all select 'property_visits UPDATE ' || id from v
           union all select 'tasks UPDATE ' || id from k union all select 'feedback INSERT ' || id from f`,
        [agent],
      )
      return rows.map(({ told }) => told).sort()
    }
    const mine = await day('agent123')
    const theirs = await day('agent999')
    await until(() => own.told.length >= 4 && other.told.length >= 4 && admin.told.length >= 8, { what: 'both days' })
    expect([own.told, other.told, admin.told].map((told) => [...told].sort())).toEqual([
      mine,
      theirs,
      [...mine, ...theirs].sort(),
    ])

    // A tour that another agent gets comes onto one board and leaves the other.
    await database.query("update tours set agent_id = 'agent999' where id = $1", [tours.agent123])
    await until(() => own.told.length === 5 && other.told.length === 5, { what: 'the other agent' })
    expect([own.told.at(-1), other.told.at(-1)]).toEqual([`tours DELETE ${tours.agent123}`, `tours INSERT ${tours.agent123}`])
    for (const { stop } of [own, other, admin]) await stop()
  })
})
