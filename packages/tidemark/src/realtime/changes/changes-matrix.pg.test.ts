import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Caller } from '../../auth/caller.js'
import { bootstrappedTemplate, testUrl } from '../../schema/testing/bootstrapped-template.js'
import { useDatabase } from '../../testing/postgres/use-database.js'
import { until } from '../../time/until.js'
import type { ChangeEvent } from '../realtime.js'
import { anonymous, createTold, type OpenTold, openTold, type Told, user, userId } from './testing/open-told.js'

const [ann, bob] = [userId(1), userId(2)]

interface Row {
  readonly id: number
  readonly owner: string
  readonly name: string
}

interface Change {
  readonly sql: (table: string) => string
  readonly old?: Row
  readonly new?: Row
}

/** One row that is renamed, given away and taken back, and one of somebody else. */
const rows = {
  mine: { id: 1, owner: ann, name: 'a1' },
  renamed: { id: 1, owner: ann, name: 'b1' },
  given: { id: 1, owner: bob, name: 'b1' },
  theirs: { id: 2, owner: bob, name: 'a1' },
} as const satisfies Readonly<Record<string, Row>>

const insert = (row: Row): Change => ({
  sql: (table) => `insert into ${table} values (${row.id}, '${row.owner}', '${row.name}')`,
  new: row,
})
const update = (old: Row, row: Row): Change => ({
  sql: (table) => `update ${table} set owner = '${row.owner}', name = '${row.name}' where id = ${row.id}`,
  old,
  new: row,
})
const remove = (row: Row): Change => ({ sql: (table) => `delete from ${table} where id = ${row.id}`, old: row })

const changes: readonly Change[] = [
  insert(rows.mine),
  update(rows.mine, rows.renamed),
  update(rows.renamed, rows.given),
  update(rows.given, rows.mine),
  insert(rows.theirs),
  remove(rows.mine),
  remove(rows.theirs),
]

interface Policy {
  /** Undefined: no row security. */
  readonly using: string | undefined
  readonly sees: (sub: string | undefined, row: Row) => boolean
  /** It reads nothing but the key. */
  readonly byKey?: boolean
}

const policies: Readonly<Record<string, Policy>> = {
  off: { using: undefined, sees: () => true },
  none: { using: 'false', sees: () => false, byKey: true },
  own: { using: 'owner = auth.uid()', sees: (sub, { owner }) => owner === sub },
  key: { using: 'id % 2 = 1', sees: (_sub, { id }) => id % 2 === 1, byKey: true },
  member: {
    using: 'exists (select from members m where m.member = (select auth.uid()) and m.owner = matrix.owner)',
    // Bob is a member of both.
    sees: (sub, { owner }) => sub === bob || (sub === ann && owner === ann),
  },
}

const filters: Readonly<Record<string, (row: Partial<Row>) => boolean>> = {
  '': () => true,
  'id=eq.1': ({ id }) => id === 1,
  'name=eq.a1': ({ name }) => name === 'a1',
  // Which nobody but Postgres can decide.
  'name=imatch.^A': ({ name }) => name?.startsWith('a') === true,
}

const callers: readonly (readonly [sub: string | undefined, caller: Caller])[] = [
  [ann, user(1)],
  [bob, user(2)],
  [undefined, anonymous],
]

/** What docs/realtime.md promises of one change. */
const expected = (
  { old, new: now }: Change,
  { using, sees, byKey }: Policy,
  isFull: boolean,
  sub: string | undefined,
  filter: (row: Partial<Row>) => boolean,
): ChangeEvent | undefined => {
  const secured = using !== undefined
  const seesNew = now !== undefined && sees(sub, now)
  const seesOld = old !== undefined && (isFull || byKey === true) && sees(sub, old)
  if (!old) return seesNew && filter(now!) ? 'INSERT' : undefined
  if (!now) return (!secured || seesOld) && filter(isFull ? old : { id: old.id }) ? 'DELETE' : undefined
  if (!secured || !isFull) return seesNew && filter(now) ? 'UPDATE' : undefined
  if (seesNew) return filter(now) ? (seesOld ? 'UPDATE' : 'INSERT') : undefined
  return seesOld && filter(old) ? 'DELETE' : undefined
}

