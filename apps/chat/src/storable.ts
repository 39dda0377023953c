/** Text and JSON made such that Postgres can hold them: what it cannot becomes U+FFFD. */
import { isStorable } from 'tidemark/app'

export const cleanText = (text: string): string => (isStorable(text) ? text : text.replace(/\0|\p{Surrogate}/gu, '\ufffd'))

/** The same in every text and name of a JSON value. */
export const cleanJson = (value: unknown): unknown => {
  if (typeof value === 'string') return cleanText(value)
  if (Array.isArray(value)) return value.map(cleanJson)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [cleanText(name), cleanJson(inner)]))
}
