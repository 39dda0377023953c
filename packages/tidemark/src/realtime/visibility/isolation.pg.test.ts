import { beforeAll, describe, expect, it } from 'vitest'
import type { RowChange } from '../../feed/feed.js'
import type { SignalInput } from '../../observability/observability.js'
import { createFakeClock } from '../../testing/fake-clock.js'
import { lockWaits } from '../../testing/postgres/lock-waits.js'
import { until } from '../../time/until.js'
import { type Beholder, seesNew, seesOld, undecided } from '../changes/visibility-port.js'
import { beholder, questionOf, user, userId, useVisibility, verdictsOf } from './testing/use-visibility.js'

const { query, open, relation, rowsIn, insertOf, updateOf, deleteOf, admin } = useVisibility()

const anon = beholder('anon')

const signalsInto = (raised: SignalInput[]) => ({
  raise: (signal: SignalInput) => raised.push(signal),
  listen: () => () => {},
  recent: () => [],
})

beforeAll(async () => {
  await query(`create table notes (id int primary key, owner uuid, body text); grant select on notes to anon, authenticated;
    alter table notes enable row level security; create policy own on notes for select to authenticated using (owner = (select auth.uid()))`)
})

describe('many users', () => {
  const thousand = Array.from({ length: 1_000 }, (_unused, n) => user(n))

  const rowOf = async (id: number, owner: number) => {
    await query('insert into notes values ($1, $2, $3) on conflict do nothing', [id, userId(owner), 'x'])
    return (await rowsIn(await relation('notes'), `id = ${id}`))[0] ?? []
  }

  /** Told apart from a policy that the memory decides by another form of the same. */
  const askedForm = async (work: () => Promise<void>): Promise<void> => {
    await query('alter policy own on notes using (owner = (select auth.uid()) and id is not null)')
    await work()
    await query('alter policy own on notes using (owner = (select auth.uid()))')
  }

  const eachOwn = async (): Promise<void> => {
    const visibility = open()
    const given = await relation('notes')
    const changes: RowChange[] = []
    for (const owner of [7, 999, 0]) changes.push(insertOf(given, await rowOf(1_000 + owner, owner)))
    const answer = await visibility.judge(questionOf(changes, [...thousand, anon]))
    const seen = verdictsOf(answer).map((own) => own.flatMap((verdict, index) => (verdict === 0 ? [] : [[index, verdict]])))
    expect(seen).toEqual([[[7, seesNew]], [[999, seesNew]], [[0, seesNew]]])
    expect(answer.failed.size + answer.reasons.size).toBe(0)
  }

  it('1,000 users see each only their own, and an outsider nothing, by the column of the owner', eachOwn)
  it('1,000 users see each only their own, and an outsider nothing, by asking Postgres (soundness 23)', () => askedForm(eachOwn))

  it('a row that has changed hands since is judged by the values of the change (soundness 24)', async () => {
    const check = async (): Promise<void> => {
      const given = await relation('notes')
      const before = await rowOf(1, 1)
      const change = insertOf(given, before)
      // By the time that it is told the row is another's, and then gone.
      await query('update notes set owner = $1 where id = 1', [userId(2)])
      const after = await rowOf(1, 2)
      const update = updateOf(given, before, after)
      const removal = deleteOf(given, after)
      await query('delete from notes where id = 1')
      const answer = await open().judge(questionOf([change, update, removal], [user(1), user(2)]))
      expect(verdictsOf(answer)).toEqual([
        [seesNew, 0],
        [seesOld, seesNew],
        [0, seesOld],
      ])
    }
    await check()
    await askedForm(check)
  })

  it('claims of one turn are never mixed up, however often they come', async () => {
    await askedForm(async () => {
      const visibility = open()
      const given = await relation('notes')
      const rows = [await rowOf(201, 1), await rowOf(202, 2), await rowOf(203, 3)]
      const callers = [3, 1, 2, 1, 3].map((n) => user(n))
      const answers = await Promise.all(
        Array.from({ length: 5 }, () =>
          visibility.judge(
            questionOf(
              rows.map((row) => insertOf(given, row)),
              callers,
            ),
          ),
        ),
      )
      for (const answer of answers) {
        expect(verdictsOf(answer)).toEqual([
          [0, seesNew, 0, seesNew, 0],
          [0, 0, seesNew, 0, 0],
          [seesNew, 0, 0, 0, seesNew],
        ])
      }
    })
  })
})

