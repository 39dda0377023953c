/** The order in which rows of a table that refers to itself can be taken apart: no row before those it refers to. */
import type { TablePlan } from '../move.js'
import { quoteSqlite, type Row } from '../row-source.js'

/** Which places of a row make up its own key, and the key of the row that it refers to; one pair for each foreign key. */
export interface SelfReference {
  readonly own: readonly number[]
  readonly parent: readonly number[]
}

/** The references of a table into itself, by where their columns stand among `expressions`. */
export const selfReferences = (table: TablePlan, expressions: readonly string[]): readonly SelfReference[] => {
  const places = (names: readonly string[]) => names.map((name) => expressions.indexOf(quoteSqlite(name)))
  return table.requiredParents
    .filter(({ parentTable }) => parentTable === table.source)
    .map(({ columns, parentColumns }) => ({ own: places(parentColumns), parent: places(columns) }))
}

const keyAt = (row: Row, places: readonly number[], from: number): string | undefined => {
  const values = places.map((place) => row[from + place] ?? null)
  if (values.includes(null)) return undefined
  return JSON.stringify(values.map((value) => (Buffer.isBuffer(value) ? `x${value.toString('hex')}` : String(value))))
}

/** The same rows with parents first; those that refer to each other in a circle come last. `from` is where the columns begin. */
export const parentsFirst = <T extends { readonly row: Row }>(
  rows: readonly T[],
  references: readonly SelfReference[],
  from: number,
): readonly T[] => {
  const children = new Map<T, T[]>()
  const waits = new Map<T, number>(rows.map((each) => [each, 0]))
  for (const { own, parent } of references) {
    const byKey = new Map(rows.map((each) => [keyAt(each.row, own, from), each]))
    for (const each of rows) {
      const key = keyAt(each.row, parent, from)
      const found = key === undefined ? undefined : byKey.get(key)
      if (!found || found === each) continue
      const siblings = children.get(found)
      if (siblings) siblings.push(each)
      else children.set(found, [each])
      waits.set(each, waits.get(each)! + 1)
    }
  }
  const ordered = rows.filter((each) => waits.get(each) === 0)
  for (let at = 0; at < ordered.length; at++) {
    for (const child of children.get(ordered[at]!) ?? []) {
      waits.set(child, waits.get(child)! - 1)
      if (waits.get(child) === 0) ordered.push(child)
    }
  }
  const placed = new Set(ordered)
  return [...ordered, ...rows.filter((each) => !placed.has(each))]
}
