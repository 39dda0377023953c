import { describe, expect, it } from 'vitest'
import { testUrl } from '../../schema/testing/bootstrapped-template.js'
import { until } from '../../time/until.js'
import { type Beholder, seesNew, seesOld, undecided } from '../changes/visibility-port.js'
import { beholder, questionOf, user, userId, useVisibility, verdictsOf } from './testing/use-visibility.js'

const { query, open, relation, rowsIn, insertOf, deleteOf, admin, database } = useVisibility()

const anon = beholder('anon')
const ofOpen = async (table: string, beholders: readonly Beholder[], visibility = open()) => {
  const given = await relation(table)
  const changes = (await rowsIn(given)).map((row) => insertOf(given, row))
  return verdictsOf(await visibility.judge(questionOf(changes, beholders)))
}

describe('grants', () => {
  it('without SELECT on the table nothing is seen, not even a key', async () => {
    await query(
      `create table closed (id int primary key, body text); insert into closed values (1, 'x'); grant select on closed to authenticated`,
    )
    const visibility = open()
    const given = await relation('closed', 'default')
    const [row = []] = await rowsIn(given)
    const answer = await visibility.judge(questionOf([insertOf(given, row), deleteOf(given, row)], [anon, user(1)]))
    expect(verdictsOf(answer)).toEqual([
      [0, seesNew],
      [0, seesOld],
    ])
    expect(answer.readable('anon', given)).toEqual({ columns: new Set(), rowSecurity: true })
    expect(answer.readable('authenticated', given)).toEqual({ columns: new Set(['id', 'body']), rowSecurity: false })
  })

  it('columns are readable by their own grants', async () => {
    await query(
      `create table parts (id int primary key, shown text, hidden text); insert into parts values (1, 'a', 'b'); grant select (id, shown) on parts to anon`,
    )
    const visibility = open()
    expect(await visibility.readable('anon', { schema: 'public', table: 'parts' })).toEqual({
      columns: new Set(['id', 'shown']),
      rowSecurity: false,
    })
    expect(await ofOpen('parts', [anon, user(1)], visibility)).toEqual([[seesNew, 0]])
  })

  it('nobody sees a table of a schema that the role may not use', async () => {
    await query(`create schema hidden; create table hidden.t (id int primary key); grant select on hidden.t to anon`)
    expect(await open().readable('anon', { schema: 'hidden', table: 't' })).toEqual({ columns: new Set(), rowSecurity: true })
  })

  it('a role that the login may not become sees nothing, whatever it may', async () => {
    expect(await ofOpen('closed', [beholder('tidemark_migrator'), beholder('postgres'), beholder('no such role')])).toEqual([
      [0, 0, 0],
    ])
  })

  it('a table that is not there, or is another by now, is seen by nobody', async () => {
    await query('create table again (id int primary key); insert into again values (1); grant select on again to anon')
    const visibility = open()
    const given = await relation('again')
    const change = insertOf(given, (await rowsIn(given))[0] ?? [])
    expect(verdictsOf(await visibility.judge(questionOf([change], [anon])))).toEqual([[seesNew]])
    await query('drop table again')
    await visibility.stop()
    expect(verdictsOf(await open().judge(questionOf([change], [anon])))).toEqual([[0]])
    await query('create table again (id int primary key); grant select on again to anon')
    expect(verdictsOf(await open().judge(questionOf([change], [anon])))).toEqual([[undecided]])
  })
})

