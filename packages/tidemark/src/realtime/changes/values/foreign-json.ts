import { reasonOf } from '../../../errors.js'
import type { Row, RowChange } from '../../../feed/feed.js'
import { type Logger, silentLogger } from '../../../observability/observability.js'
import type { Pool } from '../../../postgres/postgres.js'
import { sqlstateOf } from '../../../postgres/postgres-error.js'
import { arrayLiteral, testSettings } from '../filters/filter-sql.js'
import type { MadeJson } from '../tell/told-change.js'
import type { RelationFacts } from './relation-facts.js'

/** Makes the JSON of values that only an extension can make. Rejects where Postgres cannot be asked. */
export type MakeForeignJson = (
  changes: readonly { readonly change: RowChange; readonly facts: RelationFacts }[],
) => Promise<readonly MadeJson[]>

/** Where one value's JSON goes. */
interface Place {
  readonly into: (string | undefined)[]
  readonly column: number
  readonly text: string
}

const timeoutMs = 2_000

/** Asks once for each type of a piece's values. What cannot be made is told as its text. */
export const createForeignJson = (pool: Pick<Pool, 'batch'>, log: Logger = silentLogger): MakeForeignJson => {
  const ask = async (sqlName: string, searchPath: string, places: readonly Place[]): Promise<void> => {
    const text = `select to_jsonb(u.v::${sqlName}) from unnest($1::text[]) with ordinality as u (v, n) order by u.n`
    try {
      const statement = { text, values: [arrayLiteral(places.map((place) => place.text))] }
      const [answer] = await pool.batch([statement], testSettings({ searchPath }, timeoutMs))
      places.forEach(({ into, column }, index) => {
        into[column] = answer?.rows[index]?.[0] ?? undefined
      })
    } catch (error) {
      if (sqlstateOf(error) === undefined || /^(08|57P)/.test(sqlstateOf(error) ?? '')) throw error
      log.warn('values of a type are told as texts: it could not be asked how they become JSON', {
        type: sqlName,
        reason: reasonOf(error),
      })
    }
  }

  return async (changes) => {
    const byType = new Map<string, { readonly searchPath: string; readonly places: Place[] }>()
    const collect = (facts: RelationFacts, row: Row | null): (string | undefined)[] => {
      const into: (string | undefined)[] = []
      for (const column of facts.foreign) {
        const [text, type] = [row?.[column], facts.columns[column]?.type]
        if (text == null || !type) continue
        const found = byType.get(type.sqlName) ?? { searchPath: type.searchPath, places: [] }
        byType.set(type.sqlName, found)
        found.places.push({ into, column, text })
      }
      return into
    }
    const made = changes.map(({ change, facts }) => ({ now: collect(facts, change.new), before: collect(facts, change.old) }))
    await Promise.all([...byType].map(([sqlName, { searchPath, places }]) => ask(sqlName, searchPath, places)))
    return made
  }
}