describe('RT-1: insert, update and delete × replica identity × policy × filter', () => {
  const database = useDatabase({ template: bootstrappedTemplate })
  let sql: pg.Client
  let opened: OpenTold

  const tables = Object.entries(policies).flatMap(([name, policy]) =>
    [true, false].map((isFull) => ({ table: `${name}_${isFull ? 'full' : 'key'}`, policy, isFull })),
  )

  beforeAll(async () => {
    sql = new pg.Client({ connectionString: testUrl(database.url, 'migrator') })
    await sql.connect()
    const make = ({ table, policy: { using }, isFull }: (typeof tables)[number]) => `
      create table ${table} (id bigint primary key, owner uuid, name text);
      grant select on ${table} to anon, authenticated;
      ${isFull ? `alter table ${table} replica identity full;` : ''}
      ${using === undefined ? '' : `alter table ${table} enable row level security; create policy p on ${table} using (${using.replace('matrix', table)});`}
      alter publication supabase_realtime add table ${table};`
    await sql.query(`
      create table members (member uuid, owner uuid); grant select on members to anon, authenticated;
      insert into members values ('${ann}', '${ann}'), ('${bob}', '${ann}'), ('${bob}', '${bob}');
      create table ending (id int primary key); grant select on ending to anon, authenticated;
      alter publication supabase_realtime add table ending;
      ${tables.map(make).join('')}`)
    opened = await openTold({ url: database.url, slot: 'told_matrix' })
  })
  afterAll(async () => {
    await opened?.close()
    await sql?.end()
  })

  it('each caller is told what the table in docs/realtime.md says, in that order, and nothing else', async () => {
    const wanted: Record<string, readonly string[]> = {}
    const heard: Record<string, Told> = {}
    const listening: Promise<unknown>[] = []
    for (const { table, policy, isFull } of tables)
      for (const [sub, caller] of callers)
        for (const [filter, decides] of Object.entries(filters)) {
          const name = `${table} ${sub?.at(-1) ?? 'anon'} ${filter}`
          const told = createTold()
          const one = { event: '*', schema: 'public' } as const
          const bindings = [
            { ...one, table, ...(filter !== '' && { filter }) },
            { ...one, table: 'ending' },
          ]
          listening.push(opened.changes.listen({ caller, bindings, listener: told }))
          heard[name] = told
          wanted[name] = changes.flatMap((change) => {
            const event = expected(change, policy, isFull, sub, decides)
            return event === undefined ? [] : [`${event} ${(change.new ?? change.old)!.id}`]
          })
        }
    await Promise.all(listening)
    for (const { table } of tables) for (const change of changes) await sql.query(change.sql(table))
    await sql.query('insert into ending values (1)')
    const lines = ({ changes: told, gaps }: Told): readonly string[] => [
      ...told.map(({ change }) => `${change.event} ${(change.record ?? change.oldRecord)?.['id']}`),
      ...gaps.map(({ reason }) => `gap ${reason}`),
    ]
    await until(() => Object.values(heard).every((told) => told.changes.at(-1)?.change.table === 'ending'), { timeoutMs: 30_000 })
    expect(Object.fromEntries(Object.entries(heard).map(([name, told]) => [name, lines(told)]))).toEqual(
      Object.fromEntries(Object.entries(wanted).map(([name, each]) => [name, [...each, 'INSERT 1']])),
    )
    // It could fail: each of the events is expected of somebody.
    for (const event of ['INSERT', 'UPDATE', 'DELETE'])
      expect(
        Object.values(wanted)
          .flat()
          .filter((line) => line.startsWith(event)).length,
      ).toBeGreaterThan(20)
  })
})