describe('row security', () => {
  it('does not count for the owner, unless it is forced', async () => {
    await admin.query(`do $$ begin create role visibility_owner nologin; exception when duplicate_object then null; end $$;
      grant visibility_owner to authenticator; grant usage on schema public to visibility_owner;
      create table mine (id int primary key); insert into mine values (1); alter table mine enable row level security; alter table mine owner to visibility_owner`)
    await admin.query('grant select on mine to tidemark_migrator')
    const given = await relation('mine')
    const change = insertOf(given, ['1'])
    const judge = async () => verdictsOf(await open().judge(questionOf([change], [beholder('visibility_owner'), user(1)])))
    expect(await judge()).toEqual([[seesNew, 0]])
    await admin.query('alter table mine force row level security')
    expect(await judge()).toEqual([[0, 0]])
    await admin.query('drop table mine; revoke usage on schema public from visibility_owner; drop role visibility_owner')
  })

  it('a policy for a role counts for its members', async () => {
    await admin.query(`do $$ begin create role visibility_staff nologin; exception when duplicate_object then null; end $$`)
    await query(`create table staff (id int primary key); insert into staff values (1); grant select on staff to authenticated;
      alter table staff enable row level security; create policy p on staff to visibility_staff using (true)`)
    expect(await ofOpen('staff', [user(1)])).toEqual([[0]])
    await admin
      .query('grant visibility_staff to authenticated with inherit true')
      .catch(() => admin.query('grant visibility_staff to authenticated'))
    const { rows } = await admin.query<{ inherits: boolean }>(
      `select pg_has_role('authenticated', 'visibility_staff', 'USAGE') as inherits`,
    )
    expect(await ofOpen('staff', [user(1)])).toEqual([[rows[0]?.inherits ? seesNew : 0]])
    await query('drop table staff')
    await admin.query('drop role visibility_staff')
  })

  it('tables that a policy looks up are seen as the caller sees them', async () => {
    await query(`create table teams (id int, member uuid); insert into teams values (1, '${userId(1)}'), (1, '${userId(2)}');
      alter table teams enable row level security; grant select on teams to authenticated; create policy own on teams using (member = '${userId(1)}'::uuid);
      create table plans (id int primary key, team int); insert into plans values (1, 1); grant select on plans to authenticated; alter table plans enable row level security;
      create policy p on plans using (exists (select from teams t where t.id = plans.team and t.member = auth.uid()))`)
    // The second is a member, and may not know it.
    expect(await ofOpen('plans', [user(1), user(2)])).toEqual([[seesNew, 0]])
  })

  it('a function in a schema that only the owner may use decides as it does in a SELECT', async () => {
    await query(`create schema private; create function private.is_first() returns boolean language sql stable security definer set search_path = '' as
        'select auth.uid() = ''${userId(1)}'''; grant execute on function private.is_first() to authenticated;
      create table guarded (id int primary key); insert into guarded values (1); grant select on guarded to authenticated;
      alter table guarded enable row level security; create policy p on guarded using (private.is_first())`)
    const visibility = open()
    expect(await ofOpen('guarded', [user(1), user(2)], visibility)).toEqual([[seesNew, 0]])
    // Beside policies that look up tables with row security of their own.
    await query(`create table guests (guest uuid); insert into guests values ('${userId(2)}'); grant select on guests to authenticated;
      alter table guests enable row level security; create policy own on guests using (guest = auth.uid());
      create policy q on guarded using (exists (select from guests g where g.guest = auth.uid()));
      create policy r on guarded as restrictive using (auth.uid() <> '${userId(4)}')`)
    expect(await ofOpen('guarded', [user(1), user(2), user(3)])).toEqual([[seesNew, seesNew, 0]])
    await query(`alter policy r on guarded using (auth.uid() <> '${userId(2)}' and private.is_first() is not null)`)
    expect(await ofOpen('guarded', [user(1), user(2), user(3)])).toEqual([[seesNew, 0, 0]])
    await query(
      'drop policy q on guarded; drop policy r on guarded; revoke execute on function private.is_first() from authenticated',
    )
    expect(await ofOpen('guarded', [user(1)])).toEqual([[undecided]])
  })
})

describe('values', () => {
  it('a generated column is worked out, since the log does not tell it', async () => {
    await query(`create table made (id int primary key, a int, twice int generated always as (a * 2) stored, b text); insert into made (id, a, b) values (1, 1, 'x'), (2, 2, 'y');
      grant select on made to anon; alter table made enable row level security; create policy p on made using (twice = 4 and b = 'y')`)
    expect(await ofOpen('made', [anon])).toEqual([[0], [seesNew]])
  })

  it('a value that a policy reads and the log does not tell leaves it open', async () => {
    await query(`create table large (id int primary key, kind text, body text); insert into large values (1, 'x', 'y'); grant select on large to anon;
      alter table large enable row level security; create policy p on large using (kind = 'x')`)
    const visibility = open()
    const given = await relation('large')
    const changes = [insertOf(given, ['1', 'x', undefined]), insertOf(given, ['1', undefined, 'y'])]
    const answer = await visibility.judge(questionOf(changes, [anon]))
    expect(verdictsOf(answer)).toEqual([[seesNew], [undecided]])
    expect([...answer.reasons.values()]).toEqual(['a policy on public.large reads a value that the log does not tell'])
  })

  it('columns that were added, dropped and altered since are no hindrance where no policy reads them', async () => {
    await query(`create table shapes (id int primary key, gone int, kind text, other int); insert into shapes values (1, 1, 'x', 1); grant select on shapes to anon;
      alter table shapes enable row level security; create policy p on shapes using (kind = 'x')`)
    const given = await relation('shapes')
    const [row = []] = await rowsIn(given)
    await query(`alter table shapes drop column gone, add column more text, alter column other type text`)
    expect(verdictsOf(await open().judge(questionOf([insertOf(given, row)], [anon])))).toEqual([[seesNew]])
    await query(`drop policy p on shapes; create policy p on shapes using (other = '1')`)
    expect(verdictsOf(await open().judge(questionOf([insertOf(given, row)], [anon])))).toEqual([[undecided]])
  })
})

