import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { propertyRuns } from '../../testing/property-runs.js'
import { seesNew } from '../changes/visibility-port.js'
import { questionOf, user, userId, useVisibility, verdictsOf } from './testing/use-visibility.js'

const { query, open, relation, rowsIn, insertOf, select } = useVisibility()

/** A value of each kind as SQL, those that are easily spoilt among them. */
const values: Readonly<Record<string, readonly string[]>> = {
  bool: ['true', 'false', 'null'],
  int8: ['9223372036854775807', '-1', 'null'],
  numeric: ['123456789012345678901234567890.000100', "'NaN'", '0.1', 'null'],
  float8: ["'-Infinity'", '0.1::float8 + 0.2::float8', "'-0'", '1e300'],
  text: [`''`, `'a "quoted" \\ (b), {c}'`, `E'line\\n\\ttab'`, `'null'`, 'null', `'ﬀ𝕏'`],
  'varchar(5)': [`'abc'`, `''`, 'null'],
  'char(5)': [`'abc'`, `''`],
  bytea: [`'\\x00ff5c22'`, `''`, 'null'],
  timestamptz: [`'2024-02-29 12:00:00.123456+05:30'`, `'infinity'`, 'null'],
  timestamp: [`'1999-01-01 00:00:00.000001'`, `'4713-01-01 BC'`],
  interval: [`'1 mon -3 days 04:05:06.7'`, `'-1 year'`],
  jsonb: [`'{"a": [1, "x\\"y", null]}'`, `'"text"'`, `'null'`, 'null', `'1.10'`],
  json: [`'{"a":  1}'`, 'null'],
  'text[]': [`array['a,b', '"', '{}', null, '']`, `'{}'`, 'null'],
  'int[]': [`'[2:3]={1,2}'`, `array[[1, 2], [3, 4]]`],
  pair: [`row('a"b', 1.50)::pair`, `row(null, null)::pair`, 'null'],
  int4range: [`'[1,5)'`, `'empty'`],
  inet: [`'10.0.0.1/8'`],
  kind: [`'one'`, `'the other'`],
  uuid: [`'${userId(1)}'`, 'null'],
  positive: ['1', 'null'],
}

const types = Object.keys(values)

/** The value is what it is in the table itself: compared by its text and, where it can be, as it is. */
const sameAs = (column: string): string =>
  `(select o."${column}"::text is not distinct from mixed."${column}"::text from originals o where o.id = mixed.id)`

