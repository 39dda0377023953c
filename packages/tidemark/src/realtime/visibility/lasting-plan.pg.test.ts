import { describe, expect, it } from 'vitest'
import { seesNew } from '../changes/visibility-port.js'
import { askedOnce, planLasts } from './lasting-plan.js'
import { questionOf, user, userId, useVisibility, verdictsOf } from './testing/use-visibility.js'

const { query, admin, open, relation, rowsIn, insertOf } = useVisibility()

const users = Array.from({ length: 20 }, (_unused, n) => user(n))

const claim = `nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'`

/** Policies on a table with `id`, `owner` and `team`, with what they need. By each of them a user sees its own rows. `lasts`: one plan does for all. */
const cases: Readonly<Record<string, { readonly needs?: string; readonly using: string; readonly lasts: boolean }>> = {
  'a column of the owner': { using: `owner = auth.uid() and id > 0`, lasts: true },
  'another table': { using: `exists (select from people p where p.id = owner and p.id = (select auth.uid()))`, lasts: true },
  'the role': { using: `owner::text = (auth.jwt() ->> 'sub') and auth.role() = 'authenticated'`, lasts: true },
  'texts and names that look like who calls': {
    needs: `alter table lasting add "auth.uid()" int`,
    using: `owner = auth.uid() and 'auth.uid()' = 'auth.' || 'uid()' and E'\\'auth.uid()\\\\' <> '' and "auth.uid()" is null`,
    lasts: true,
  },
  'columns that are called as variables of the block': {
    needs: `alter table lasting add subject uuid, add verdict text, add spent boolean`,
    using: `owner = auth.uid() and subject is null and verdict is null and not coalesce(spent, false)`,
    lasts: true,
  },
  'a function that plans for itself': {
    needs: `create function lasting_member(uuid) returns boolean language plpgsql stable security definer as $f$ begin return $1 = auth.uid(); end $f$`,
    using: `lasting_member(owner)`,
    lasts: true,
  },
  'a function that lies': {
    needs: `create function lasting_me() returns uuid language plpgsql immutable as $f$ begin return (${claim})::uuid; end $f$`,
    using: `owner = lasting_me()`,
    lasts: false,
  },
  'a function that passes on a lie': {
    needs: `create function lasting_lie() returns uuid language plpgsql immutable as $f$ begin return (${claim})::uuid; end $f$;
      create function lasting_through() returns uuid language sql stable as 'select lasting_lie()'`,
    using: `owner = lasting_through()`,
    lasts: false,
  },
  'a function that Postgres keeps parsed': {
    needs: `create function lasting_parsed_lie() returns uuid language plpgsql immutable as $f$ begin return (${claim})::uuid; end $f$;
      create function lasting_parsed() returns uuid language sql stable begin atomic select lasting_parsed_lie(); end`,
    using: `owner = lasting_parsed()`,
    lasts: false,
  },
  'a function that hides a lie': {
    needs: `create function lasting_hidden() returns uuid language plpgsql immutable as $f$ begin return (${claim})::uuid; end $f$;
      create function lasting_quiet() returns uuid language sql stable as $f$ select -- '
        lasting_hidden() -- '
      $f$`,
    using: `owner = lasting_quiet()`,
    lasts: false,
  },
  'a default that lies': {
    needs: `create function lasting_default() returns uuid language plpgsql immutable as $f$ begin return (${claim})::uuid; end $f$;
      create function lasting_given(one uuid default lasting_default()) returns uuid language plpgsql stable as 'begin return one; end'`,
    using: `owner = lasting_given()`,
    lasts: false,
  },
  'a table whose own policy lies': {
    needs: `create function lasting_self() returns uuid language plpgsql immutable as $f$ begin return (${claim})::uuid; end $f$;
      create table lasting_others (id uuid primary key); insert into lasting_others select id from people; grant select on lasting_others to authenticated;
      alter table lasting_others enable row level security; create policy p on lasting_others using (id = lasting_self())`,
    using: `exists (select from lasting_others o where o.id = owner)`,
    lasts: false,
  },
  'an operator that lies': {
    needs: `create function lasting_is(uuid, integer) returns boolean language plpgsql immutable as $f$ begin return $1 = (${claim})::uuid; end $f$;
      create operator public.=== (leftarg = uuid, rightarg = integer, function = lasting_is)`,
    using: `owner === 1`,
    lasts: false,
  },
  'a view': {
    needs: `create view lasting_view with (security_invoker) as select id from people where id = auth.uid(); grant select on lasting_view to authenticated`,
    using: `exists (select from lasting_view v where v.id = owner)`,
    lasts: false,
  },
}

const prepare = async (needs: string | undefined, using: string) => {
  await query(`drop table if exists lasting; create table if not exists people (id uuid primary key); grant select on people to authenticated;
    insert into people select ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid from generate_series(0, 19) n on conflict do nothing;
    create table lasting (id int primary key, owner uuid, team int); grant select on lasting to authenticated; alter table lasting enable row level security`)
  if (needs) await query(`${needs}; grant execute on all functions in schema public to authenticated`)
  await query(`create policy p on lasting using (${using})`)
  await query(
    `insert into lasting (id, owner, team) select n, ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 1 from generate_series(1, 5) n`,
  )
  return relation('lasting')
}

const lasts = async (oid: number): Promise<boolean> => {
  const { rows } = await admin.query<{ lasts: boolean }>(`select ${planLasts(oid)} as lasts`)
  return rows[0]?.lasts === true
}

describe('one plan for all callers (RT-1, soundness 23)', () => {
  it.each(Object.entries(cases))(
    'where a policy is made of %s: is made where it holds, and each sees its own',
    async (_name, one) => {
      const given = await prepare(one.needs, one.using)
      expect(await lasts(given.oid)).toBe(one.lasts)
      const changes = (await rowsIn(given)).map((row) => insertOf(given, row))
      const seen = verdictsOf(await open().judge(questionOf(changes, users)))
      expect(seen).toEqual([1, 2, 3, 4, 5].map((owner) => users.map((_user, n) => (n === owner ? seesNew : 0))))
    },
  )

  it.each(['immutable', 'volatile'])('is none any more once auth.jwt() says %s', async (volatility) => {
    const given = await prepare(undefined, `owner = auth.uid() and id > 0`)
    expect(await lasts(given.oid)).toBe(true)
    await admin.query(`alter function auth.jwt() ${volatility}`)
    expect(await lasts(given.oid)).toBe(false)
    await admin.query('alter function auth.jwt() stable')
  })

  it('asks once for all rows who calls, and leaves texts and names as they are', () => {
    const expression = `((owner = auth.uid()) AND ("auth.uid()" = 'it''s auth.uid()'::text) AND (my_auth.uid() = auth.role()))`
    const once = `((owner = (select auth.uid())) AND ("auth.uid()" = 'it''s auth.uid()'::text) AND (my_auth.uid() = (select auth.role())))`
    expect(askedOnce(expression)).toBe(once)
  })

  it('rows that are alike in what the policy reads are asked about once, and all are told', async () => {
    const given = await prepare(undefined, `owner = auth.uid() and id is not null and team = 1`)
    const rows = Array.from({ length: 30 }, (_unused, n) => [String(n % 2), userId(1 + (n % 3)), '1'])
    const seen = verdictsOf(
      await open().judge(
        questionOf(
          rows.map((row) => insertOf(given, row)),
          users,
        ),
      ),
    )
    expect(seen).toEqual(rows.map((_row, n) => users.map((_user, which) => (which === 1 + (n % 3) ? seesNew : 0))))
  })
})
