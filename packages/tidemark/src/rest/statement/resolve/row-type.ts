import type { Catalogue, Table } from '../../catalogue.js'
import type { Field } from '../../query.js'
import { RestError } from '../../rest-error.js'
import type { FieldPlan, RowType } from '../plan.js'

/** The name under which the value of a function that returns no rows can be filtered. */
const scalarName = 'pgrst_scalar'

export const rowTypeOf = (table: Table, label: string = table.name): RowType => ({
  relation: { schema: table.schema, name: table.name },
  columns: table.columns,
  label,
})

/** Of a function that returns values. */
export const scalarRow = (label: string): RowType => ({ relation: undefined, columns: new Map(), label })

const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[b.length]!
}

const maxDistance = 3

/** As Postgres guesses: the one name that is nearest, up to three letters away and not half of another word. */
const nearest = (row: RowType, name: string): string | undefined => {
  if (name.length > 63) return undefined
  const close = [...row.columns.keys()]
    .map((column) => ({ column, away: distance(column, name) }))
    .filter(({ away }) => away <= maxDistance && away <= name.length / 2)
  const least = Math.min(...close.map(({ away }) => away))
  const [first, ...others] = close.filter(({ away }) => away === least)
  return others.length === 0 ? first?.column : undefined
}

/** What Postgres says of a column that is not there. The name never gets as far. */
export const unknownColumn = (row: RowType, name: string): RestError => {
  const meant = nearest(row, name)
  return new RestError({
    code: '42703',
    status: 400,
    message: `column ${row.label}.${name} does not exist`,
    hint: meant === undefined ? null : `Perhaps you meant to reference the column "${row.label}.${meant}".`,
  })
}

/** What Postgres says of a type that is not there. */
export const unknownType = (name: string): RestError =>
  new RestError({ code: '42704', status: 400, message: `type "${name}" does not exist` })

/** The column that a field names, or the function that is read like one; undefined where there is neither. */
export const findField = (catalogue: Catalogue, row: RowType, { column: name, path }: Field): FieldPlan | undefined => {
  const column = row.columns.get(name)
  if (column) return { base: { kind: 'column', column }, path }
  const computed = row.relation && catalogue.computedColumn(row.relation, name)
  if (computed) return { base: { kind: 'computed', computed }, path }
  return row.relation === undefined && row.columns.size === 0 && name === scalarName
    ? { base: { kind: 'scalar' }, path }
    : undefined
}

/** Raises 42703. */
export const resolveField = (catalogue: Catalogue, row: RowType, field: Field): FieldPlan => {
  const found = findField(catalogue, row, field)
  if (found) return found
  throw unknownColumn(row, field.column)
}
