import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { copyMove } from '../../../packages/tidemark/src/move/copy/copy.js'
import { planMove } from '../../../packages/tidemark/src/move/plan/plan.js'
import { dishonesties } from '../../../packages/tidemark/src/move/quirks/honesty.js'
import { lookPlainly } from '../../../packages/tidemark/src/move/quirks/run-quirk.js'
import { moveRejects } from '../../../packages/tidemark/src/move/status.js'
import { verifyMove } from '../../../packages/tidemark/src/move/verify/verify.js'
import { appSource, platformSource } from '../../../packages/tidemark/src/schema/migration-files.js'
import { createMigrator } from '../../../packages/tidemark/src/schema/migrator.js'
import type { SchemaClient } from '../../../packages/tidemark/src/schema/schema.js'
import {
  connectTo,
  createBootstrappedDatabase,
  testUrl,
} from '../../../packages/tidemark/src/schema/testing/bootstrapped-template.js'
import type { TestDatabase } from '../../../packages/tidemark/src/testing/postgres/database.js'
import { generate, generateAcceptanceSample } from './generate.js'
import { reannaRouter } from './reanna-router.js'

const folder = mkdtempSync(join(tmpdir(), 'reanna-move-'))
const mapPath = fileURLToPath(reannaRouter.moveMap)
const opened: { database: TestDatabase; owner: SchemaClient }[] = []
let url = ''
let owner: SchemaClient
let files = 0

/** A database with the app's tables, as the migrator sees it: no superuser. */
beforeEach(async () => {
  const database = await createBootstrappedDatabase()
  url = testUrl(database.url, 'migrator')
  const connect = connectTo(url)
  await createMigrator({ connect, sources: [platformSource, appSource(reannaRouter.name, reannaRouter.migrations)] }).up()
  owner = await connect()
  opened.push({ database, owner })
})

afterAll(async () => {
  for (const each of opened) {
    await each.owner.end()
    await each.database.drop()
  }
  rmSync(folder, { recursive: true, force: true })
})

const newPath = (): string => join(folder, `reanna_router_${++files}.db`)
const planned = (path: string) => planMove({ path, into: 'existing', mapPath, target: { url } })

const move = async (path: string) => {
  const plan = await planned(path)
  const copy = await copyMove(plan, { target: { url } })
  const verification = await verifyMove(plan, { target: { url } })
  return { plan, copy, verification, ...(await lookPlainly({ path, target: { url } }, plan, copy.runId)) }
}

const one = async <T extends object>(sql: string): Promise<T> => (await owner.query<T>(sql)).rows[0]!

describe('S1: reanna_router.db into the tables of the app', () => {
  it('R81, R87, C15: steps 2 and 3: the acceptance sample', async () => {
    const path = newPath()
    expect(generateAcceptanceSample(path)).toMatchObject({ tours: 3 })
    const plan = await planned(path)
    expect(Object.fromEntries(plan.tables.map(({ source, rows }) => [source, rows]))).toEqual({
      tours: 3,
      property_visits: 7,
      tasks: 12,
      feedback: 5,
    })
    expect(plan.hazards.map(({ code, table, count, keys }) => ({ code, table, count, keys }))).toEqual(
      expect.arrayContaining([
        { code: 'invalidJson', table: 'tours', count: 1, keys: ["id='aaaaaaaa000040008000000000000002'"] },
        { code: 'orphan', table: 'property_visits', count: 1, keys: ["id='bbbbbbbb000040008000000000000007'"] },
        { code: 'nullReplaced', table: 'feedback', count: 1, keys: ["id='dddddddd000040008000000000000002'"] },
      ]),
    )
    expect(plan.hazards).toHaveLength(3)
    expect(
      await one('SELECT (SELECT count(*) FROM tours)::int AS tours, (SELECT count(*) FROM tidemark.move_runs)::int AS runs'),
    ).toEqual({ tours: 0, runs: 0 })

    const moved = await move(path)
    expect(dishonesties(moved)).toEqual([])
    expect(moved.verification.ok).toBe(true)
    expect(moved.copy).toMatchObject({ ok: true, unallowedRejects: 0 })
    expect(moved.verification.tables.map(({ table, rows, rejected }) => [table, rows, rejected])).toEqual([
      ['tours', 3, 0],
      ['property_visits', 7, 1],
      ['tasks', 12, 0],
      ['feedback', 5, 0],
    ])
    const rejects = await moveRejects({ target: { url }, path })
    expect(
      rejects
        .map(({ table, column, outcome, allowed, key }) => ({ table, column, outcome, allowed, key }))
        .sort((a, b) => (a.table < b.table ? -1 : 1)),
    ).toEqual([
      {
        table: 'feedback',
        column: 'raw_feedback',
        outcome: 'valueReplaced',
        allowed: true,
        key: "id='dddddddd000040008000000000000002'",
      },
      {
        table: 'property_visits',
        column: 'tour_id',
        outcome: 'rowRejected',
        allowed: true,
        key: "id='bbbbbbbb000040008000000000000007'",
      },
      {
        table: 'tours',
        column: 'route_data',
        outcome: 'valueReplaced',
        allowed: true,
        key: "id='aaaaaaaa000040008000000000000002'",
      },
    ])
    expect(Buffer.from(rejects.find(({ table }) => table === 'tours')!.bytes!, 'base64').toString()).toBe(
      "{'strategy': 'optimize', 'legs': []}",
    )
    expect(
      await one(`SELECT (SELECT raw_feedback FROM feedback WHERE id = 'dddddddd-0000-4000-8000-000000000002') AS text,
        (SELECT route_data FROM tours WHERE id = 'aaaaaaaa-0000-4000-8000-000000000002') AS route,
        (SELECT start_time AT TIME ZONE 'UTC' FROM tours WHERE id = 'aaaaaaaa-0000-4000-8000-000000000001')::text AS start,
        (SELECT row(contact_method, confirmation_status, constraint_indicator, square_footage, video_url)::text FROM property_visits WHERE id = 'bbbbbbbb-0000-4000-8000-000000000001') AS five`),
    ).toEqual({
      text: '',
      route: null,
      start: '2025-11-24 09:00:00',
      five: '(sms,confirmed,,1011,https://video.example.com/v/1)',
    })

    const again = await copyMove(await planned(path), { target: { url } })
    expect(again.tables.map(({ copied }) => copied)).toEqual([0, 0, 0, 0])
  })

  it.each([
    ['as it was', false],
    ['as later releases made it', true],
  ])('a file of 300 tours with many flaws, %s', async (_name, enhanced) => {
    const path = newPath()
    const counts = generate(path, { seed: 42, tours: 300, enhanced })
    const moved = await move(path)
    expect(dishonesties(moved)).toEqual([])
    expect(moved.verification.ok).toBe(true)
    expect(moved.copy.ok).toBe(true)
    const source = new Database(path, { readonly: true })
    const orphans = source
      .prepare('SELECT count(*) FROM property_visits WHERE tour_id NOT IN (SELECT id FROM tours)')
      .pluck()
      .get() as number
    source.close()
    expect(orphans).toBeGreaterThan(0)
    const visits = moved.verification.tables.find(({ table }) => table === 'property_visits')!
    expect(visits).toMatchObject({ rows: counts.property_visits, rejected: orphans })
    const kept = await one<{ known: number; sums: string }>(
      'SELECT count(square_footage)::int AS known, sum(square_footage)::text AS sums FROM property_visits',
    )
    expect(kept.known).toBeGreaterThan(0)
  })
})
