/** The columns that make keys, as Postgres has them: their types say how a part of a key is written. */
import { TidemarkError } from '../../errors.js'
import type { CachePool, FromRule } from '../cache.js'
import type { KeyTemplate, PartForm } from './key-template.js'
import { isTagRule, qualified } from './rules.js'

const forms: Readonly<Record<string, PartForm>> = {
  int2: 'integer',
  int4: 'integer',
  int8: 'integer',
  text: 'text',
  varchar: 'text',
  uuid: 'uuid',
}

export interface ColumnTypes {
  /** The type's name by `schema.table.column`. */
  readonly types: ReadonlyMap<string, string>
}

const columnsSql = `
  select n.nspname || '.' || c.relname as "table", a.attname as "column",
         case when t.typtype = 'e' then 'text' when l.collisdeterministic = false then t.typname || ' that collation ' || l.collname || ' compares'
              else t.typname end as type
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace join pg_type t on t.oid = a.atttypid
         left join pg_collation l on l.oid = a.attcollation
   where n.nspname || '.' || c.relname = any ($1) and a.attnum > 0 and not a.attisdropped`

export const readColumnTypes = async (pool: Pick<CachePool, 'query'>, tables: readonly string[]): Promise<ColumnTypes> => {
  const { rows } = await pool.query<{ table: string; column: string; type: string }>(columnsSql, [tables])
  return { types: new Map(rows.map(({ table, column, type }) => [`${table}.${column}`, type])) }
}

const columnsFor = (template: KeyTemplate, rule: FromRule): readonly (readonly [name: string, column: string])[] => {
  if (rule === true) return []
  if (typeof rule === 'string') return [[template.names[0] ?? '', rule]]
  if (isTagRule(template, rule)) return [...rule.tag.matchAll(/\{([^{}]*)\}/g)].map(([, column = '']) => ['', column])
  return Object.entries(rule)
}

/** How each name of a template is written. Raises TM_CACHE_RULE for rules that can make no keys. */
export const formsOf = (
  template: KeyTemplate,
  from: Readonly<Record<string, FromRule | readonly FromRule[]>>,
  { types }: ColumnTypes,
): readonly PartForm[] => {
  const found = new Map<string, PartForm>()
  const refuse = (table: string, reason: string): never => {
    throw new TidemarkError('TM_CACHE_RULE', { template: template.text, table, reason })
  }
  for (const [given, rules] of Object.entries(from)) {
    const table = qualified(given)
    if (![...types.keys()].some((name) => name.startsWith(`${table}.`))) refuse(table, 'there is no such table')
    for (const rule of [rules].flat() as readonly FromRule[]) {
      const columns = columnsFor(template, rule)
      if (typeof rule === 'string' && template.names.length !== 1)
        refuse(table, 'the template has not one name: give a column for each')
      if (rule !== true && !isTagRule(template, rule)) {
        const named = columns.map(([name]) => name)
        const missing = template.names.find((name) => !named.includes(name))
        if (missing !== undefined) refuse(table, `no column is given for {${missing}}; where a row does not tell it, use a tag`)
        const unknown = named.find((name) => !template.names.includes(name))
        if (unknown !== undefined) refuse(table, `the template has no {${unknown}}`)
      }
      for (const [name, column] of columns) {
        const type = types.get(`${table}.${column}`)
        if (type === undefined) refuse(table, `it has no column ${column}`)
        const form = forms[type!]
        if (form === undefined)
          refuse(
            table,
            `column ${column} of type ${type} has more than one spelling; whole numbers, text, enums and uuid make keys`,
          )
        if (name === '') continue
        if (found.has(name) && found.get(name) !== form) refuse(table, `{${name}} has another type than in another table`)
        found.set(name, form!)
      }
    }
  }
  return template.names.map((name) => found.get(name) ?? 'text')
}
