import type { Catalogue } from '../../catalogue.js'
import type { Field, SelectItem } from '../../query.js'
import { restErrors } from '../../rest-errors.js'
import type { Output, RowType } from '../plan.js'
import type { ResolveContext } from './resolve-context.js'
import { findField, unknownColumn, unknownType } from './row-type.js'

type Shown = Extract<SelectItem, { readonly kind: 'column' | 'count' }>

/** The type as the catalogue writes it. Raises 42704. */
const castType = (catalogue: Catalogue, name: string | undefined): string | undefined => {
  if (name === undefined) return undefined
  const type = catalogue.typeName(name)
  if (type === undefined) throw unknownType(name)
  return type
}

/** What a field is called where it has no alias: the last key of its path, or its column. */
const keyOf = ({ column, path }: Field): string => {
  const keys = path.map(({ key }) => key).filter((key) => typeof key === 'string')
  return keys.at(-1) ?? column
}

const countOutput = (catalogue: Catalogue, alias: string | undefined, cast: string | undefined): Output => ({
  name: alias ?? 'count',
  known: alias === undefined || alias === 'count',
  value: { kind: 'row' },
  aggregate: { function: 'count', cast: castType(catalogue, cast) },
})

/** `posts(count)`: as old as aggregates without parentheses are, and allowed where those are not. */
const isCountOfRows = ({ column, path }: Field): boolean => column === 'count' && path.length === 0

export const resolveItem = ({ catalogue, aggregates }: ResolveContext, row: RowType, item: Shown): Output => {
  const counts = item.kind === 'count' || item.aggregate !== undefined
  if (counts && !aggregates) throw restErrors.aggregates()
  if (item.kind === 'count') return countOutput(catalogue, item.alias, item.cast)
  const { field, alias, aggregate } = item
  const found = findField(catalogue, row, field)
  if (!found && aggregate === undefined && isCountOfRows(field)) return countOutput(catalogue, alias, item.cast)
  if (!found) throw unknownColumn(row, field.column)
  const name = alias ?? aggregate ?? keyOf(field)
  return {
    name,
    known: name === field.column || name === aggregate,
    value: { kind: 'field', field: found, cast: castType(catalogue, item.cast) },
    aggregate: aggregate && { function: aggregate, cast: castType(catalogue, item.aggregateCast) },
  }
}
