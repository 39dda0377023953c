import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Sqlite from 'better-sqlite3'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { useProject } from '../../../packages/tidemark/src/testing/use-project.js'
import { generateAcceptanceSample } from './generate.js'
import { reannaRouter } from './reanna-router.js'

const map = fileURLToPath(reannaRouter.moveMap)
const counts = { tours: 3, property_visits: 7, tasks: 12, feedback: 5 }

interface Hazard {
  readonly code: string
  readonly count: number
}

interface Plan {
  readonly tables: readonly { readonly source: string; readonly rows: number }[]
  readonly hazards: readonly Hazard[]
}

describe('S1: a REanna file moves into the tables of its new home', () => {
  const project = useProject()
  let file: string
  let url: string
  let token: string
  let database: pg.Client

  const post = async (path: string, body: object): Promise<{ status: number; body: Record<string, unknown> }> => {
    const response = await fetch(`${url}/admin/v1${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }

  const into = ['--into', 'existing', '--map', map] as const

  beforeAll(async () => {
    file = join(project.dir, 'reanna_router.db')
    generateAcceptanceSample(file)
    url = await project.serve(['dev'])
    const status = JSON.parse(project.server.stdout) as { admin: { token: string }; database: { url: string } }
    token = status.admin.token
    database = new pg.Client({ connectionString: status.database.url })
    await database.connect()
    const up = await project.json('schema', 'up', '--migrations', fileURLToPath(reannaRouter.migrations))
    expect(up.exitCode).toBe(0)
  })

  afterAll(async () => {
    await database?.end()
  })

  const expectPlan = ({ tables, hazards }: Plan) => {
    expect(Object.fromEntries(tables.map(({ source, rows }) => [source, rows]))).toEqual(counts)
    const found = Object.fromEntries(hazards.map(({ code, count }) => [code, count]))
    expect(found).toEqual({ orphan: 1, invalidJson: 1, nullReplaced: 1 })
  }

  it('step 2: the plan counts 3/7/12/5, foretells the orphan and the broken JSON, and writes nothing', async () => {
    const planned = await project.json<Plan>('move', 'plan', 'reanna_router.db', ...into)
    expect(planned.exitCode).toBe(0)
    expectPlan(planned.data)
    const asked = await post('/move/plan', { file: 'reanna_router.db', into: 'existing', map })
    expect(asked.status).toBe(200)
    expectPlan(asked.body as unknown as Plan)
    const { rows } = await database.query(
      'select (select count(*) from tours) + (select count(*) from tidemark.move_runs) as written',
    )
    expect(rows).toEqual([{ written: '0' }])
  })

  it('step 3: copy carries every row that has a home, and a second copy carries none', async () => {
    const first = await project.json<{ ok: boolean; tables: { table: string; copied: number; rejected: number; replaced: number }[] }>(
      'move', 'copy', 'reanna_router.db', ...into,
    ) // biome-ignore format: one line reads better
    expect(first.exitCode).toBe(0)
    const came = Object.fromEntries(first.data.tables.map(({ table, ...rest }) => [table, rest]))
    expect(came).toMatchObject({
      tours: { copied: 3, rejected: 0, replaced: 1 },
      property_visits: { copied: 6, rejected: 1 },
      tasks: { copied: 12, rejected: 0 },
      feedback: { copied: 5, rejected: 0, replaced: 1 },
    })
    const again = await post('/move/copy', { file: 'reanna_router.db', into: 'existing', map })
    expect(again.status).toBe(200)
    const { tables } = (again.body['report'] ?? again.body) as { tables: { copied: number }[] }
    expect(tables.every(({ copied }) => copied === 0)).toBe(true)
  })

  it('step 3: verify accounts for every row, and the five extra columns are there (C16)', async () => {
    const { exitCode, data } = await project.json<{ ok: boolean; tables: Record<string, number | string>[] }>(
      'move', 'verify', 'reanna_router.db', ...into,
    ) // biome-ignore format: one line reads better
    expect(exitCode).toBe(0)
    expect(data.ok).toBe(true)
    for (const { rows, equal, mapped, rejected, missing, extra, sourceChecksum, targetChecksum } of data.tables) {
      expect([missing, extra]).toEqual([0, 0])
      expect(Number(equal) + Number(mapped) + Number(rejected)).toBe(rows)
      expect(sourceChecksum).toBe(targetChecksum)
    }
    const { rows } = await database.query('select count(square_footage)::int as known from property_visits')
    expect(rows[0].known).toBeGreaterThan(0)
  })

  it('C17, C18: ids have dashes, broken JSON is NULL, missing feedback is empty text, each with its line', async () => {
    const source = new Sqlite(file, { readonly: true })
    const withoutText = source.prepare('select id from feedback where raw_feedback is null').pluck().get()
    source.close()
    const { rows } = await database.query(
      `select (select count(*) from tours where route_data is null)::int as "noRoute",
              (select raw_feedback from feedback where id = $1::uuid) as text,
              (select json_agg(json_build_object('table', table_name, 'outcome', outcome) order by table_name)
                 from tidemark.move_rejects) as rejects`,
      [withoutText],
    )
    expect(rows[0].noRoute).toBeGreaterThanOrEqual(1)
    expect(rows[0].text).toBe('')
    expect(rows[0].rejects).toEqual([
      { table: 'feedback', outcome: 'valueReplaced' },
      { table: 'property_visits', outcome: 'rowRejected' },
      { table: 'tours', outcome: 'valueReplaced' },
    ])
  })
})
