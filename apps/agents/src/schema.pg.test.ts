import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AppDatabase, openAppDatabase } from '../../../packages/tidemark/src/testing/app/app-database.js'
import { agents } from './agents.js'

let database: AppDatabase
beforeAll(async () => {
  database = await openAppDatabase(agents)
})
afterAll(() => database?.drop())

const column = async (sql: string, values: readonly unknown[] = []): Promise<readonly string[]> =>
  (await database.owner.query<{ value: string }>(sql, [...values])).rows.map(({ value }) => value)

/** `name type`, with ` not null` where it may not be missing. */
const columnsOf = (table: string): Promise<readonly string[]> =>
  column(
    `select column_name || ' ' || udt_name || case is_nullable when 'NO' then ' not null' else '' end as value
       from information_schema.columns where table_schema = 'public' and table_name = $1`,
    [table],
  )

const addAgent = async (): Promise<string> => {
  const [id] = await column(
    `insert into agent_instances (agent_id, agent_type) values ($1, 'quiz_generator') returning id as value`,
    [randomUUID()],
  )
  return id!
}

describe('the types', () => {
  it.each([
    [
      'R22',
      'agent_type',
      'content_generator quiz_generator terrain_generator script_generator code_reviewer roblox_asset roblox_testing roblox_analytics',
    ],
    ['R23', 'agent_status', 'initializing idle busy processing waiting error offline maintenance'],
    ['R24', 'task_status', 'pending queued running completed failed cancelled retrying'],
  ])('%s: %s has the documented values', async (_number, type, values) => {
    // @holds R22, R23, R24
    expect((await column(`select unnest(enum_range(null::${type}))::text as value`)).join(' ')).toBe(values)
  })
})

describe('the tables', () => {
  it.each([
    [
      'agent_instances',
      [
        'id uuid not null',
        'agent_id text not null',
        'agent_type agent_type not null',
        'status agent_status not null',
        'configuration jsonb not null',
        'resource_limits jsonb not null',
        'performance_thresholds jsonb not null',
        'current_task_id text',
        'last_activity timestamptz not null',
        'total_tasks_completed int4 not null',
        'total_tasks_failed int4 not null',
        'created_at timestamptz not null',
        'updated_at timestamptz not null',
      ],
    ],
    [
      'agent_executions',
      [
        'id uuid not null',
        'task_id text not null',
        'agent_instance_id uuid',
        'agent_type agent_type not null',
        'task_type text not null',
        'input_data jsonb not null',
        'output_data jsonb',
        'status task_status not null',
        'quality_score float8',
        'execution_time_seconds float8',
        'created_at timestamptz not null',
        'completed_at timestamptz',
        'user_id uuid',
        'session_id text',
      ],
    ],
    [
      'agent_metrics',
      [
        'id uuid not null',
        'agent_instance_id uuid',
        'agent_type agent_type not null',
        'period_start timestamptz not null',
        'period_end timestamptz not null',
        'tasks_completed int4 not null',
        'success_rate float8 not null',
        'average_execution_time float8 not null',
        'average_quality_score float8 not null',
        'created_at timestamptz not null',
      ],
    ],
    ['system_health', ['id uuid not null', 'timestamp timestamptz not null', 'component text not null', 'status text not null']],
  ] as const)('%s has the documented columns', async (table, expected) => {
    // @holds R19, R20, R21, R25
    expect(await columnsOf(table)).toEqual(expect.arrayContaining([...expected]))
  })

  it('R19, C69: an agent begins as documented, under an id that needs no extension', async () => {
    const id = await addAgent()
    const { rows } = await database.owner.query('select * from agent_instances where id = $1', [id])
    expect(rows[0]).toMatchObject({
      status: 'initializing',
      configuration: {},
      resource_limits: {},
      performance_thresholds: {},
      current_task_id: null,
      total_tasks_completed: 0,
      total_tasks_failed: 0,
    })
    expect(await column("select extname as value from pg_extension where extname in ('uuid-ossp', 'pgcrypto')")).toEqual([])
    const twice = database.owner.query(
      `insert into agent_instances (agent_id, agent_type) select agent_id, agent_type from agent_instances where id = $1`,
      [id],
    )
    await expect(twice).rejects.toMatchObject({ code: '23505' })
  })

  it('R20: quality is between 0 and 1', async () => {
    const add = (quality: number) =>
      database.owner.query(
        `insert into agent_executions (task_id, agent_type, task_type, quality_score) values ($1, 'quiz_generator', 't', $2)`,
        [randomUUID(), quality],
      )
    await add(0)
    await add(1)
    for (const quality of [-0.1, 1.1]) await expect(add(quality)).rejects.toMatchObject({ code: '23514' })
  })

  it('R21, C68: metrics have the time in their key, which is how they can be parted', async () => {
    expect(
      await column(
        `select a.attname::text as value from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
          where i.indrelid = 'agent_metrics'::regclass and i.indisprimary order by 1`,
      ),
    ).toEqual(['id', 'period_start'])
    expect(
      await column("select partstrat::text as value from pg_partitioned_table where partrelid = 'agent_metrics'::regclass"),
    ).toEqual(['r'])
  })
})
