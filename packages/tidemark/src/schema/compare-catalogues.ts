import type { CatalogueObject } from './catalogue.js'
import type { DiffOptions, SchemaDifference } from './schema.js'

const alwaysCompared: readonly string[] = ['public', 'tidemark']
/** Made by the bootstrap or by a Supabase project itself, never by migrations. */
const neverCompared: readonly string[] = ['auth', 'supabase_migrations']

const keyOf = ({ kind, schema, parent, name }: CatalogueObject): string => JSON.stringify([kind, schema, parent, name])

const changesOf = (database: CatalogueObject, files: CatalogueObject): SchemaDifference['attributes'] =>
  [...new Set([...Object.keys(database.attributes), ...Object.keys(files.attributes)])]
    .sort()
    .map((attribute) => ({
      attribute,
      database: database.attributes[attribute] ?? 'none',
      files: files.attributes[attribute] ?? 'none',
    }))
    .filter((change) => change.database !== change.files)

/**
 * How a database differs from what the files make. What belongs to a table that is extra or missing goes without saying.
 * Schemas that the files do not make are left out, unless named.
 */
export const compareCatalogues = (
  database: readonly CatalogueObject[],
  files: readonly CatalogueObject[],
  { schemas, ignoreTables = [] }: DiffOptions = {},
): readonly SchemaDifference[] => {
  const compared = new Set(
    schemas ?? [...alwaysCompared, ...files.map(({ schema }) => schema)].filter((schema) => !neverCompared.includes(schema)),
  )
  const ignored = (object: CatalogueObject) => ignoreTables.includes(`${object.schema}.${object.parent ?? object.name}`)
  const kept = (object: CatalogueObject) => compared.has(object.schema) && !ignored(object)
  const live = new Map(database.filter(kept).map((object) => [keyOf(object), object]))
  const wanted = new Map(files.filter(kept).map((object) => [keyOf(object), object]))
  const objects = [...new Map([...live, ...wanted]).entries()]

  const differences = objects.flatMap(([key, { kind, schema, parent, name }]): readonly SchemaDifference[] => {
    const [here, there] = [live.get(key), wanted.get(key)]
    const object = { kind, schema, parent, name }
    if (!here) return [{ ...object, state: 'missing', attributes: [] }]
    if (!there) return [{ ...object, state: 'extra', attributes: [] }]
    const attributes = changesOf(here, there)
    return attributes.length > 0 ? [{ ...object, state: 'changed', attributes }] : []
  })
  const whole = new Set(
    differences
      .filter(({ parent, state }) => parent === null && state !== 'changed')
      .map(({ schema, name }) => `${schema}.${name}`),
  )
  return differences
    .filter(({ schema, parent }) => parent === null || !whole.has(`${schema}.${parent}`))
    .sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1))
}

const sortKey = ({ schema, parent, kind, name }: SchemaDifference): string =>
  [schema, parent ?? name, parent === null ? 0 : 1, kind, name].join('\u0000')