describe('a policy that fails', () => {
  it('raises for one caller: that one is told nothing, the others everything', async () => {
    await query(`create table strict (id int primary key, owner uuid); grant select on strict to authenticated; alter table strict enable row level security;
      create policy p on strict using (1 / ((auth.jwt() ->> 'divisor')::int) = 1); insert into strict values (1, '${userId(1)}')`)
    const raised: SignalInput[] = []
    const visibility = open({ signals: signalsInto(raised) })
    const given = await relation('strict')
    const change = insertOf(given, (await rowsIn(given))[0] ?? [])
    const callers = [
      beholder('authenticated', { divisor: 1 }),
      beholder('authenticated', { divisor: 0 }),
      beholder('authenticated', { divisor: 1, x: 1 }),
    ]
    const judge = () => visibility.judge(questionOf([change, change], callers))
    const first = await judge()
    expect(verdictsOf(first)).toEqual([
      [seesNew, undecided, seesNew],
      [seesNew, undecided, seesNew],
    ])
    expect([...first.reasons]).toEqual([[1, 'a policy on public.strict raises SQLSTATE 22012']])
    expect(first.failed.size).toBe(0)
    await judge()
    // Again and again: it is asked for no more.
    expect([...(await judge()).failed.keys()]).toEqual([1])
    expect([...(await judge()).failed.keys()]).toEqual([1])
    expect(raised.map(({ name, subject }) => [name, subject])).toEqual([['realtime.policy', 'public.strict']])
  })

  it('raises for one row: the other rows of the same turn are told', async () => {
    await query(`create table casts (id int primary key, text text); grant select on casts to authenticated; alter table casts enable row level security;
      create policy p on casts using (text::int > 0); insert into casts values (1, '1'), (2, 'no number'), (3, '3')`)
    const given = await relation('casts')
    const visibility = open()
    const changes = (await rowsIn(given)).map((row) => insertOf(given, row))
    for (let turn = 0; turn < 5; turn += 1) {
      const answer = await visibility.judge(questionOf(changes, [user(1), user(2)]))
      expect(verdictsOf(answer)).toEqual([
        [seesNew, seesNew],
        [undecided, undecided],
        [seesNew, seesNew],
      ])
      expect(answer.failed.size).toBe(0)
    }
  })

  it('takes too long for one caller: Postgres ends it, and the others are told', async () => {
    await query(`create table slow (id int primary key); grant select on slow to authenticated; alter table slow enable row level security;
      create policy p on slow using (pg_sleep(coalesce((auth.jwt() ->> 'nap')::float8, 0)) is not null); insert into slow values (1)`)
    const raised: SignalInput[] = []
    const visibility = open({ budget: { turnMs: 100, hardMs: 200 }, signals: signalsInto(raised) })
    const given = await relation('slow')
    const change = insertOf(given, (await rowsIn(given))[0] ?? [])
    const callers = [user(1), beholder('authenticated', { nap: 30 }), ...Array.from({ length: 20 }, (_unused, n) => user(2 + n))]
    const startedAt = performance.now()
    const answer = await visibility.judge(questionOf([change], callers))
    expect(performance.now() - startedAt).toBeLessThan(15_000)
    expect(verdictsOf(answer)).toEqual([callers.map((_caller, index) => (index === 1 ? undecided : seesNew))])
    expect(answer.reasons.get(1)).toBe('the policies on public.slow take too long')
    expect([...(await visibility.judge(questionOf([change], callers))).failed.keys()]).toEqual([1])
    expect(raised.map(({ subject }) => subject)).toEqual(['public.slow'])
  })

  it('takes time for all: nobody is blamed, and all are told', async () => {
    const visibility = open({ budget: { turnMs: 100, hardMs: 2_000 } })
    const given = await relation('slow')
    const change = insertOf(given, (await rowsIn(given))[0] ?? [])
    const callers = Array.from({ length: 8 }, (_unused, n) => beholder('authenticated', { nap: 0.04, n }))
    const answer = await visibility.judge(questionOf([change], callers))
    expect(verdictsOf(answer)).toEqual([callers.map(() => seesNew)])
    expect(answer.reasons.size).toBe(0)
  })

  it('waits for a lock: it is asked again, and told once the lock is gone', async () => {
    await query(`create table looked (id int); grant select on looked to authenticated; insert into looked values (1);
      create table waits (id int primary key); grant select on waits to authenticated; alter table waits enable row level security;
      create policy p on waits using (exists (select from looked l where l.id = waits.id)); insert into waits values (1)`)
    const visibility = open({ budget: { turnMs: 50, hardMs: 2_000 } })
    const given = await relation('waits')
    const change = insertOf(given, (await rowsIn(given))[0] ?? [])
    await admin.query('begin; lock table looked in access exclusive mode')
    const answer = Promise.resolve(visibility.judge(questionOf([change], [user(1), user(2)])))
    await until(async () => (await query(`select from ${lockWaits}`)).rowCount !== 0, {
      what: 'A wait for the lock',
    })
    await admin.query('rollback')
    expect(verdictsOf(await answer)).toEqual([[seesNew, seesNew]])
  })
})

