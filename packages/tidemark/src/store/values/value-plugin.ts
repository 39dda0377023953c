/**
 * A Kysely plugin that lets the same repository code see the same values on both stores: parameters are written as the column they meet has
 * them (in VALUES, SET and comparisons), and results are read back by the columns they come from. What no column is known of, such as the
 * result of raw SQL, stays as the store gives it.
 */
import {
  type KyselyPlugin,
  type OperationNode,
  OperationNodeTransformer,
  type PluginTransformQueryArgs,
  type PluginTransformResultArgs,
  type QueryId,
  type QueryResult,
  type RootOperationNode,
  type UnknownRow,
} from 'kysely'
import type { ColumnValue, ColumnValues, StoreKind } from '../store.js'
import { type ColumnCoder, createCoder, encodeLoose, WrittenNumber } from './column-coder.js'
import { type Coders, nameOf, outputsOf, type Scope, scopeOf } from './scope.js'

class ParameterEncoder extends OperationNodeTransformer {
  readonly #store: StoreKind
  readonly #tables: Scope
  #scopes: Scope[] = []
  #coder: ColumnCoder | undefined
  /** Of the INSERT under the hand, in the order of its columns. */
  #row: readonly (ColumnCoder | undefined)[] = []

  constructor(store: StoreKind, tables: Scope) {
    super()
    this.#store = store
    this.#tables = tables
  }

  protected override transformNodeImpl<T extends OperationNode>(node: T, queryId?: QueryId): T {
    return this.#transform(node as unknown as OperationNode, queryId) as unknown as T
  }

