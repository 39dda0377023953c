/** Text and JSON as Postgres can hold them: without the character NUL, and without halves of surrogate pairs. */
const unstorable = /\0|\p{Surrogate}/u

export const isStorable = (text: string): boolean => !unstorable.test(text)

/** What cannot be held becomes U+FFFD. */
export const cleanText = (text: string): string => (isStorable(text) ? text : text.replace(/\0|\p{Surrogate}/gu, '\ufffd'))

/** The same in every text and name of a JSON value. */
export const cleanJson = (value: unknown): unknown => {
  if (typeof value === 'string') return cleanText(value)
  if (Array.isArray(value)) return value.map(cleanJson)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [cleanText(name), cleanJson(inner)]))
}

export const isJsonStorable = (value: unknown): boolean => JSON.stringify(cleanJson(value)) === JSON.stringify(value)