describe('the column of the owner', () => {
  it('is given up, loudly, where Postgres says otherwise', async () => {
    await query(`create table owned (id int primary key, owner uuid); grant select on owned to authenticated; alter table owned enable row level security;
      create policy p on owned using (owner = auth.uid()); insert into owned values (1, '${userId(1)}'); create table renamed (old uuid, new uuid);
      grant select on renamed to authenticated`)
    // A project may have an auth.uid() that knows more than the claims.
    const { rows } = await admin.query<{ source: string }>(`select pg_get_functiondef('auth.uid()'::regprocedure) as source`)
    await admin.query(`create or replace function auth.uid() returns uuid language sql stable as
      'select coalesce((select r.new from public.renamed r where r.old = (auth.jwt() ->> ''sub'')::uuid), (auth.jwt() ->> ''sub'')::uuid)'`)
    try {
      const raised: SignalInput[] = []
      const visibility = open({ sampleShare: 1, signals: signalsInto(raised) })
      const given = await relation('owned')
      const change = insertOf(given, (await rowsIn(given))[0] ?? [])
      const judge = async () => verdictsOf(await visibility.judge(questionOf([change], [user(1), user(2)])))
      expect(await judge()).toEqual([[seesNew, 0]])
      // Other tests may make roles meanwhile, after which everything is asked for anew: then it is tried again.
      await until(
        async () => {
          await query('delete from renamed')
          await judge()
          await query('insert into renamed values ($1, $2)', [userId(1), userId(9)])
          await judge()
          return raised.length > 0
        },
        { what: 'A word about it' },
      )
      await query('delete from renamed')
      expect(await judge()).toEqual([[seesNew, 0]])
      await query('insert into renamed values ($1, $2)', [userId(1), userId(9)])
      expect(await judge()).toEqual([[0, 0]])
      expect(raised.map(({ name, subject }) => [name, subject])).toEqual([['realtime.owner', 'public.owned']])
    } finally {
      await admin.query(rows[0]?.source ?? '')
    }
  })

  it('leaves those out of the question who own neither row, but for a few now and then', async () => {
    const clock = createFakeClock()
    // For as long as the clock stands still nobody is sampled again.
    const visibility = open({ sampleShare: 0, maxAgeMs: 10_000, clock })
    const given = await relation('owned')
    const everybody = Array.from({ length: 40 }, (_unused, n) => user(n))
    const change = updateOf(given, ['1', userId(3)], ['1', userId(5)])
    const asked = () => {
      const seesNothing = visibility.seesNothing(change)
      return everybody.flatMap((one, n) => (seesNothing?.(one) ? [] : [n]))
    }
    // Nobody is known yet.
    expect(asked()).toHaveLength(40)
    await visibility.judge(questionOf([change], everybody))
    expect(asked()).toEqual([3, 5])
    expect(asked()).toEqual([3, 5])
    await clock.advance(2_000)
    await until(() => asked().length > 2, { what: 'Somebody who owns neither' })
    const others = Array.from({ length: 20 }, () => asked().length - 2)
    expect(others.reduce((sum, one) => sum + one, 0) / 20).toBeLessThan(12)
    // A role that the column says nothing about, and a table that is another by now.
    expect(visibility.seesNothing(change)?.(beholder('service_role'))).toBe(false)
    expect(visibility.seesNothing({ ...change, relation: { ...given, oid: 1 } })?.(user(1))).toBe(false)
  })

  it('takes up an auth.uid() that is defined anew', async () => {
    const visibility = open({ maxAgeMs: 0, sampleShare: 0 })
    const given = await relation('owned')
    const change = insertOf(given, (await rowsIn(given))[0] ?? [])
    const callers: readonly Beholder[] = [user(1), user(2)]
    expect(verdictsOf(await visibility.judge(questionOf([change], callers)))).toEqual([[seesNew, 0]])
    const { rows } = await admin.query<{ source: string }>(`select pg_get_functiondef('auth.uid()'::regprocedure) as source`)
    await admin.query(`create or replace function auth.uid() returns uuid language sql stable as 'select null::uuid'`)
    expect(verdictsOf(await visibility.judge(questionOf([change], callers)))).toEqual([[0, 0]])
    await admin.query(rows[0]?.source ?? '')
  })
})