  #transform(node: OperationNode, queryId?: QueryId): OperationNode {
    const found = node as unknown as Record<string, unknown>
    switch (node.kind) {
      case 'SelectQueryNode':
      case 'InsertQueryNode':
      case 'UpdateQueryNode':
      case 'DeleteQueryNode':
      case 'MergeQueryNode':
        return this.#query(node, queryId)
      case 'BinaryOperationNode': {
        const coder = this.#coderOf(found['leftOperand']) ?? this.#coderOf(found['rightOperand'])
        return this.#with(coder, node, queryId)
      }
      case 'ColumnUpdateNode':
        return this.#with(this.#coderOf(found['column']), node, queryId)
      case 'FunctionNode':
        return this.#with(
          (found['arguments'] as OperationNode[]).map((inner) => this.#coderOf(inner)).find(Boolean),
          node,
          queryId,
        )
      case 'RawNode':
        return this.#with(undefined, node, queryId)
      case 'ValuesNode':
        return { ...node, values: (found['values'] as OperationNode[]).map((list) => this.#list(list, queryId)) } as OperationNode
      case 'ValueNode':
        return { ...node, value: this.#encode(found['value'], this.#coder) } as OperationNode
      case 'PrimitiveValueListNode':
        return {
          ...node,
          values: (found['values'] as unknown[]).map((value) => this.#encode(value, this.#coder)),
        } as OperationNode
      default:
        return super.transformNodeImpl(node, queryId)
    }
  }

  #query(node: OperationNode, queryId?: QueryId): OperationNode {
    const [scopes, coder, row] = [this.#scopes, this.#coder, this.#row]
    const scope = scopeOf(node, this.#tables, scopes)
    this.#scopes = [scope, ...scopes]
    this.#coder = undefined
    const columns = (node as { readonly columns?: readonly OperationNode[] }).columns ?? []
    this.#row = columns.map((column) => this.#coderOf(column))
    try {
      return super.transformNodeImpl(node, queryId)
    } finally {
      this.#scopes = scopes
      this.#coder = coder
      this.#row = row
    }
  }

  #with(coder: ColumnCoder | undefined, node: OperationNode, queryId?: QueryId): OperationNode {
    const before = this.#coder
    this.#coder = coder
    try {
      return super.transformNodeImpl(node, queryId)
    } finally {
      this.#coder = before
    }
  }

  /** One row of VALUES. */
  #list(list: OperationNode, queryId?: QueryId): OperationNode {
    const { values } = list as unknown as { readonly values: readonly unknown[] }
    const encoded = values.map((value, i) => {
      if (list.kind === 'PrimitiveValueListNode') return this.#encode(value, this.#row[i])
      const before = this.#coder
      this.#coder = this.#row[i]
      const node = this.transformNode(value as OperationNode, queryId)
      this.#coder = before
      return node
    })
    return { ...list, values: encoded } as OperationNode
  }

  #coderOf(node: unknown): ColumnCoder | undefined {
    const name = nameOf(node as OperationNode | undefined)
    if (!name) return undefined
    for (const scope of this.#scopes) {
      const coder = name.table === undefined ? scope.find(name.column) : scope.tables.get(name.table)?.get(name.column)
      if (coder) return coder
    }
    return undefined
  }

  #encode(value: unknown, coder: ColumnCoder | undefined): unknown {
    if (value === null || value === undefined) return null
    return encodeLoose(coder ? coder.encode(value) : value, this.#store)
  }
}

const normalized = (value: ColumnValue | ColumnValue['kind']): ColumnValue =>
  typeof value === 'string' ? ({ kind: value } as ColumnValue) : value

/** The coders of every declared column of one store. */
const codersOf = (columns: ColumnValues, store: StoreKind): ReadonlyMap<string, Coders> =>
  new Map(
    Object.entries(columns).map(([table, of]) => [
      table,
      new Map(Object.entries(of).map(([column, value]) => [column, createCoder(normalized(value), store)])),
    ]),
  )

const decodeRow = (row: UnknownRow, outputs: Coders): UnknownRow => {
  const decoded: UnknownRow = { ...row }
  for (const [name, coder] of outputs) {
    const value = row[name]
    if (value !== null && value !== undefined) decoded[name] = coder.decode(value)
  }
  return decoded
}

/** Whether some column wants numbers of Postgres as they are written there: see {@link WrittenNumber}. */
export const hasDecimals = (columns: ColumnValues): boolean =>
  Object.values(columns).some((of) => Object.values(of).some((value) => normalized(value).kind === 'decimal'))

/** Numbers of which no column is known to want every digit. */
const withoutWritten = (row: UnknownRow): UnknownRow => {
  for (const name in row) if (row[name] instanceof WrittenNumber) row[name] = Number(String(row[name]))
  return row
}

export class ValuePlugin implements KyselyPlugin {
  readonly #store: StoreKind
  readonly #columns: () => ColumnValues
  readonly #outputs = new WeakMap<QueryId, Coders>()
  #known: ColumnValues | undefined
  #tables: Scope = scopeOf(undefined, undefined, [])
  #hasDecimals = false

  /** `columns` may change once: when the plan of a move is known. */
  constructor(store: StoreKind, columns: () => ColumnValues) {
    this.#store = store
    this.#columns = columns
  }

  #scope(): Scope {
    const columns = this.#columns()
    if (columns !== this.#known) {
      this.#known = columns
      this.#hasDecimals = this.#store === 'postgres' && hasDecimals(columns)
      const tables = codersOf(columns, this.#store)
      this.#tables = { tables, find: () => undefined }
    }
    return this.#tables
  }

  transformQuery({ node, queryId }: PluginTransformQueryArgs): RootOperationNode {
    const tables = this.#scope()
    const outputs = outputsOf(node, tables, [])
    if (outputs.size > 0) this.#outputs.set(queryId, outputs)
    return new ParameterEncoder(this.#store, tables).transformNode(node, queryId)
  }

  async transformResult({ result, queryId }: PluginTransformResultArgs): Promise<QueryResult<UnknownRow>> {
    const outputs = this.#outputs.get(queryId)
    if (!outputs && !this.#hasDecimals) return result
    const rows = outputs ? result.rows.map((row) => decodeRow(row, outputs)) : result.rows
    return { ...result, rows: this.#hasDecimals ? rows.map(withoutWritten) : rows }
  }
}
