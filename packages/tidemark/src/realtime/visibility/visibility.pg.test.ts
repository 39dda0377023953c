import { describe, expect, it } from 'vitest'
import type { RowChange } from '../../feed/feed.js'
import { type Beholder, seesNew, seesOld, undecided } from '../changes/visibility-port.js'
import { beholder, questionOf, user, userId, useVisibility, verdictsOf } from './testing/use-visibility.js'

const context = useVisibility()
const { query, open, relation, rowsIn, insertOf, updateOf, deleteOf, select } = context

const anon = beholder('anon')
const service = beholder('service_role')
const beholders: readonly Beholder[] = [user(1), user(2), anon, service]

interface Policy {
  /** Statements after the table `t` was made, its name in place of it. */
  readonly sql: (table: string) => string
  /** Whether it can be decided from the key alone, or without any column. */
  readonly byKey?: boolean
  readonly readsNothing?: boolean
  readonly raises?: boolean
}

const rls = (table: string): string => `alter table ${table} enable row level security;`

const policies: Readonly<Record<string, Policy>> = {
  off: { sql: () => '', byKey: true, readsNothing: true },
  none: { sql: rls },
  true: { sql: (t) => `${rls(t)} create policy p on ${t} using (true)`, byKey: true, readsNothing: true },
  uid: { sql: (t) => `${rls(t)} create policy p on ${t} for select using (owner = auth.uid())` },
  'uid in a subquery': { sql: (t) => `${rls(t)} create policy p on ${t} for select using ((select auth.uid()) = owner)` },
  key: { sql: (t) => `${rls(t)} create policy p on ${t} using (id % 2 = 1)`, byKey: true },
  membership: {
    sql: (t) =>
      `${rls(t)} create policy p on ${t} for select to authenticated using (exists (select from members m where m.team = ${t}.team and m.member = auth.uid()))`,
  },
  restrictive: {
    sql: (t) =>
      `${rls(t)} create policy p on ${t} using (team = 1); create policy r on ${t} as restrictive using (owner = (select auth.uid()))`,
  },
  'of another role': {
    sql: (t) =>
      `${rls(t)} create policy p on ${t} for select to anon using (team = 2); create policy q on ${t} for select to authenticated using (team = 1)`,
  },
  'of another command': { sql: (t) => `${rls(t)} create policy p on ${t} for update using (true)` },
  two: { sql: (t) => `${rls(t)} create policy p on ${t} using (owner = auth.uid()); create policy q on ${t} using (team = 2)` },
  'of its row type': {
    sql: (t) =>
      `create function sees_${t}(given ${t}) returns boolean language sql stable as 'select given.owner = auth.uid() and given.note is not null'; grant execute on function sees_${t}(${t}) to public;
       ${rls(t)} create policy p on ${t} using (sees_${t}(${t}.*))`,
  },
  'of the same table': {
    sql: (t) =>
      `${rls(t)} create policy p on ${t} using (id = (select max(o.id) from (values (1), (2), (3)) as o (id)) or owner = auth.uid())`,
  },
  headers: {
    sql: (t) => `${rls(t)} create policy p on ${t} using (current_setting('request.headers')::json ->> 'x' is null)`,
    byKey: true,
    readsNothing: true,
  },
  raising: { sql: (t) => `${rls(t)} create policy p on ${t} using (1 / (team - team) = 1)`, raises: true },
}

const makeTable = async (name: string, { sql }: Policy): Promise<void> => {
  await query(`create table ${name} (id int primary key, owner uuid not null, team int not null, note text)`)
  await query(`grant select on ${name} to anon, authenticated, service_role`)
  await query(sql(name))
  await query(
    `insert into ${name} values (1, '${userId(1)}', 1, 'a'), (2, '${userId(2)}', 2, null), (3, '${userId(1)}', 2, 'c'), (4, '${userId(2)}', 1, 'd')`,
  )
}

describe('who sees a change is who would see its rows (RT-1, matrix)', () => {
  it('knows the teams', async () => {
    await query(`create table members (team int, member uuid); grant select on members to authenticated;
      alter table members enable row level security; create policy own on members using (member = auth.uid());
      insert into members values (1, '${userId(1)}'), (2, '${userId(2)}')`)
  })

  it.each(Object.entries(policies))('policy %s', async (name, policy) => {
    const table = `m_${name.replaceAll(' ', '_')}`
    await makeTable(table, policy)
    const seen: (ReadonlySet<string> | undefined)[] = []
    for (const caller of beholders) seen.push(await select(table, caller, 'id'))
    expect(seen[2] === undefined).toBe(policy.raises === true)
    for (const identity of ['default', 'full', 'index', 'nothing'] as const) {
      // Anew for each: who raises again and again is asked for no more.
      const visibility = open({ sampleShare: 1 })
      // Knows everybody, and leaves them out.
      const calm = open({ sampleShare: 0 })
      const given = await relation(table, identity)
      const rows = await rowsIn(given)
      const pairs = rows.map((row, index) => [row, rows[(index + 1) % rows.length] ?? row] as const)
      const changes: readonly RowChange[] = [
        ...rows.map((row) => insertOf(given, row)),
        ...rows.map((row) => deleteOf(given, row)),
        ...pairs.map(([before, after]) => updateOf(given, before, after)),
      ]
      const expected = changes.map((change) =>
        beholders.map((caller, which) => {
          const visible = seen[which]
          const bypasses = caller.role === 'service_role'
          if (!visible) return change.new || given.identity === 'full' ? undecided : 0
          // Without an identity the log tells nothing of a row that is gone, not even its key.
          const isEnough = identity === 'nothing' ? policy.readsNothing : policy.byKey || identity === 'full'
          const tellsOld = change.old !== null && (bypasses || isEnough === true)
          const isSeen = identity === 'nothing' ? visible.size > 0 : visible.has(String(change.old?.[0]))
          const old = tellsOld && isSeen ? seesOld : 0
          return old | (change.new && visible.has(String(change.new[0])) ? seesNew : 0)
        }),
      )
      expect(verdictsOf(await visibility.judge(questionOf(changes, beholders))), identity).toEqual(expected)
      await calm.judge(questionOf(changes, beholders))
      changes.forEach((change, index) => {
        const seesNothing = calm.seesNothing(change)
        const left = beholders.filter((caller, which) => seesNothing?.(caller) && expected[index]?.[which] !== 0)
        expect(left, `${identity}: left out of a question, and sees something`).toEqual([])
      })
    }
  })
})
