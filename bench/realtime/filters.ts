// Who listens to what is found by lookup: many filters of equality, one change.

import { createNamedPool } from '../../packages/tidemark/dist/postgres/postgres.js'
import { createFilterCompiler } from '../../packages/tidemark/dist/realtime/changes/filters/compile-filter.js'
import { parseFilter } from '../../packages/tidemark/dist/realtime/changes/filters/filter-text.js'
import { BindingIndex } from '../../packages/tidemark/dist/realtime/changes/listen/binding-index.js'
import { findMatches } from '../../packages/tidemark/dist/realtime/changes/listen/find-matches.js'
import type { ListenerState } from '../../packages/tidemark/dist/realtime/changes/listen/listener-state.js'
import type { PlacedChange } from '../../packages/tidemark/dist/realtime/changes/tell/told-change.js'
import { createFindFacts } from '../../packages/tidemark/dist/realtime/changes/values/relation-facts.js'
import { createTableCatalogue } from '../../packages/tidemark/dist/realtime/changes/values/table-catalogue.js'
import { createTypeCatalogue } from '../../packages/tidemark/dist/realtime/changes/values/type-catalogue.js'
import { ratios } from '../measuring/statistics.ts'
import type { Part, RealtimeStage } from './part.ts'

const table = 'bench_filtered'
const lookups = 20_000
const warmUps = 2

const openFacts = async ({ postgres }: RealtimeStage) => {
  await postgres.client.query(
    `drop table if exists ${table}; create table ${table} (id bigint primary key, owner integer, body text)`,
  )
  const pool = createNamedPool('realtime', { url: postgres.url })
  const types = createTypeCatalogue(pool)
  const catalogue = createTableCatalogue(pool, types)
  const found = await catalogue.find('public', table)
  const column = (name: string) => found!.columns.get(name)!
  const relation = {
    schema: 'public',
    table,
    identity: 'default' as const,
    columns: ['id', 'owner', 'body'].map((name) => ({ name, typeOid: column(name).type.oid, isKey: name === 'id' })),
  }
  const facts = await createFindFacts(catalogue, types)(relation as never)
  const compile = createFilterCompiler(pool)
  return { facts, compile: (n: number) => compile(parseFilter(`owner=eq.${n}`)[0]!, column('owner')), stop: () => pool.stop() }
}

/** Microseconds that a change takes, each of which one listener asked for. */
const pace = (index: BindingIndex<ListenerState>, facts: PlacedChange['facts'], filters: number): number => {
  const startedAt = performance.now()
  for (let n = 0; n < lookups; n++) {
    const row = [String(n), String((n * 7919) % filters), 'body']
    const change = { kind: 'insert', relation: facts.relation, new: row }
    const { matches } = findMatches(index, { change, facts } as unknown as PlacedChange, () => true)
    if (matches.length !== 1) throw new Error(`change ${n} found ${matches.length} listeners`)
  }
  return ((performance.now() - startedAt) * 1000) / lookups
}

export const filters: Part = async (stage, { rounds, filters: count, signal }) => {
  const { facts, compile, stop } = await openFacts(stage)
  try {
    const [one, many] = [new BindingIndex<ListenerState>(), new BindingIndex<ListenerState>()]
    for (let n = 0; n < count; n++) {
      const listener = { generation: 0, life: 0 } as unknown as ListenerState
      const bound = {
        listener,
        binding: 0,
        event: '*' as const,
        schema: 'public',
        table,
        tests: [await compile(n)],
        selection: undefined,
      }
      many.add(bound)
      if (n === 0) one.add(bound)
    }
    const [ofOne, ofMany]: [number[], number[]] = [[], []]
    for (let round = 0; round < warmUps + rounds; round++) {
      signal.throwIfAborted()
      const [alone, among] = [pace(one, facts, 1), pace(many, facts, count)]
      if (round < warmUps) continue
      ofOne.push(alone)
      ofMany.push(among)
    }
    const measure = { name: 'realtime-filters-us-per-change', values: ofMany }
    return {
      figures: [
        { name: `${count} filters of equality`, values: ofMany, unit: 'µs a change' },
        { name: 'one filter', values: ofOne, unit: 'µs a change' },
      ],
      measures: [measure, { name: 'realtime-filters', baseline: 'one-filter', values: ratios(ofMany, ofOne) }],
      targets: [{ measure, what: `${count} filters of equality: at most 20 µs a change`, limit: 20 }],
    }
  } finally {
    await stop()
  }
}
