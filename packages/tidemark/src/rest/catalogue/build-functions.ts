import type { Argument, Column, ComputedColumn, RelationName, Relationship, SqlFunction } from '../catalogue.js'
import { columnsOf, type Types, typeChain } from './build-tables.js'
import type { Exposed } from './detect-relationships.js'
import type { FunctionFact, RelationFact } from './queries.js'
import type { CataloguedType } from './type-names.js'

export interface FunctionContext {
  readonly types: Types
  /** By number: name of each schema that was asked for. */
  readonly schemas: ReadonlyMap<number, string>
  readonly relations: ReadonlyMap<number, RelationFact>
  readonly exposed: ReadonlyMap<number, Exposed>
}

/** These must hold before the function's own statement is planned or timed; the others hold inside of it by themselves. */
const hoisted: ReadonlySet<string> = new Set([
  'statement_timeout',
  'default_transaction_isolation',
  'plan_filter.statement_cost_limit',
])
/** The types that a whole body can be given as. */
const bodyTypes: ReadonlySet<string> = new Set(['json', 'jsonb', 'text', 'xml', 'bytea'])
const volatilities = { i: 'immutable', s: 'stable', v: 'volatile' } as const

interface Parameter {
  readonly name: string
  readonly type: CataloguedType | undefined
  readonly goesIn: boolean
  readonly comesOut: boolean
  readonly variadic: boolean
}

const parametersOf = (types: Types, { allTypes, argumentTypes, modes, names }: FunctionFact): readonly Parameter[] =>
  (allTypes ?? argumentTypes).map((type, index) => {
    const mode = modes?.[index] ?? 'i'
    return {
      name: names?.[index] ?? '',
      type: types.get(type),
      goesIn: mode === 'i' || mode === 'b' || mode === 'v',
      comesOut: mode === 'o' || mode === 'b' || mode === 't',
      variadic: mode === 'v',
    }
  })

const argumentsOf = (parameters: readonly Parameter[], defaults: number): readonly Argument[] => {
  const given = parameters.filter(({ goesIn }) => goesIn)
  return given.map(({ name, type, variadic }, index) => ({
    name,
    type: type?.sql ?? '',
    category: type?.category ?? 'X',
    required: index < given.length - defaults,
    variadic,
  }))
}

const settingsOf = (settings: readonly string[] | null): ReadonlyMap<string, string> =>
  new Map(
    (settings ?? [])
      .map((setting) => [setting.slice(0, setting.indexOf('=')), setting.slice(setting.indexOf('=') + 1)] as const)
      .filter(([name]) => hoisted.has(name.toLowerCase())),
  )

/** What a parameter that comes out is like as a column. An unnamed one has the name that Postgres gives it. */
const outColumns = (types: Types, { name: own }: FunctionFact, parameters: readonly Parameter[]): ReadonlyMap<string, Column> => {
  const out = parameters.filter(({ comesOut }) => comesOut)
  const facts = out.map(({ name, type }, index) => {
    const unnamed = out.length === 1 ? own : `column${index + 1}`
    return [String(index + 1), name || unnamed, null, null, String(type?.oid ?? 0), '-1', 'false', null, '', '']
  })
  // A domain's default is for rows that are stored.
  return new Map([...columnsOf(types, facts)].map(([name, column]) => [name, { ...column, default: undefined }] as const))
}

const returnsOf = (context: FunctionContext, fact: FunctionFact, parameters: readonly Parameter[]): SqlFunction['returns'] => {
  const { types, relations, exposed } = context
  const chain = typeChain(types, fact.returns)
  const [own, base] = [chain[0], chain.at(-1)]
  const common = { set: fact.set, type: own?.sql ?? 'record', single: !fact.set || fact.rows === 1, relation: undefined }
  // Before the parameters: a single one that comes out as a row is that row.
  if (base?.kind === 'c') {
    const columns = columnsOf(types, relations.get(base.relationOid)?.columns ?? [])
    return { ...common, kind: 'row', relation: relationOf(exposed, base.relationOid), columns }
  }
  if (parameters.some(({ comesOut }) => comesOut)) {
    return { ...common, kind: 'row', columns: outColumns(types, fact, parameters) }
  }
  // Rows whose columns only the call tells are read as values: FROM would want to know them.
  const isVoid = base?.kind === 'p' && base.schema === 'pg_catalog' && base.name === 'void'
  return { ...common, kind: isVoid ? 'void' : 'scalar', columns: new Map() }
}

const relationOf = (exposed: FunctionContext['exposed'], oid: number): RelationName | undefined => {
  const found = exposed.get(oid)
  return found && { schema: found.table.schema, name: found.table.name }
}

/** Only arguments with names can be given, but for a single one that takes the whole body. */
const canBeCalled = ([only, ...others]: readonly Argument[]): boolean => {
  if (only && others.length === 0 && only.name === '') return bodyTypes.has(only.type)
  return [only, ...others].every((argument) => argument?.name !== '')
}

/** A function of the exposed schemas; undefined where no request could call it. */
export const functionOf = (context: FunctionContext, fact: FunctionFact): SqlFunction | undefined => {
  const parameters = parametersOf(context.types, fact)
  const given = argumentsOf(parameters, fact.defaults)
  const schema = context.schemas.get(fact.schema)
  if (schema === undefined || !canBeCalled(given)) return undefined
  return {
    oid: fact.oid,
    schema,
    name: fact.name,
    description: fact.description ?? undefined,
    arguments: given,
    volatility: volatilities[fact.volatility],
    returns: returnsOf(context, fact, parameters),
    settings: settingsOf(fact.settings),
    securityDefiner: fact.securityDefiner,
  }
}

export type ComputedRelationship = Relationship & { readonly kind: 'computed' }

/** The exposed relation of whose single row a function is, if it is such a function. */
const argumentRelation = ({ types, exposed }: FunctionContext, { argumentTypes }: FunctionFact): RelationName | undefined => {
  const [row, ...others] = argumentTypes
  const type = row === undefined || others.length > 0 ? undefined : types.get(row)
  return type && type.relationOid !== 0 ? relationOf(exposed, type.relationOid) : undefined
}

/** A function from a row of one exposed relation to rows of one. */
export const computedRelationship = (context: FunctionContext, fact: FunctionFact): ComputedRelationship | undefined => {
  const from = argumentRelation(context, fact)
  const result = context.types.get(fact.returns)
  const to = result && result.relationOid !== 0 ? relationOf(context.exposed, result.relationOid) : undefined
  const schema = context.schemas.get(fact.schema)
  if (!from || !to || schema === undefined) return undefined
  return { kind: 'computed', from, to, function: { schema, name: fact.name }, toOne: !fact.set || fact.rows === 1 }
}

/** A function from a row of an exposed relation to one value. */
export const computedColumn = (context: FunctionContext, fact: FunctionFact): ComputedColumn | undefined => {
  const relation = argumentRelation(context, fact)
  const type = context.types.get(fact.returns)
  const schema = context.schemas.get(fact.schema)
  if (!relation || !type || type.kind === 'p' || fact.set || schema === undefined) return undefined
  const { name } = fact
  return { relation, function: { schema, name }, name, type: type.sql, category: type.category }
}
