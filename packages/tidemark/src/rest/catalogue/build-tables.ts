import type { Column, Table } from '../catalogue.js'
import type { Exposed } from './detect-relationships.js'
import type { ColumnFact, ConstraintFact, RelationFact } from './queries.js'
import type { CataloguedType } from './type-names.js'

export type Types = ReadonlyMap<number, CataloguedType>

/** The domain itself first, then what it stands on, down to what is no domain. */
export const typeChain = (types: Types, oid: number): readonly CataloguedType[] => {
  const chain: CataloguedType[] = []
  for (let type = types.get(oid); type; type = types.get(type.baseOid)) chain.push(type)
  return chain
}

/** As Postgres counts it: four bytes of the modifier are its own header. */
const maxLengthOf = (name: string, modifier: number): number | undefined => {
  if (modifier <= 0) return undefined
  if (name === 'varchar' || name === 'bpchar') return modifier - 4
  return name === 'bit' || name === 'varbit' ? modifier : undefined
}

export const columnOf = (types: Types, fact: ColumnFact): Column => {
  const [, name, description, type, typeOid, modifier, notNull, expression, generated, identity] = fact
  const chain = typeChain(types, typeOid)
  const [own, base] = [chain[0], chain.at(-1)]
  const lastModifier = [modifier, ...chain.map((link) => link.modifier)].findLast((known) => known > 0) ?? -1
  return {
    name,
    description: description ?? undefined,
    type,
    baseType: own?.sql ?? type,
    underlyingType: base?.sql ?? type,
    category: own?.category ?? 'X',
    nullable: !(notNull || chain.some((link) => link.notNull)),
    default: expression ?? (generated === '' ? own?.default : undefined),
    generated: generated !== '' || identity === 'a',
    enumValues: base?.enumValues ?? [],
    maxLength: base && base.schema === 'pg_catalog' ? maxLengthOf(base.name, lastModifier) : undefined,
  }
}

export const columnsOf = (types: Types, facts: readonly ColumnFact[]): ReadonlyMap<string, Column> =>
  new Map(facts.map((fact) => [fact[1], columnOf(types, fact)] as const))

const kinds = {
  r: 'table',
  v: 'view',
  m: 'materialized view',
  f: 'foreign table',
  p: 'partitioned table',
} as const

const updateBit = 4
const insertBit = 8
const deleteBit = 16

/** A relation of an exposed schema; undefined for one that is there only because a function returns its rows. */
export const exposedRelation = (
  types: Types,
  fact: RelationFact,
  schemas: ReadonlySet<string>,
  key: readonly number[],
): Exposed | undefined => {
  const { oid, schema, name, kind, partition, description, updatable, columns } = fact
  if (kind === 'c' || partition || !schemas.has(schema)) return undefined
  const columnNames = new Map(columns.map(([number, column]) => [number, column] as const))
  const table: Table = {
    schema,
    name,
    kind: kinds[kind],
    description: description ?? undefined,
    columns: columnsOf(types, columns),
    primaryKey: key.map((column) => columnNames.get(column)).filter((column) => column !== undefined),
    insertable: (updatable & insertBit) !== 0,
    updatable: (updatable & updateBit) !== 0,
    deletable: (updatable & deleteBit) !== 0,
  }
  return { oid, table, columnNames }
}

/** By table: its primary key. */
export const primaryKeys = (constraints: readonly ConstraintFact[]): ReadonlyMap<number, ConstraintFact> =>
  new Map(constraints.filter(({ kind }) => kind === 'p').map((key) => [key.table, key] as const))
