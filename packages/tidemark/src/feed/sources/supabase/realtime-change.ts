import type { Change, Relation, Row } from '../../feed.js'
import { jsonElements, jsonMembers } from './json-members.js'
import { realtimeValue, typeOidOf } from './realtime-value.js'

/** One change as Realtime told it. */
export interface RealtimeChange {
  readonly change: Change
  readonly committedAt: Date
}

export interface RealtimeReader {
  /** Reads `data` of a postgres_changes frame, as it is written there. */
  read(data: string): RealtimeChange
}

interface Table {
  readonly schema: string
  readonly table: string
  readonly columns: readonly { readonly name: string; readonly type: string }[]
}

const text = (members: ReadonlyMap<string, string>, name: string): string => JSON.parse(members.get(name) ?? '""') as string

const tableOf = (members: ReadonlyMap<string, string>): Table => ({
  schema: text(members, 'schema'),
  table: text(members, 'table'),
  columns: jsonElements(members.get('columns') ?? '[]').map((element) => {
    const column = jsonMembers(element)
    return { name: text(column, 'name'), type: text(column, 'type') }
  }),
})

/** Reads changes, and keeps one relation for each version of a table. */
export const createRealtimeReader = (): RealtimeReader => {
  const relations = new Map<string, Relation>()
  /** Realtime does not say what identifies a row; old rows show it. */
  const keys = new Map<string, readonly string[]>()

  const learnKey = ({ schema, table, columns }: Table, old: ReadonlyMap<string, string>): readonly string[] => {
    const name = `${schema}.${table}`
    if (old.size > 0) keys.set(name, old.size < columns.length ? [...old.keys()] : columns.map((column) => column.name))
    return keys.get(name) ?? []
  }

  const relationOf = (table: Table, key: readonly string[]): Relation => {
    const id = JSON.stringify([table, key])
    const known = relations.get(id)
    if (known) return known
    const relation: Relation = {
      oid: 0,
      schema: table.schema,
      table: table.table,
      identity: key.length > 0 && key.length === table.columns.length ? 'full' : 'default',
      columns: table.columns.map(({ name, type }) => ({
        name,
        typeOid: typeOidOf(type),
        typeModifier: -1,
        isKey: key.includes(name),
      })),
    }
    relations.set(id, relation)
    return relation
  }

  const changeOf = (members: ReadonlyMap<string, string>): Change => {
    const table = tableOf(members)
    const record = jsonMembers(members.get('record') ?? '{}')
    const old = jsonMembers(members.get('old_record') ?? '{}')
    const relation = relationOf(table, learnKey(table, old))
    const row = (values: ReadonlyMap<string, string>): Row =>
      table.columns.map(({ name, type }) => {
        const json = values.get(name)
        return json === undefined ? undefined : realtimeValue(type, json)
      })
    // Realtime could not show the row (not readable, too large, no key): only that something changed is known.
    const errors = members.get('errors') ?? 'null'
    if (errors !== 'null' && jsonElements(errors).length > 0) return { kind: 'changed', relation, old: null, new: null }
    switch (text(members, 'type')) {
      case 'INSERT':
        return { kind: 'insert', relation, old: null, new: row(record) }
      case 'DELETE':
        return { kind: 'delete', relation, old: row(old), new: null }
      case 'UPDATE': {
        const [before, after] = [row(old), row(record)]
        const sameKey = before.every((value, index) => value === undefined || value === after[index])
        return { kind: 'update', relation, old: relation.identity !== 'full' && sameKey ? null : before, new: after }
      }
      default:
        return { kind: 'changed', relation, old: null, new: null }
    }
  }

  return {
    read: (data) => {
      const members = jsonMembers(data)
      const committedAt = new Date(text(members, 'commit_timestamp'))
      return { change: changeOf(members), committedAt: Number.isNaN(committedAt.getTime()) ? new Date(0) : committedAt }
    },
  }
}
