import type { Catalogue, RelationName, Relationship } from '../catalogue.js'
import { type RelationshipCandidate, restErrors } from '../rest-errors.js'
import { fuzzyMatches } from './fuzzy-match.js'

type KeyRelationship = Exclude<Relationship, { readonly kind: 'many-to-many' | 'computed' }>
type DetectedRelationship = Exclude<Relationship, { readonly kind: 'computed' }>

const sameRelation = (a: RelationName, b: RelationName): boolean => a.schema === b.schema && a.name === b.name

const isView = (catalogue: Catalogue, { schema, name }: RelationName): boolean =>
  /view$/.test(catalogue.table(schema, name)?.kind ?? '')

/** The pair of columns of a key that has one column only: ours, theirs. */
const onlyPair = (way: DetectedRelationship): readonly [string, string] | undefined =>
  way.kind !== 'many-to-many' && way.columns.length === 1 ? way.columns[0] : undefined

const isConstraint = (way: DetectedRelationship, name: string): boolean => way.kind !== 'many-to-many' && way.constraint === name

/** A table with a key to itself is reached in both directions: its own name gives the many, the name of the column the one. */
const leadsToSelf = (way: DetectedRelationship, target: string, hint: string | undefined): boolean => {
  if (hint !== undefined) return way.kind === 'one-to-many' && way.to.name === target && onlyPair(way)?.[1] === hint
  if (way.kind === 'one-to-many') return way.to.name === target
  return way.kind === 'many-to-one' && onlyPair(way)?.[0] === target
}

const leadsTo = (catalogue: Catalogue, way: Relationship, target: string, hint: string | undefined): boolean => {
  if (way.kind === 'computed') return way.function.name === target
  if (sameRelation(way.from, way.to)) return leadsToSelf(way, target, hint)
  if (hint === undefined) {
    if (way.to.name === target) return true
    return (isConstraint(way, target) || onlyPair(way)?.[0] === target) && !isView(catalogue, way.to)
  }
  if (way.to.name !== target) return false
  if (way.kind === 'many-to-many') return way.junction.name === hint
  return way.constraint === hint || onlyPair(way)?.some((column) => column === hint) === true
}

const columnList = (columns: readonly string[]): string => `(${columns.join(', ')})`

const keyText = ({ constraint, from, to, columns }: KeyRelationship): string => {
  const ours = columnList(columns.map(([our]) => our))
  const theirs = columnList(columns.map(([, their]) => their))
  return `${constraint} using ${from.name}${ours} and ${to.name}${theirs}`
}

const candidateOf = (way: DetectedRelationship): RelationshipCandidate => {
  const ends = { cardinality: way.kind, from: way.from.name, to: way.to.name }
  if (way.kind !== 'many-to-many') return { ...ends, relationship: keyText(way), hint: way.constraint }
  const [toUs, toThem] = way.constraints
  const first = columnList(way.fromColumns.map(([, junction]) => junction))
  const second = columnList(way.toColumns.map(([, junction]) => junction))
  return { ...ends, relationship: `${way.junction.name} using ${toUs}${first} and ${toThem}${second}`, hint: way.junction.name }
}

/** What was probably meant: another relation to start from, or another of those that this one leads to. */
const hintFor = (catalogue: Catalogue, from: RelationName, target: string): string | null => {
  const ways = waysOf(catalogue, from)
  if (ways.length > 0) {
    const [meant] = fuzzyMatches(
      target,
      ways.map((way) => way.to.name),
    ).filter(({ score }) => score < 1)
    return meant ? `Perhaps you meant '${meant.name}' instead of '${target}'.` : null
  }
  const related = catalogue.tables(from.schema).filter((table) => waysOf(catalogue, table).length > 0)
  const [meant] = fuzzyMatches(
    from.name,
    related.map((table) => table.name),
  )
  return meant ? `Perhaps you meant '${meant.name}' instead of '${from.name}'.` : null
}

const waysOf = (catalogue: Catalogue, from: RelationName): readonly Relationship[] =>
  catalogue.relationships(from).filter((way) => (way.kind === 'computed' ? way.function.schema : way.to.schema) === from.schema)

/**
 * The one way from a relation to what an embed names: a relation, a computed relationship, a foreign key or its column.
 * Raises PGRST200 where there is none, PGRST201 where there are several.
 */
export const findRelationship = (
  catalogue: Catalogue,
  from: RelationName,
  target: string,
  hint: string | undefined,
): Relationship => {
  const ways = waysOf(catalogue, from).filter((way) => leadsTo(catalogue, way, target, hint))
  const [found, ...others] = ways
  if (!found) {
    const missing = { schema: from.schema, from: from.name, to: target, using: hint }
    throw restErrors.relationshipNotFound({ ...missing, hint: hintFor(catalogue, from, target) })
  }
  // A function has its name alone, so two computed ones never meet, and one that meets a detected one is the way meant.
  const computed = ways.find((way) => way.kind === 'computed')
  if (computed) return computed
  if (others.length === 0) return found
  const detected = ways.filter((way) => way.kind !== 'computed')
  throw restErrors.relationshipAmbiguous(from.name, target, detected.map(candidateOf))
}