describe('what changes takes effect', () => {
  const cases: readonly (readonly [what: string, sql: string, before: number, after: number])[] = [
    ['a policy that is dropped', 'drop policy p on c', seesNew, 0],
    ['a policy that is made', `create policy p on c using (true)`, 0, seesNew],
    ['a policy that is altered', `alter policy p on c using (id = 2)`, seesNew, 0],
    ['a grant that is taken', 'revoke select on c from anon', seesNew, 0],
    ['a grant that is given', 'grant select on c to anon', 0, seesNew],
    ['row security that is turned on', 'alter table c enable row level security', seesNew, 0],
    ['row security that is turned off', 'alter table c disable row level security', 0, seesNew],
    ['a schema that is closed', 'revoke usage on schema public from anon, public', seesNew, 0],
  ]

  const made: Readonly<Record<string, string>> = {
    'a policy that is dropped':
      'alter table c enable row level security; create policy p on c using (true); grant select on c to anon',
    'a policy that is made': 'alter table c enable row level security; grant select on c to anon',
    'a policy that is altered':
      'alter table c enable row level security; create policy p on c using (id = 1); grant select on c to anon',
    'a grant that is taken': 'grant select on c to anon',
    'a grant that is given': '',
    'row security that is turned on': 'grant select on c to anon',
    'row security that is turned off': 'alter table c enable row level security; grant select on c to anon',
    'a schema that is closed': 'grant select on c to anon',
  }

  it.each(cases)('%s, for all that is judged after it is heard of', async (what, sql, before, after) => {
    await query(`drop table if exists c; create table c (id int primary key); insert into c values (1); ${made[what]}`)
    const visibility = open({ maxAgeMs: 60_000, listen: { url: testUrl(database.url, 'authenticator') } })
    const given = await relation('c')
    const judge = async () => verdictsOf(await visibility.judge(questionOf([insertOf(given, ['1'])], [anon])))[0]?.[0]
    await until(
      async () =>
        (
          await admin.query(
            `select from pg_stat_activity where datname = current_database() and application_name like '%realtime-access%' and state = 'idle'`,
          )
        ).rowCount !== 0,
      {
        what: 'A session that listens',
      },
    )
    expect(await judge()).toBe(before)
    await (sql.includes('schema') ? admin : { query }).query(sql)
    try {
      await until(async () => (await judge()) === after, { what: 'The new answer' })
    } finally {
      await admin.query('grant usage on schema public to anon, public')
    }
  })

  it.each(cases)('%s, within its age where nobody tells of it', async (what, sql, before, after) => {
    await query(`drop table if exists c; create table c (id int primary key); insert into c values (1); ${made[what]}`)
    const visibility = open({ maxAgeMs: 0 })
    const given = await relation('c')
    const judge = async () => verdictsOf(await visibility.judge(questionOf([insertOf(given, ['1'])], [anon])))[0]?.[0]
    expect(await judge()).toBe(before)
    await (sql.includes('schema') ? admin : { query }).query(sql)
    try {
      expect(await judge()).toBe(after)
    } finally {
      await admin.query('grant usage on schema public to anon, public')
    }
  })
})

describe('Postgres that is away', () => {
  it('is no answer', async () => {
    await query(`create table away (id int primary key); insert into away values (1); grant select on away to anon`)
    const given = await relation('away')
    const pool = {
      batch: () => Promise.reject(new Error('gone')),
    }
    await expect((async () => open({ pool }).judge(questionOf([insertOf(given, ['1'])], [anon])))()).rejects.toThrow('gone')
  })
})
