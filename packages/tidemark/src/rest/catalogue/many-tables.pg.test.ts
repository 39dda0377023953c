import { beforeAll, describe, expect, it } from 'vitest'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { readCatalogue, readDigest } from './read-catalogue.js'

const database = useDatabase()
const client = useClient(database)
const tables = 500
const repeats = 7

const fastest = async (work: () => Promise<unknown>): Promise<number> => {
  let best = Number.POSITIVE_INFINITY
  for (let turn = 0; turn < repeats; turn += 1) {
    const startedAt = performance.now()
    await work()
    best = Math.min(best, performance.now() - startedAt)
  }
  return best
}

describe('a schema of 500 tables, 250 views over them and 250 functions', () => {
  beforeAll(() =>
    client.query(`
      create schema app;
      do $$ begin
        for i in 1..${tables} loop
          execute format('create table app.t%s (id bigint generated always as identity primary key, a text not null default ''x'', b int,
            c timestamptz default now(), d jsonb, e numeric(10,2), f uuid, g boolean, h text[], parent bigint%s)',
            i, case when i > 1 then format(' references app.t%s', i / 2) else '' end);
          if i % 2 = 0 then
            execute format('create view app.v%1$s as select t.id, t.a, t.parent, p.a as pa, p.c as pc, t.e, t.f
              from app.t%1$s t left join app.t%2$s p on p.id = t.parent', i, i / 2);
            execute format('create function app.f%1$s(a int, b text default ''x'') returns setof app.t%1$s language sql stable as
              ''select * from app.t%1$s''', i);
          end if;
        end loop;
      end $$`),
  )

  it('is read whole, in a fraction of a second', async ({ annotate }) => {
    const timezones = new Set<string>()
    const catalogue = await readCatalogue(client, { schemas: ['app'], timezones })
    expect(catalogue.tables('app')).toHaveLength(tables + tables / 2)
    expect(catalogue.allFunctions('app')).toHaveLength(tables / 2)
    // Its parent, the view over that where there is one, the views over itself, two children and the views over those.
    const ways = catalogue.relationships({ schema: 'app', name: 't10' })
    expect(ways.map(({ to }) => to.name).toSorted()).toEqual(['t20', 't21', 't5', 'v20'])
    const readMs = await fastest(() => readCatalogue(client, { schemas: ['app'], timezones }))
    const digestMs = await fastest(() => readDigest(client))
    const { rows } = await client.query('select count(*)::int as n from pg_attribute where attrelid >= 16384 and attnum > 0')
    await annotate(
      `read in ${readMs.toFixed()} ms, its digest in ${digestMs.toFixed()} ms (${rows[0].n} columns in all)`,
      'notice',
    )
  })
})
