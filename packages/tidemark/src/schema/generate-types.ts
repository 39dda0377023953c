import type { SchemaClient, TypesOptions } from './schema.js'
import { type FunctionRow, readTypeFacts, type TypeFacts, type TypeReference } from './type-facts.js'

const header = `export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]
`

const footer = `
type PublicSchema = Database[Extract<keyof Database, 'public'>]

export type Tables<Name extends keyof PublicSchema['Tables']> = PublicSchema['Tables'][Name]['Row']
export type TablesInsert<Name extends keyof PublicSchema['Tables']> = PublicSchema['Tables'][Name]['Insert']
export type TablesUpdate<Name extends keyof PublicSchema['Tables']> = PublicSchema['Tables'][Name]['Update']
export type Enums<Name extends keyof PublicSchema['Enums']> = PublicSchema['Enums'][Name]
`

const numbers = new Set(['int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'oid'])
const texts = new Set(
  'text varchar bpchar char name citext uuid date time timetz timestamp timestamptz interval bytea inet cidr macaddr money bit varbit xml tsvector tsquery ltree vector int4range int8range numrange tsrange tstzrange daterange regclass regtype regproc regrole'.split(
    ' ',
  ),
)

const quote = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', '\\n')}'`
const key = (name: string): string => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : quote(name))
const indented = (text: string, depth: number): string => text.replaceAll('\n', `\n${'  '.repeat(depth)}`)

/** `{ … }` over several lines; a mapped `never` where there is nothing, as supabase-js expects of an empty group. */
const block = (members: readonly string[]): string =>
  members.length > 0 ? `{\n  ${members.map((member) => indented(member, 1)).join('\n  ')}\n}` : '{ [_ in never]: never }'

const unionOf = (labels: readonly string[]): string => labels.map(quote).join(' | ') || 'never'

/** How a value of this type arrives as JSON. Integers beyond 2^53 lose digits on the way, as with every JSON client. */
const typeName = (type: TypeReference, facts: TypeFacts): string => {
  if (type.array) {
    const element = typeName({ ...type, array: false }, facts)
    return /[|&]/.test(element) ? `(${element})[]` : `${element}[]`
  }
  const exported = facts.schemas.includes(type.schema)
  if (type.labels) return exported ? `Database[${quote(type.schema)}]['Enums'][${quote(type.name)}]` : unionOf(type.labels)
  if (type.relation) {
    const group = { table: 'Tables', view: 'Views', composite: 'CompositeTypes' }[type.relation]
    const row = type.relation === 'composite' ? '' : "['Row']"
    return exported ? `Database[${quote(type.schema)}][${quote(group)}][${quote(type.name)}]${row}` : 'Record<string, unknown>'
  }
  if (type.name === 'bool') return 'boolean'
  if (type.name === 'json' || type.name === 'jsonb') return 'Json'
  if (type.name === 'void') return 'undefined'
  if (type.name === 'record') return 'Record<string, unknown>'
  if (numbers.has(type.name)) return 'number'
  return texts.has(type.name) ? 'string' : 'unknown'
}

interface Relation {
  readonly schema: string
  readonly name: string
}

const columnsOf = (facts: TypeFacts, { schema, name }: Relation) =>
  facts.columns.filter((column) => column.schema === schema && column.relation === name)

const rowType = (facts: TypeFacts, relation: Relation): string =>
  block(
    columnsOf(facts, relation).map(
      (column) => `${key(column.name)}: ${typeName(column.type, facts)}${column.nullable ? ' | null' : ''}`,
    ),
  )

const writeType = (facts: TypeFacts, relation: Relation, forInsert: boolean): string =>
  block(
    columnsOf(facts, relation).map((column) => {
      if (column.readOnly) return `${key(column.name)}?: never`
      const optional = !forInsert || column.nullable || column.defaulted
      return `${key(column.name)}${optional ? '?' : ''}: ${typeName(column.type, facts)}${column.nullable ? ' | null' : ''}`
    }),
  )

const relationshipsOf = (facts: TypeFacts, { schema, name }: Relation): string => {
  const links = facts.foreignKeys.filter((link) => link.schema === schema && link.relation === name)
  if (links.length === 0) return '[]'
  const list = (names: readonly string[]) => `[${names.map(quote).join(', ')}]`
  const members = links.map((link) =>
    block([
      `foreignKeyName: ${quote(link.name)}`,
      `columns: ${list(link.columns)}`,
      `isOneToOne: ${link.oneToOne}`,
      `referencedRelation: ${quote(link.parent)}`,
      `referencedColumns: ${list(link.parentColumns)}`,
    ]),
  )
  return `[\n  ${members.map((member) => indented(member, 1)).join(',\n  ')},\n]`
}

const signature = (facts: TypeFacts, row: FunctionRow): string => {
  const args = row.args.map((arg) => `${key(arg.name)}${arg.defaulted ? '?' : ''}: ${typeName(arg.type, facts)}`)
  const columns = row.columns.map((column) => `${key(column.name)}: ${typeName(column.type, facts)}`)
  const single = columns.length > 0 ? `{ ${columns.join('; ')} }` : typeName(row.returns, facts)
  const returns = row.set ? (/[|&]/.test(single) ? `(${single})[]` : `${single}[]`) : single
  return `{ Args: ${args.length > 0 ? `{ ${args.join('; ')} }` : 'never'}; Returns: ${returns} }`
}

const functionsOf = (facts: TypeFacts, schema: string): string => {
  const rows = facts.functions.filter((row) => row.schema === schema)
  const names = [...new Set(rows.map(({ name }) => name))]
  return block(
    names.map((name) => {
      const overloads = rows.filter((row) => row.name === name).map((row) => signature(facts, row))
      return `${key(name)}: ${overloads.join('\n  | ')}`
    }),
  )
}

const schemaType = (facts: TypeFacts, schema: string): string => {
  const relations = (kind: 'table' | 'view' | 'composite') =>
    facts.relations.filter((relation) => relation.schema === schema && relation.kind === kind)
  const tables = relations('table').map((table) => {
    const members = [
      `Row: ${rowType(facts, table)}`,
      `Insert: ${writeType(facts, table, true)}`,
      `Update: ${writeType(facts, table, false)}`,
      `Relationships: ${relationshipsOf(facts, table)}`,
    ]
    return `${key(table.name)}: ${block(members)}`
  })
  const views = relations('view').map(
    (view) => `${key(view.name)}: ${block([`Row: ${rowType(facts, view)}`, 'Relationships: []'])}`,
  )
  const enums = facts.enums.filter((one) => one.schema === schema).map((one) => `${key(one.name)}: ${unionOf(one.labels)}`)
  const composites = relations('composite').map((type) => `${key(type.name)}: ${rowType(facts, type)}`)
  return block([
    `Tables: ${block(tables)}`,
    `Views: ${block(views)}`,
    `Functions: ${functionsOf(facts, schema)}`,
    `Enums: ${block(enums)}`,
    `CompositeTypes: ${block(composites)}`,
  ])
}

/** TypeScript for the live schema: `Database['public']['Tables'][name]['Row' | 'Insert' | 'Update']` and the rest of that shape. */
export const generateTypes = async (client: SchemaClient, { schemas = ['public'] }: TypesOptions = {}): Promise<string> => {
  const facts = await readTypeFacts(client, [...schemas].sort())
  const members = facts.schemas.map((schema) => `${key(schema)}: ${schemaType(facts, schema)}`)
  return `${header}\nexport type Database = ${block(members)}\n${facts.schemas.includes('public') ? footer : ''}`
}
