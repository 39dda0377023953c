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

const columnOf = (types: Types, fact: ColumnFact): Column => {
  const generated = fact[8] !== ''
  const chain = typeChain(types, Number(fact[4]))
  const [own, base] = [chain[0], chain.at(-1)]
  const type = fact[3] ?? own?.sql ?? ''
  const modifiers = [Number(fact[5]), ...chain.map((link) => link.modifier)]
  return {
    name: fact[1]!,
    description: fact[2] ?? undefined,
    type,
    baseType: own?.sql ?? type,
    underlyingType: base?.sql ?? type,
    category: own?.category ?? 'X',
    nullable: fact[6] === 'false' && !chain.some((link) => link.notNull),
    default: fact[7] ?? (generated ? undefined : own?.default),
    generated: generated || fact[9] === 'a',
    enumValues: base?.enumValues ?? [],
    maxLength: base?.schema === 'pg_catalog' ? maxLengthOf(base.name, modifiers.findLast((known) => known > 0) ?? -1) : undefined,
  }
}

export const columnsOf = (types: Types, facts: readonly ColumnFact[]): ReadonlyMap<string, Column> =>
  new Map(facts.map((fact) => [fact[1]!, columnOf(types, fact)] as const))

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
const everyBit = updateBit | insertBit | deleteBit

/** A relation of an exposed schema; undefined for one that is there only because a function returns its rows. */
export const exposedRelation = (
  types: Types,
  fact: RelationFact,
  schemas: ReadonlySet<string>,
  { key, updatable }: { readonly key: readonly number[]; readonly updatable: number | undefined },
): Exposed | undefined => {
  const { oid, schema, name, kind, partition, description, columns } = fact
  if (kind === 'c' || partition || !schemas.has(schema)) return undefined
  const bits = kind === 'r' || kind === 'p' ? everyBit : (updatable ?? 0)
  const columnNames = new Map(columns.map((fact) => [Number(fact[0]), fact[1]!] as const))
  const table: Table = {
    schema,
    name,
    kind: kinds[kind],
    description: description ?? undefined,
    columns: columnsOf(types, columns),
    primaryKey: key.map((column) => columnNames.get(column)).filter((column) => column !== undefined),
    insertable: (bits & insertBit) !== 0,
    updatable: (bits & updateBit) !== 0,
    deletable: (bits & deleteBit) !== 0,
  }
  return { oid, table, columnNames }
}

/** By table: its primary key. */
export const primaryKeys = (constraints: readonly ConstraintFact[]): ReadonlyMap<number, ConstraintFact> =>
  new Map(constraints.filter(({ kind }) => kind === 'p').map((key) => [key.table, key] as const))
