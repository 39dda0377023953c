import { isDeeperThan } from '../../json-depth.js'
import type { Payload } from '../query.js'
import { restErrors } from '../rest-errors.js'
import { limits } from './limits.js'

type JsonPayload = Payload & { readonly kind: 'json' }
type Row = Readonly<Record<string, unknown>>

const invalid = () => restErrors.body('Empty or invalid json')

const isRow = (value: unknown): value is Row => typeof value === 'object' && value !== null && !Array.isArray(value)

const parse = (text: string): unknown => {
  if (isDeeperThan(text, limits.jsonDepth)) throw restErrors.body(`The json is nested deeper than ${limits.jsonDepth} levels`)
  try {
    return JSON.parse(text)
  } catch {
    throw invalid()
  }
}

/** The keys of the first row, where all rows have the same. */
const commonKeys = (rows: readonly unknown[]): readonly string[] | undefined => {
  const [first] = rows
  if (rows.length === 0) return []
  if (!isRow(first)) return undefined
  const keys = Object.keys(first)
  const same = (row: unknown) =>
    isRow(row) && Object.keys(row).length === keys.length && keys.every((key) => Object.hasOwn(row, key))
  return rows.every(same) ? keys : undefined
}

/**
 * A JSON body, checked for form and kept as the text it is. The rows of a relation are objects with the same keys each, unless
 * `columns` names these; the body of a function may be anything.
 */
export const jsonPayload = (
  text: string,
  subject: 'relation' | 'function',
  columns: readonly string[] | undefined,
): JsonPayload => {
  if (subject === 'function' && text === '') return { kind: 'json', text: '{}', array: false, rows: 1, keys: columns ?? [] }
  const value = parse(text)
  const array = Array.isArray(value)
  if (subject === 'relation' && !array && !isRow(value)) throw invalid()
  const rows: readonly unknown[] = array ? value : [value]
  const keys = columns ?? commonKeys(rows) ?? (subject === 'function' ? [] : undefined)
  if (!keys) throw restErrors.body('All object keys must match')
  return { kind: 'json', text, array, rows: rows.length, keys }
}
