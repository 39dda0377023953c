import type { Catalogue, ComputedColumn, Relationship, SqlFunction, Table } from '../catalogue.js'
import { computedColumn, computedRelationship, type FunctionContext, functionOf } from './build-functions.js'
import { exposedRelation, primaryKeys } from './build-tables.js'
import { detectRelationships, viewKey } from './detect-relationships.js'
import { groupBy } from './group-by.js'
import type { ConstraintFact, FunctionFact, HeadFact, RelationFact, TypeFacts, ViewRow } from './queries.js'
import { relationKey } from './relation-key.js'
import { inSignatureOrder } from './signature-order.js'
import { traceViews } from './trace-views.js'
import { cataloguedType, createTypeNames } from './type-names.js'

/** Everything that one reading brings. */
export interface CatalogueFacts {
  readonly schemas: readonly string[]
  readonly extraSearchPath: readonly string[]
  readonly generation: number
  readonly head: HeadFact
  readonly types: TypeFacts
  readonly functions: readonly FunctionFact[]
  readonly relations: readonly RelationFact[]
  /** Of views and foreign tables, by number: bits of pg_relation_is_updatable. */
  readonly updatable: ReadonlyMap<number, number>
  readonly constraints: readonly ConstraintFact[]
  readonly views: readonly ViewRow[]
  readonly timezones: ReadonlySet<string>
}

const functionContext = (facts: CatalogueFacts): FunctionContext & { readonly origins: ReturnType<typeof traceViews> } => {
  const labels = new Map(facts.types.labels.map((known) => [known.type, known.labels] as const))
  const types = new Map(
    facts.types.types.map((fact) => {
      const type = cataloguedType(fact, labels)
      return [type.oid, type] as const
    }),
  )
  const origins = traceViews(facts.views)
  const keys = primaryKeys(facts.constraints)
  const exposedSchemas = new Set(facts.schemas)
  const exposed = facts.relations
    .map((fact) => {
      const key = fact.kind === 'v' || fact.kind === 'm' ? viewKey(origins.get(fact.oid), keys) : keys.get(fact.oid)?.columns
      return exposedRelation(types, fact, exposedSchemas, { key: key ?? [], updatable: facts.updatable.get(fact.oid) })
    })
    .filter((relation) => relation !== undefined)
  return {
    types,
    origins,
    schemas: new Map(facts.head.schemas.map(({ oid, name }) => [oid, name] as const)),
    relations: new Map(facts.relations.map((fact) => [fact.oid, fact] as const)),
    exposed: new Map(exposed.map((relation) => [relation.oid, relation] as const)),
  }
}

/** A name that several functions have is, in an expression, the one of the schema that comes first on the search path. */
const computedColumns = (facts: CatalogueFacts, context: FunctionContext): ReadonlyMap<string, ComputedColumn> => {
  const found = new Map<string, ComputedColumn>()
  const columns = facts.functions.map((fact) => computedColumn(context, fact)).filter((column) => column !== undefined)
  const rank = ({ relation, function: { schema } }: ComputedColumn): number =>
    schema === relation.schema ? -1 : facts.extraSearchPath.indexOf(schema)
  // A request's search path holds the relation's own schema, not the other exposed ones.
  const reachable = columns.filter(
    ({ relation, function: { schema } }) => schema === relation.schema || facts.extraSearchPath.includes(schema),
  )
  for (const column of reachable.toSorted((a, b) => rank(a) - rank(b))) {
    const key = `${relationKey(column.relation)}\0${column.name}`
    if (!found.has(key)) found.set(key, column)
  }
  return found
}

const settingsByRole = ({ roleSettings }: HeadFact): ReadonlyMap<string, ReadonlyMap<string, string>> =>
  new Map(
    [...groupBy(roleSettings, ({ role }) => role)].map(([role, settings]) => [
      role,
      new Map(
        settings.map(({ setting }) => [setting.slice(0, setting.indexOf('=')), setting.slice(setting.indexOf('=') + 1)] as const),
      ),
    ]),
  )

/** What the catalogue looks things up in. */
interface Parts extends Pick<Catalogue, 'schemas' | 'generation' | 'timezones' | 'postgresMajor' | 'typeName'> {
  readonly tables: ReadonlyMap<string, Table>
  readonly relationships: ReadonlyMap<string, readonly Relationship[]>
  readonly columns: ReadonlyMap<string, ComputedColumn>
  readonly functions: readonly SqlFunction[]
  readonly settings: ReadonlyMap<string, ReadonlyMap<string, string>>
  readonly descriptions: ReadonlyMap<string, string | undefined>
}

const partsOf = (facts: CatalogueFacts): Parts => {
  const { schemas, extraSearchPath, generation, head, timezones } = facts
  const context = functionContext(facts)
  const exposed = [...context.exposed.values()]
  const exposedSchemas = new Set(schemas)
  const computed = facts.functions
    .map((fact) => computedRelationship(context, fact))
    .filter((way) => way !== undefined)
    .filter((way) => exposedSchemas.has(way.function.schema))
  return {
    schemas,
    generation,
    timezones,
    postgresMajor: Math.floor(head.versionNumber / 10_000),
    typeName: createTypeNames(context.types.values(), [...schemas, ...extraSearchPath]),
    tables: new Map(exposed.map(({ table }) => [relationKey(table), table] as const)),
    relationships: detectRelationships({ exposed, constraints: facts.constraints, origins: context.origins }, computed),
    columns: computedColumns(facts, context),
    functions: facts.functions
      .map((fact) => functionOf(context, fact))
      .filter((known) => known !== undefined)
      .filter(({ schema }) => exposedSchemas.has(schema))
      .toSorted(inSignatureOrder),
    settings: settingsByRole(head),
    descriptions: new Map(head.schemas.map(({ name, description }) => [name, description ?? undefined] as const)),
  }
}

const none: ReadonlyMap<string, string> = new Map()

/** Apart from what made the parts, so that nothing of that is kept. */
const lookUpIn = ({ tables, relationships, columns, functions, settings, descriptions, ...rest }: Parts): Catalogue => {
  const tablesBySchema = groupBy(tables.values(), ({ schema }) => schema)
  const functionsByName = groupBy(functions, relationKey)
  const functionsBySchema = groupBy(functions, ({ schema }) => schema)
  return {
    ...rest,
    table: (schema, name) => tables.get(relationKey({ schema, name })),
    tables: (schema) => tablesBySchema.get(schema) ?? [],
    relationships: (from) => relationships.get(relationKey(from)) ?? [],
    computedColumn: (relation, name) => columns.get(`${relationKey(relation)}\0${name}`),
    functions: (schema, name) => functionsByName.get(relationKey({ schema, name })) ?? [],
    allFunctions: (schema) => functionsBySchema.get(schema) ?? [],
    roleSettings: (role) => settings.get(role) ?? none,
    description: (schema) => descriptions.get(schema),
  }
}

/** Puts what was read together, once, so that looking something up is one step. */
export const createCatalogue = (facts: CatalogueFacts): Catalogue => lookUpIn(partsOf(facts))
