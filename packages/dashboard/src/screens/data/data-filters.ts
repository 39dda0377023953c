import type { DataCondition } from 'tidemark/admin'
import { roles, type Viewpoint } from '../../api/viewpoint.ts'
import { jsonOf, textOf, useFilters, wordOf } from '../../shell/filters.ts'

export const tabs = ['tables', 'migrations', 'drift', 'exposure'] as const
export const operators = [
  'eq',
  'neq',
  'gt',
  'gte',
  'lt',
  'lte',
  'like',
  'ilike',
  'is',
] as const satisfies readonly DataCondition[1][]

export interface DataFilters extends Viewpoint {
  readonly tab: (typeof tabs)[number]
  /** `schema.table` */
  readonly table: string | undefined
  /** What is looked for in the names of tables. */
  readonly find: string | undefined
  readonly sort: string | undefined
  /** JSON, as the server takes it. */
  readonly where: string | undefined
  /** The place of the row that is open. */
  readonly row: string | undefined
}

const read = (search: Readonly<Record<string, unknown>>): DataFilters => ({
  tab: wordOf(search['tab'], tabs),
  role: wordOf(search['role'], roles),
  user: textOf(search['user']),
  claims: jsonOf(search['claims']),
  table: textOf(search['table']),
  find: textOf(search['find']),
  sort: textOf(search['sort']),
  where: jsonOf(search['where']),
  row: textOf(search['row']),
})

export const useDataFilters = () => useFilters(read)

const isCondition = (value: unknown): value is DataCondition =>
  Array.isArray(value) && value.length === 3 && value.every((part) => typeof part === 'string')

/** What of an address is a filter; anything else in it is none. */
export const conditionsOf = (where: string | undefined): readonly DataCondition[] => {
  if (where === undefined) return []
  try {
    const found: unknown = JSON.parse(where)
    return Array.isArray(found) ? found.filter(isCondition) : []
  } catch {
    return []
  }
}
