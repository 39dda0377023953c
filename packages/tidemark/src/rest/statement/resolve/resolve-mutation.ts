import { findColumn, findTable } from '../../catalogue/find-table.js'
import type { Column, Table } from '../../catalogue.js'
import type { Condition, RestRequest } from '../../query.js'
import { RestError } from '../../rest-error.js'
import { restErrors } from '../../rest-errors.js'
import type { MutationPlan } from '../print/print-mutation.js'
import type { RequestPlan } from '../request-plan.js'
import type { StatementOptions } from '../statement-options.js'
import { chooseMedia } from './choose-media.js'
import { resolveConditions } from './resolve-condition.js'
import { createContext } from './resolve-context.js'
import { resolveRead } from './resolve-read.js'
import { rowLimit } from './row-limit.js'
import { rowTypeOf } from './row-type.js'
import { neededColumns } from './written-columns.js'

export type MutationRequest = Extract<RestRequest, { readonly kind: 'insert' | 'update' | 'delete' }>
type InsertRequest = Extract<RestRequest, { readonly kind: 'insert' }>

/** The text that a filter of PUT says a column of the key to be. */
const keyText = (condition: Condition): readonly [string, string] => {
  if (condition.kind !== 'filter' || condition.negated || condition.field.path.length > 0) throw restErrors.putFilters()
  const { test, field } = condition
  if (test.operator !== 'eq' || 'quantifier' in test) throw restErrors.putFilters()
  return [field.column, test.value]
}

/** What PUT's URL says of the key: all of it, and nothing else. */
const putKey = (table: Table, { read, payload }: InsertRequest): MutationPlan['key'] => {
  const texts = new Map(read.where.map(keyText))
  const { primaryKey } = table
  if (primaryKey.length === 0 || texts.size !== primaryKey.length || read.where.length !== texts.size)
    throw restErrors.putFilters()
  return primaryKey.map((name) => {
    const text = texts.get(name)
    if (text === undefined) throw restErrors.putFilters()
    if (!payload.keys.includes(name)) throw restErrors.putPayload()
    return [findColumn(table, name), text]
  })
}

const conflictColumn = (table: Table, name: string): Column => {
  const column = table.columns.get(name)
  if (column) return column
  throw new RestError({ code: '42703', status: 400, message: `column "${name}" does not exist` })
}

const conflictOf = (table: Table, request: MutationRequest): MutationPlan['conflict'] => {
  if (request.kind !== 'insert') return undefined
  const { resolution } = request.preferences
  if (!request.put && resolution === undefined) return undefined
  const names = request.put ? table.primaryKey : (request.onConflict ?? table.primaryKey)
  return {
    columns: names.map((name) => conflictColumn(table, name)),
    resolution: resolution === 'ignore-duplicates' && !request.put ? 'ignore' : 'merge',
  }
}

/** In the order of the table, as a cast to its type wants them. */
const inOrder = (table: Table, names: ReadonlySet<string>): readonly Column[] =>
  [...table.columns.values()].filter(({ name }) => names.has(name))

/** Raises PGRST205, PGRST204, PGRST105, PGRST107 and what {@link resolveRead} raises. */
export const resolveMutation = (request: MutationRequest, options: StatementOptions): RequestPlan => {
  const { catalogue } = options
  const { target, preferences } = request
  const table = findTable(catalogue, target.schema, target.name)
  const row = rowTypeOf(table)
  const media = chooseMedia(request.accept, request.acceptNames, { valueType: undefined, plans: options.plans })
  const context = createContext({ catalogue, aggregates: options.aggregates, maxRows: undefined })
  const read = resolveRead(context, request.read, { row, from: 'source', single: false, depth: 0, written: true })
  const wantsBody = preferences.return === 'representation'
  const isInsert = request.kind === 'insert'
  const location = isInsert && preferences.return === 'headers-only' ? table.primaryKey : []
  const payload = request.kind === 'delete' ? undefined : request.payload
  const key = isInsert && request.put ? putKey(table, request) : undefined
  const mutation: MutationPlan = {
    kind: request.kind,
    table,
    row,
    columns: (payload?.keys ?? []).map((name) => findColumn(table, name)),
    payload,
    withDefaults: preferences.missing === 'default' && !key,
    where: isInsert ? [] : resolveConditions(context, row, request.read.where, []),
    conflict: conflictOf(table, request),
    key,
    returning: inOrder(table, wantsBody ? neededColumns(read) : new Set(location)),
  }
  return { kind: 'write', media, wantsBody, limit: rowLimit(request, media), mutation, read, location }
}
