import { readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { appSource, platformSource } from '../../../packages/tidemark/src/schema/migration-files.js'
import { createMigrator } from '../../../packages/tidemark/src/schema/migrator.js'
import type { SchemaClient } from '../../../packages/tidemark/src/schema/schema.js'
import {
  connectTo,
  createBootstrappedDatabase,
  testUrl,
} from '../../../packages/tidemark/src/schema/testing/bootstrapped-template.js'
import type { TestDatabase } from '../../../packages/tidemark/src/testing/postgres/database.js'
import { generateAcceptanceSample } from './generate.js'
import { reannaRouter } from './reanna-router.js'

const tables = ['tours', 'property_visits', 'tasks', 'feedback'] as const

let database: TestDatabase
let owner: SchemaClient
let authenticator: SchemaClient

beforeAll(async () => {
  database = await createBootstrappedDatabase()
  const connect = connectTo(testUrl(database.url, 'migrator'))
  const migrator = createMigrator({ connect, sources: [platformSource, appSource(reannaRouter.name, reannaRouter.migrations)] })
  await migrator.up()
  expect(await migrator.diff()).toEqual([])
  owner = await connect()
  authenticator = await connectTo(testUrl(database.url, 'authenticator'))()
})

afterAll(async () => {
  await owner?.end()
  await authenticator?.end()
  await database?.drop()
})

const names = async (sql: string): Promise<readonly string[]> =>
  (await owner.query<{ name: string }>(sql)).rows.map(({ name }) => name)

/** One tour of each agent, with a visit, a task and a feedback below it. */
const seed = async () => {
  await owner.query(`
    delete from tours;
    insert into tours (agent_id, start_time, end_time, status)
      select agent, '2026-11-23T09:00+09:30', '2026-11-23T17:00+09:30', 'scheduled' from unnest(array['agent123', 'agent999']) agent;
    insert into property_visits (tour_id, address, scheduled_arrival, scheduled_departure, status)
      select id, agent_id, start_time, end_time, 'scheduled' from tours;
    insert into tasks (visit_id, task_type, status, scheduled_time, shipment_id)
      select id, 'property_tour', 'scheduled', scheduled_arrival, address from property_visits;
    insert into feedback (task_id, raw_feedback, feedback_source) select id, shipment_id, 'sms' from tasks;
  `)
}

beforeEach(seed)

const as = async <T extends object>(role: string, claims: object, sql: string): Promise<readonly T[]> => {
  await authenticator.query('begin')
  try {
    await authenticator.query(`set local role ${role}`)
    await authenticator.query("select set_config('request.jwt.claims', $1, true)", [JSON.stringify(claims)])
    return (await authenticator.query<T>(sql)).rows
  } finally {
    await authenticator.query('rollback')
  }
}

const counts = async (role: string, claims: object) => {
  const found: number[] = []
  for (const table of tables)
    found.push((await as<{ n: number }>(role, claims, `select count(*)::int as n from ${table}`))[0]?.n ?? -1)
  return found
}

const agent = { sub: 'agent123', role: 'authenticated' }
const admin = { sub: 'boss', role: 'authenticated', app_metadata: { role: 'admin' } }

describe('tables and indexes', () => {
  it('R2, R3, R4, R5, C16: have the documented columns, and the five that the plan forgot', async () => {
    const rows = await names(`
      select table_name || '.' || column_name || ' ' || udt_name || case is_nullable when 'NO' then ' not null' else '' end as name
        from information_schema.columns where table_schema = 'public' order by 1`)
    for (const expected of [
      'tours.id uuid not null',
      'tours.agent_id text not null',
      'tours.route_data jsonb',
      'tours.start_time timestamptz not null',
      'tours.crm_sync_timestamp timestamptz',
      'property_visits.tour_id uuid not null',
      'property_visits.actual_departure timestamptz',
      'property_visits.contact_method text',
      'property_visits.confirmation_status text',
      'property_visits.constraint_indicator text',
      'property_visits.square_footage int4',
      'property_visits.video_url text',
      'tasks.completed_time timestamptz',
      'tasks.shipment_id text',
      'feedback.raw_feedback text not null',
      'feedback.sent_to_agent bool not null',
      'feedback.notification_attempts int4 not null',
    ]) {
      expect(rows).toContain(expected)
    }
  })

  it('R10, C20: every table has a uuid key and both times, and no time without zone', async () => {
    expect(
      await names(
        "select table_name as name from information_schema.columns where table_schema = 'public' and data_type = 'timestamp without time zone'",
      ),
    ).toEqual([])
    for (const table of tables) {
      const { rows } = await owner.query(
        `select gen.id is not null as id, created_at is not null and updated_at is not null as times from ${table} gen limit 1`,
      )
      expect(rows, table).toEqual([{ id: true, times: true }])
    }
  })

  it('R9: carry the indexes by their documented names', async () => {
    const made = await names("select indexname as name from pg_indexes where schemaname = 'public'")
    const documented = [
      'idx_tours_agent_id',
      'idx_tours_status',
      'idx_tours_date_range',
      'idx_tours_crm_sync_status',
      'idx_property_visits_tour_id',
      'idx_property_visits_status',
      'idx_property_visits_scheduled_time',
      'idx_tasks_visit_id',
      'idx_tasks_status',
      'idx_tasks_type',
      'idx_feedback_task_id',
      'idx_feedback_sent_status',
    ]
    expect(made).toEqual(expect.arrayContaining(documented))
  })

  it('R1: deleting a tour takes its visits, tasks and feedback along', async () => {
    await owner.query("delete from tours where agent_id = 'agent123'")
    expect(await counts('service_role', {})).toEqual([1, 1, 1, 1])
  })

  it.each([
    "insert into tours (agent_id, start_time, end_time, status) values ('a', now(), now() - interval '1 h', 'scheduled')",
    "insert into tours (agent_id, start_time, end_time, status) values ('a', now(), now() + interval '1 h', 'paused')",
    "update property_visits set address = ''",
    "update property_visits set actual_arrival = now(), actual_departure = now() - interval '1 h'",
    "insert into tasks (visit_id, task_type, status, scheduled_time) select id, 'cleaning', 'scheduled', now() from property_visits",
    "update feedback set feedback_source = 'fax'",
    'update feedback set notification_attempts = -1',
  ])('refuses %s', async (sql) => {
    await expect(owner.query(sql)).rejects.toMatchObject({ code: '23514' })
  })
})

describe('SEC-1, R121, C1, C2, C21: row security', () => {
  it('an agent sees its own tours and what hangs on them, whatever its id looks like', async () => {
    expect(await counts('authenticated', agent)).toEqual([1, 1, 1, 1])
    expect(await as('authenticated', agent, 'select raw_feedback from feedback')).toEqual([{ raw_feedback: 'agent123' }])
  })

  it('an admin sees all, by app_metadata alone', async () => {
    expect(await counts('authenticated', admin)).toEqual([2, 2, 2, 2])
    const pretenders = [{ sub: 'x', user_metadata: { role: 'admin' } }, { sub: 'x', role: 'admin' }, {}]
    for (const claims of pretenders) expect(await counts('authenticated', claims)).toEqual([0, 0, 0, 0])
  })

  it('service_role sees all, anonymous callers nothing', async () => {
    expect(await counts('service_role', {})).toEqual([2, 2, 2, 2])
    for (const table of tables) await expect(as('anon', {}, `select * from ${table}`)).rejects.toMatchObject({ code: '42501' })
  })

  it("an agent cannot touch, take or fill another's rows", async () => {
    const other = "(select id from tours where agent_id = 'agent999')"
    expect(await as('authenticated', agent, "update tours set route_data = '{}' returning agent_id")).toEqual([
      { agent_id: 'agent123' },
    ])
    expect(await as('authenticated', agent, 'delete from feedback returning raw_feedback')).toEqual([
      { raw_feedback: 'agent123' },
    ])
    const { rows } = await owner.query<{ id: string }>(other)
    const visit = `insert into property_visits (tour_id, address, scheduled_arrival, scheduled_departure, status)
      values ('${rows[0]?.id}', 'x', now(), now(), 'scheduled')`
    for (const sql of [
      "update tours set agent_id = 'agent999'",
      "insert into tours (agent_id, start_time, end_time, status) values ('agent999', now(), now() + interval '1 h', 'scheduled')",
      visit,
      `update property_visits set tour_id = '${rows[0]?.id}'`,
    ]) {
      await expect(as('authenticated', agent, sql), sql).rejects.toThrow(/row-level security/)
    }
    await as('authenticated', admin, visit)
  })

  it('a tour keeps no zone by which the board of all would fail, and none that is another here', async () => {
    const claims = { sub: 'agent123', role: 'authenticated' }
    for (const zone of ['AET', 'ACT', 'Mars/Olympus', '+99:99'])
      await expect(as('authenticated', claims, `update tours set time_zone = '${zone}'`), zone).rejects.toThrow()
    for (const zone of ['Australia/Darwin', 'UTC', '-03:30'])
      expect(await as('authenticated', claims, `update tours set time_zone = '${zone}' returning 1`), zone).toHaveLength(1)
  })

  it('every table of the app is under row security', async () => {
    expect(
      await names(
        "select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and not relrowsecurity",
      ),
    ).toEqual([])
  })
})

describe('states', () => {
  const moves: readonly [string, string, string, boolean][] = [
    ['tours', 'scheduled', 'in_progress', true],
    ['tours', 'scheduled', 'completed', false],
    ['tours', 'in_progress', 'completed', true],
    ['tours', 'in_progress', 'cancelled', true],
    ['tours', 'completed', 'scheduled', false],
    ['tours', 'cancelled', 'scheduled', false],
    ['tours', 'completed', 'completed', true],
    ['property_visits', 'scheduled', 'arrived', true],
    ['property_visits', 'scheduled', 'skipped', true],
    ['property_visits', 'scheduled', 'completed', false],
    ['property_visits', 'arrived', 'skipped', false],
    ['property_visits', 'completed', 'arrived', false],
    ['tasks', 'scheduled', 'in_progress', true],
    ['tasks', 'in_progress', 'failed', true],
    ['tasks', 'failed', 'scheduled', true],
    ['tasks', 'failed', 'completed', false],
    ['tasks', 'completed', 'failed', false],
    ['tasks', 'cancelled', 'in_progress', false],
  ]

  const put = (table: string, state: string) =>
    owner.query(`begin; set local tidemark.origin = 'move'; update ${table} set status = '${state}'; commit`)

  it.each(moves)('%s: %s → %s is allowed: %s', async (table, before, after, allowed) => {
    await put(table, before)
    const update = owner.query(`update ${table} set status = '${after}'`)
    if (allowed) await update
    else
      await expect(update).rejects.toMatchObject({
        code: 'PT409',
        message: expect.stringContaining(`from ${before} to ${after}`),
      })
  })

  it('stand aside for rows that a move applies, and keep their times', async () => {
    await put('tours', 'completed')
    await owner.query(`begin; set local tidemark.origin = 'move';
      update tours set status = 'scheduled', updated_at = '2020-01-01Z'; commit`)
    expect(
      (await owner.query("select distinct status, extract(year from updated_at at time zone 'UTC')::int as year from tours"))
        .rows,
    ).toEqual([{ status: 'scheduled', year: 2020 }])
    await owner.query('update tours set agent_id = agent_id')
    expect((await owner.query("select bool_and(updated_at > now() - interval '1 h') as fresh from tours")).rows).toEqual([
      { fresh: true },
    ])
  })

  it.each(['authenticated', 'service_role'])('do not stand aside for %s, whatever it sets', async (role) => {
    await put('tours', 'completed')
    const sql = "select set_config('tidemark.origin', 'move', true)"
    const attempt = as(
      role,
      { ...admin, origin: 'move' },
      `with mark as materialized (${sql}) update tours set status = 'scheduled' from mark`,
    )
    await expect(attempt).rejects.toMatchObject({ code: 'PT409' })
    await authenticator.query(`set tidemark.origin = 'move'`)
    await expect(as(role, admin, "update tours set status = 'scheduled'")).rejects.toMatchObject({ code: 'PT409' })
    await authenticator.query('reset tidemark.origin')
  })
})

describe('the map', () => {
  it('names columns that the file and the tables have, and leaves none of either unsaid', async () => {
    const map = JSON.parse(await readFile(reannaRouter.moveMap, 'utf8')) as {
      tables: Record<string, { to: string; columns: Record<string, { to?: string }>; extraTargetColumns?: string[] }>
    }
    const path = join(tmpdir(), `reanna-map-${process.pid}.db`)
    generateAcceptanceSample(path)
    const file = new Database(path, { readonly: true })
    try {
      expect(Object.keys(map.tables).sort()).toEqual([...tables].sort())
      for (const [table, { to, columns, extraTargetColumns = [] }] of Object.entries(map.tables)) {
        const source = (file.pragma(`table_info(${table})`) as { name: string }[]).map(({ name }) => name)
        const target = await names(
          `select attname as name from pg_attribute where attrelid = '${to}'::regclass and attnum > 0 and not attisdropped`,
        )
        expect(source).toEqual(expect.arrayContaining(Object.keys(columns)))
        expect([...source.map((name) => columns[name]?.to ?? name), ...extraTargetColumns].sort()).toEqual([...target].sort())
      }
    } finally {
      file.close()
      await rm(path)
    }
  })
})
