import type { Condition } from '../query.js'
import { restErrors } from '../rest-errors.js'
import { parseLogic, parseOperation, parseOperationOrValue } from './conditions.js'
import { parseOrder } from './order.js'
import { parseLogicPath, parseNames, parseTreePath } from './paths.js'
import type { Parameter } from './query-string.js'
import { rowNumber } from './ranges.js'
import { draftWithin, emptyDraft, type ReadDraft } from './read-draft.js'
import { parseSelect } from './select.js'

/** What the query string says. */
export interface QueryParameters {
  readonly read: ReadDraft
  readonly columns: readonly string[] | undefined
  readonly onConflict: readonly string[] | undefined
  /** Of a function that is called by GET: what is no filter of its result. */
  readonly named: ReadonlyMap<string, readonly string[]>
}

const kinds = {
  order: 'order',
  limit: 'limit',
  offset: 'offset',
  and: 'logic',
  or: 'logic',
  select: 'select',
  columns: 'columns',
  on_conflict: 'onConflict',
} as const
type Kind = (typeof kinds)[keyof typeof kinds] | 'filter'

/** By the last word of its name. What concerns the whole request has no embeds before it. */
const kindOf = (name: string): Kind => {
  const word = name.slice(name.lastIndexOf('.') + 1)
  if (!Object.hasOwn(kinds, word)) return 'filter'
  const kind = kinds[word as keyof typeof kinds]
  const ofAll = kind === 'select' || kind === 'columns' || kind === 'onConflict'
  return ofAll && word !== name ? 'filter' : kind
}

const sorted = (parameters: readonly Parameter[]): Record<Kind, Parameter[]> => {
  const byKind: Record<Kind, Parameter[]> = {
    order: [],
    limit: [],
    offset: [],
    logic: [],
    select: [],
    columns: [],
    onConflict: [],
    filter: [],
  }
  for (const parameter of parameters) byKind[kindOf(parameter[0])].push(parameter)
  return byKind
}

interface Placed<T> {
  readonly embeds: readonly string[]
  readonly what: T
}

const place = (root: ReadDraft, embeds: readonly string[]): ReadDraft => {
  let draft = root
  for (const name of embeds) {
    const within = draftWithin(draft, name)
    if (!within) throw restErrors.notEmbedded(name)
    draft = within
  }
  return draft
}

/** Of several for one place, the first counts. */
const placeOrders = (root: ReadDraft, orders: readonly Placed<ReadDraft['order']>[]): void => {
  for (const { embeds, what } of [...orders].reverse()) place(root, embeds).order = what
}

/** Of several for one place, the last counts. */
const placeNumbers = (root: ReadDraft, kind: 'limit' | 'offset', parameters: readonly Parameter[]): void => {
  for (const [name, value] of parameters) {
    const { embeds } = parseTreePath(name)
    const number = rowNumber(value)
    if (kind === 'limit' && embeds.length > 0 && (number ?? 0) < 0) throw restErrors.negativeLimit()
    place(root, embeds)[kind] = number
  }
}

const filterOf = ([name, value]: Parameter, ofCall: boolean, named: Map<string, string[]>): Placed<Condition> | undefined => {
  const { embeds, field } = parseTreePath(name)
  const operation = ofCall ? parseOperationOrValue(value) : parseOperation(value)
  if (operation) return { embeds, what: { kind: 'filter', field, ...operation } }
  const values = named.get(field.column)
  if (values) values.push(value)
  else named.set(field.column, [value])
  return undefined
}

/**
 * Makes the tree that `select` describes and puts each other parameter where its name says: `author.name=eq.x` into the embed
 * `author`. `ofCall`: of a function called by GET, whose arguments stand between the filters of its result.
 */
export const readParameters = (parameters: readonly Parameter[], ofCall: boolean): QueryParameters => {
  const byKind = sorted(parameters)
  const orders = byKind.order.map(([name, value]) => ({ embeds: parseTreePath(name).embeds, what: parseOrder(value) }))
  const logic = byKind.logic.map(([name, value]) => {
    const { embeds, operator } = parseLogicPath(name)
    return { embeds, what: parseLogic(operator, value) }
  })
  const [columns] = byKind.columns
  const columnNames = columns && parseNames('columns', columns[1])
  const [select] = byKind.select
  const root = emptyDraft(parseSelect(select?.[1] ?? '*'))
  const named = new Map<string, string[]>()
  const filters = byKind.filter.flatMap((parameter) => filterOf(parameter, ofCall, named) ?? [])
  const [onConflict] = byKind.onConflict
  const conflictNames = onConflict && parseNames('on_conflict', onConflict[1])

  for (const { embeds, what } of filters) place(root, embeds).where.push(what)
  placeOrders(root, orders)
  placeNumbers(root, 'limit', byKind.limit)
  placeNumbers(root, 'offset', byKind.offset)
  for (const { embeds, what } of logic) place(root, embeds).where.push(what)
  return { read: root, columns: columnNames, onConflict: conflictNames, named }
}