describe('values', () => {
  it('what a policy sees of a change is what it sees of the row, whatever its types', async () => {
    await query(
      `create type pair as (name text, amount numeric(10, 2)); create type kind as enum ('one', 'the other'); create domain positive as int check (value > 0)`,
    )
    await query(
      `create table mixed (id int primary key, gone int, ${types.map((type, index) => `c${index} ${type}`).join(', ')})`,
    )
    await query('alter table mixed drop column gone')
    const longest = Math.max(...Object.values(values).map(({ length }) => length))
    for (let id = 0; id < longest; id += 1) {
      const row = types.map((type) => values[type]?.[id % (values[type]?.length ?? 1)] ?? 'null')
      await query(`insert into mixed values (${[id, ...row].join(', ')})`)
    }
    await query(
      `create table originals as table mixed; grant select on originals, mixed to authenticated; alter table mixed enable row level security`,
    )
    await query(`create policy p on mixed using (${types.map((_type, index) => sameAs(`c${index}`)).join(' and ')})`)
    const given = await relation('mixed')
    const rows = await rowsIn(given)
    const changes = rows.map((row) => insertOf(given, row))
    expect(verdictsOf(await open().judge(questionOf(changes, [user(1)])))).toEqual(rows.map(() => [seesNew]))
    // It can tell a difference.
    await query('update originals set c4 = c4 || $1', ['x'])
    expect(verdictsOf(await open().judge(questionOf(changes, [user(1)]))).flat()).toContain(0)
  })

  it('any row under any policies: the same answer as a SELECT under row security gives', async () => {
    await query(
      `create table crowd (team int, member uuid); insert into crowd values (1, '${userId(1)}'), (2, '${userId(1)}'), (2, '${userId(2)}'); grant select on crowd to authenticated, anon`,
    )
    const conditions = [
      'true',
      'false',
      'owner = auth.uid()',
      '(select auth.uid()) = owner',
      `kind like 'a%'`,
      'kind is null',
      'exists (select from crowd c where c.team = any_table.team and c.member = auth.uid())',
      'team in (select c.team from crowd c where c.member = (select auth.uid()))',
      'amount > 1.5',
      `coalesce(doc ->> 'open', 'no') = 'yes'`,
      `auth.role() = 'anon'`,
      'null::boolean',
    ]
    const policy = fc.record({
      permissive: fc.boolean(),
      roles: fc.constantFrom('public', 'authenticated', 'anon', 'anon, authenticated'),
      command: fc.constantFrom('all', 'select', 'update'),
      condition: fc.constantFrom(...conditions),
    })
    const row = fc.record({
      owner: fc.constantFrom(userId(1), userId(2), null),
      team: fc.constantFrom(1, 2, 3, null),
      kind: fc.constantFrom('a', 'b', '', 'a"\\,', null),
      amount: fc.constantFrom('1.5', '1.50001', '-0', null),
      doc: fc.constantFrom('{"open":"yes"}', '{}', 'null', null),
    })
    const callers = [user(1), user(2), user(1, 'anon')]
    await fc.assert(
      fc.asyncProperty(
        fc.array(policy, { maxLength: 3 }),
        fc.array(row, { minLength: 1, maxLength: 4 }),
        async (policies, rows) => {
          await query(`drop table if exists any_table; create table any_table (id int primary key, owner uuid, team int, kind text, amount numeric, doc jsonb);
          grant select on any_table to anon, authenticated; alter table any_table enable row level security`)
          for (const [index, { permissive, roles, command, condition }] of policies.entries()) {
            await query(
              `create policy p${index} on any_table as ${permissive ? 'permissive' : 'restrictive'} for ${command} to ${roles} using (${condition})`,
            )
          }
          for (const [id, { owner, team, kind, amount, doc }] of rows.entries()) {
            await query('insert into any_table values ($1, $2, $3, $4, $5, $6)', [id, owner, team, kind, amount, doc])
          }
          const given = await relation('any_table')
          const changes = (await rowsIn(given)).map((values) => insertOf(given, values))
          const seen: (ReadonlySet<string> | undefined)[] = []
          for (const caller of callers) seen.push(await select('any_table', caller, 'id'))
          const visibility = open({ sampleShare: 0 })
          const verdicts = verdictsOf(await visibility.judge(questionOf(changes, callers)))
          await visibility.stop()
          expect(verdicts).toEqual(
            changes.map((_change, id) => callers.map((_caller, which) => (seen[which]?.has(String(id)) ? seesNew : 0))),
          )
        },
      ),
      propertyRuns(25),
    )
  })

  it('names and texts in policies are never taken for SQL', async () => {
    const name = String.raw`a"b'c\d$judge$ $1 ${'$'}$`
    const quoted = `"${name.replaceAll('"', '""')}"`
    await query(
      `create schema "se""cret"; create function "se""cret"."f'\\n"(given text) returns boolean language sql stable as 'select given <> ''no'''`,
    )
    await query(`grant execute on function "se""cret"."f'\\n"(text) to authenticated`)
    await query(
      `create table ${quoted} (id int primary key, ${quoted} text); grant select on ${quoted} to authenticated; alter table ${quoted} enable row level security`,
    )
    const texts = [String.raw`it's \ "$1" $judge$ $$ {"(,)"}`, 'no', '', '\\', "'", '"']
    for (const [id, text] of texts.entries()) await query(`insert into ${quoted} values ($1, $2)`, [id, text])
    const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`
    for (const condition of [
      `${quoted} in (${texts.map(literal).join(', ')}) and ${quoted} <> 'no'`,
      `"se""cret"."f'\\n"(${quoted})`,
      `exists (select from ${quoted}x o where o.id = ${quoted}.id and ${quoted}.${quoted} <> 'no')`.replaceAll(
        `${quoted}x`,
        'numbers',
      ),
    ]) {
      await query(
        `create table if not exists numbers (id int); delete from numbers; insert into numbers select generate_series(0, 9); grant select on numbers to authenticated`,
      )
      await query(`create policy ${quoted} on ${quoted} using (${condition})`)
      const given = await relation(name)
      const changes = (await rowsIn(given)).map((row) => insertOf(given, row))
      expect(await select(name, user(1), 'id')).toEqual(new Set(['0', '2', '3', '4', '5']))
      const answer = await open().judge(questionOf(changes, [user(1), user(2)]))
      expect(verdictsOf(answer), condition).toEqual(texts.map((text) => (text === 'no' ? [0, 0] : [seesNew, seesNew])))
      await query(`drop policy ${quoted} on ${quoted}`)
    }
  })
})
