import type { Field } from '../query.js'
import { type Cursor, parsed } from './cursor.js'
import { comma, delimiter, fieldName, jsonPath } from './names.js'

/** Names with `separator` between them. */
const namesBy =
  (separator: (cursor: Cursor) => boolean) =>
  (cursor: Cursor): string[] | undefined => {
    const first = fieldName(cursor)
    if (first === undefined) return undefined
    const names = [first]
    while (separator(cursor)) {
      const next = fieldName(cursor)
      if (next === undefined) return undefined
      names.push(next)
      cursor.miss = undefined
    }
    return names
  }

const dotted = namesBy(delimiter)
const listed = namesBy(comma)

/** Where a parameter belongs: the embeds on the way, and the column. */
export interface TreePath {
  readonly embeds: readonly string[]
  readonly field: Field
}

const treePath = (cursor: Cursor): TreePath | undefined => {
  const names = dotted(cursor)
  const path = names && jsonPath(cursor)
  const column = names?.pop()
  return names && path && column !== undefined ? { embeds: names, field: { column, path } } : undefined
}

/** `author.data->>born`, the name of a filter. */
export const parseTreePath = (text: string): TreePath => parsed('tree path', text, treePath)

/** `author.not.or`: the embeds on the way, and the operator with its `not`. */
export const parseLogicPath = (text: string): { readonly embeds: readonly string[]; readonly operator: string } => {
  const names = parsed('logic path', text, dotted)
  const operator = names.at(-1) ?? ''
  const negated = names.includes('not')
  return { embeds: names.slice(0, -1).filter((name) => name !== 'not'), operator: negated ? `not.${operator}` : operator }
}

/** The names in `columns` or `on_conflict`, each once. */
export const parseNames = (parameter: 'columns' | 'on_conflict', text: string): readonly string[] => [
  ...new Set(parsed(`${parameter} parameter`, text, listed)),
]
