/** Which declared column a name of a query means: by the tables that its FROM, JOIN, INTO and WITH bring into sight. */
import type { OperationNode } from 'kysely'
import type { ColumnCoder } from './column-coder.js'

/** By column. */
export type Coders = ReadonlyMap<string, ColumnCoder>

export interface Scope {
  /** By the name under which the query knows them. */
  readonly tables: ReadonlyMap<string, Coders>
  /** A column without a table's name; none where two tables disagree. */
  find(column: string): ColumnCoder | undefined
}

type AnyNode = OperationNode & Readonly<Record<string, unknown>>

const nodes = (value: unknown): readonly AnyNode[] => (value as readonly AnyNode[] | undefined) ?? []
const node = (value: unknown): AnyNode | undefined => value as AnyNode | undefined
const identifier = (value: unknown): string | undefined => node(value)?.['name'] as string | undefined

const tableName = (of: AnyNode | undefined): string | undefined => {
  const table = of?.kind === 'TableNode' ? node(of['table']) : of
  return identifier(table?.['identifier'])
}

/** The column that a node names, and its table where it says so. */
export const nameOf = (of: OperationNode | undefined): { readonly column: string; readonly table?: string } | undefined => {
  const found = node(of)
  if (found?.kind === 'ColumnNode') {
    const column = identifier(found['column'])
    return column === undefined ? undefined : { column }
  }
  if (found?.kind !== 'ReferenceNode') return undefined
  const column = nameOf(node(found['column']))?.column
  const table = tableName(node(found['table']))
  if (column === undefined) return undefined
  return table === undefined ? { column } : { column, table }
}

const queryKinds = /^(?:Select|Insert|Update|Delete|Merge)QueryNode$/

/** What a FROM item, a JOIN or an INTO brings into sight. */
const sourceOf = (item: AnyNode, known: Scope, outer: readonly Scope[]): readonly [name: string, columns: Coders] | undefined => {
  if (item.kind === 'AliasNode') {
    const name = identifier(item['alias'])
    const inner = node(item['node'])!
    if (name === undefined) return undefined
    if (queryKinds.test(inner.kind)) return [name, outputsOf(inner, known, outer)]
    const found = sourceOf(inner, known, outer)
    return [name, found?.[1] ?? new Map()]
  }
  const name = tableName(item)
  if (name === undefined) return undefined
  for (const { tables } of [...outer, known]) if (tables.has(name)) return [name, tables.get(name)!]
  return [name, new Map()]
}

const fromItems = (query: AnyNode): readonly AnyNode[] => [
  ...nodes(node(query['from'])?.['froms']),
  ...nodes(node(query['using'])?.['tables']),
  ...nodes(query['joins']).flatMap((join) => node(join['table']) ?? []),
  ...[query['into'], query['table']].flatMap((item) => {
    const found = node(item)
    return found?.kind === 'ListNode' ? nodes(found['items']) : (found ?? [])
  }),
]

const createScope = (tables: ReadonlyMap<string, Coders>): Scope => ({
  tables,
  find: (column) => {
    const found = [...tables.values()].flatMap((coders) => coders.get(column) ?? [])
    return found.length === 1 ? found[0] : undefined
  },
})

/** The names that a query brings into sight. `known` are the declared tables, `outer` the scopes around it, the nearest first. */
export const scopeOf = (of: OperationNode | undefined, known: Scope | undefined, outer: readonly Scope[]): Scope => {
  const query = node(of)
  if (!query || !known) return createScope(new Map())
  let around = outer
  for (const expression of nodes(node(query['with'])?.['expressions'])) {
    const named = tableName(node(node(expression['name'])?.['table']))
    const inner = node(expression['expression'])
    if (named === undefined || !inner) continue
    around = [createScope(new Map([[named, outputsOf(inner, known, around)]])), ...around]
  }
  return createScope(
    new Map(
      fromItems(query)
        .flatMap((item) => [sourceOf(item, known, around)])
        .filter((entry) => entry !== undefined),
    ),
  )
}

const sameAsArgument = /^(?:coalesce|min|max|nullif|first_value|last_value|lag|lead)$/i

const coderOf = (of: AnyNode | undefined, scopes: readonly Scope[], known: Scope): ColumnCoder | undefined => {
  if (!of) return undefined
  if (of.kind === 'ParensNode' || of.kind === 'AliasNode') return coderOf(node(of['node']), scopes, known)
  if (of.kind === 'FunctionNode' || of.kind === 'AggregateFunctionNode') {
    if (!sameAsArgument.test(String(of['func']))) return undefined
    return coderOf(nodes(of['arguments'] ?? of['aggregated'])[0], scopes, known)
  }
  if (of.kind === 'SelectQueryNode') return [...outputsOf(of, known, scopes).values()][0]
  const name = nameOf(of)
  if (!name) return undefined
  for (const scope of scopes) {
    const found = name.table === undefined ? scope.find(name.column) : scope.tables.get(name.table)?.get(name.column)
    if (found) return found
  }
  return undefined
}

/** The columns of a query's result that are known to come from declared ones. */
export const outputsOf = (of: OperationNode, known: Scope, outer: readonly Scope[]): Coders => {
  const query = node(of)!
  const outputs = new Map<string, ColumnCoder>()
  if (!queryKinds.test(query.kind)) return outputs
  const scopes = [scopeOf(query, known, outer), ...outer]
  const selections = nodes(query['selections'] ?? node(query['returning'])?.['selections'])
  for (const selection of selections) {
    const selected = node(selection['selection'])!
    const inner = selected.kind === 'ReferenceNode' ? node(selected['column']) : selected
    if (inner?.kind === 'SelectAllNode') {
      const table = tableName(node(selected['table']))
      const all = table === undefined ? scopes[0]!.tables.values() : [scopes[0]!.tables.get(table) ?? new Map()]
      for (const coders of all) for (const [name, coder] of coders) outputs.set(name, coder)
      continue
    }
    const name = selected.kind === 'AliasNode' ? identifier(selected['alias']) : nameOf(selected)?.column
    const coder = coderOf(selected, scopes, known)
    if (name !== undefined && coder) outputs.set(name, coder)
  }
  return outputs
}
