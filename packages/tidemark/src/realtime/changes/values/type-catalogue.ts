import type { Pool } from '../../../postgres/postgres.js'

/** What Postgres knows of a type. Domains are looked through: they behave as the type under them. */
export interface TypeFacts {
  readonly oid: number
  /** `int4`, `_text`. */
  readonly name: string
  /** The type itself, or of a domain the one under it. */
  readonly baseOid: number
  /** Quoted, with its schema: what a cast is written with. */
  readonly sqlName: string
  /** Where its operators are found: its own schema, then Postgres'. */
  readonly searchPath: string
  /** Of an array. */
  readonly element: TypeFacts | undefined
  /** Between the elements of an array of this type. */
  readonly delimiter: string
  /** Of a composite type. */
  readonly fields: readonly { readonly name: string; readonly type: TypeFacts }[] | undefined
  /** True where an extension says how its values become JSON. */
  readonly ownJson: boolean
}

interface TypeRow {
  readonly oid: number
  readonly name: string
  readonly base: number
  readonly sqlName: string
  readonly searchPath: string
  readonly element: number
  readonly delimiter: string
  readonly fields: readonly (readonly [name: string, oid: number])[] | null
  readonly ownJson: boolean
}

const typesSql = `
  with recursive chain as (
    select t.oid as origin, t.oid, t.typtype, t.typbasetype from pg_type t where t.oid = any ($1::oid[])
    union all
    select c.origin, t.oid, t.typtype, t.typbasetype from chain c join pg_type t on t.oid = c.typbasetype where c.typtype = 'd'
  )
  select o.oid::int8::float8 as oid, o.typname as name, b.oid::int8::float8 as base, format('%I.%I', n.nspname, b.typname) as "sqlName", format('%I, pg_catalog', n.nspname) as "searchPath",
         case when b.typsubscript = 'pg_catalog.array_subscript_handler'::regproc then b.typelem::int8::float8 else 0 end as element,
         b.typdelim as delimiter,
         case when b.typtype = 'c' then
           (select jsonb_agg(jsonb_build_array(a.attname, a.atttypid::int8) order by a.attnum) from pg_attribute a
             where a.attrelid = b.typrelid and a.attnum > 0 and not a.attisdropped) end as fields,
         b.oid >= 16384 and exists (select from pg_cast where castsource = b.oid and casttarget = 'json'::regtype and castmethod = 'f') as "ownJson"
    from chain c join pg_type o on o.oid = c.origin join pg_type b on b.oid = c.oid join pg_namespace n on n.oid = b.typnamespace
   where b.typtype <> 'd'`

const unknownType = (oid: number): TypeFacts => ({
  oid,
  name: 'unknown',
  baseOid: 0,
  sqlName: 'pg_catalog.text',
  searchPath: 'pg_catalog',
  element: undefined,
  delimiter: ',',
  fields: undefined,
  ownJson: false,
})

/** Types of one database, each read once: what a number stands for does not change while anything uses it. */
export interface TypeCatalogue {
  /** What is known already. */
  get(oid: number): TypeFacts | undefined
  /** Reads what is not known. Raises TM_POSTGRES_*. */
  load(oids: readonly number[]): Promise<void>
}

/** Composite types that hold each other more deeply than this are told as texts. */
const maxDepth = 8

/** Makes the catalogue of the pool's database. */
export const createTypeCatalogue = (pool: Pick<Pool, 'query'>): TypeCatalogue => {
  const known = new Map<number, TypeFacts>()

  const read = async (oids: readonly number[]): Promise<Map<number, TypeRow>> => {
    const rows = new Map<number, TypeRow>()
    let wanted = oids.filter((oid) => oid > 0 && !known.has(oid))
    for (let depth = 0; wanted.length > 0 && depth < maxDepth; depth += 1) {
      const answer = await pool.query<TypeRow>(typesSql, [wanted], { idempotent: true })
      for (const row of answer.rows) rows.set(row.oid, row)
      const parts = answer.rows.flatMap(({ element, fields }) => [element, ...(fields ?? []).map(([, oid]) => oid)])
      wanted = [...new Set(parts)].filter((oid) => oid > 0 && !known.has(oid) && !rows.has(oid))
    }
    return rows
  }

  const factsOf = (oid: number, rows: ReadonlyMap<number, TypeRow>, depth: number): TypeFacts => {
    const found = known.get(oid)
    const row = rows.get(oid)
    if (found) return found
    if (!row || depth > maxDepth) return unknownType(oid)
    const { name, base, sqlName, searchPath, element, delimiter, fields, ownJson } = row
    const facts: TypeFacts = {
      oid,
      name,
      baseOid: base,
      sqlName,
      searchPath,
      delimiter,
      ownJson,
      element: element === 0 ? undefined : factsOf(element, rows, depth + 1),
      fields: fields?.map(([field, type]) => ({ name: field, type: factsOf(type, rows, depth + 1) })),
    }
    return facts
  }

  return {
    get: (oid) => known.get(oid),
    load: async (oids) => {
      if (oids.every((oid) => known.has(oid))) return
      const rows = await read(oids)
      for (const oid of oids) if (!known.has(oid)) known.set(oid, factsOf(oid, rows, 0))
    },
  }
}
