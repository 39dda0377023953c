const escaped = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)

const query = (parameters: readonly (readonly [string, string])[]): string =>
  parameters.map(([name, value]) => `${escaped(name)}=${escaped(value)}`).join('&')

/** Where a row is found by its key: `/items?id=eq.5&name=eq.a%20b`. */
export const rowLocation = (table: string, key: readonly (readonly [column: string, value: string | null])[]): string =>
  `/${escaped(table)}?${query(key.map(([column, value]) => [column, value === null ? 'is.null' : `eq.${value}`]))}`

/** Where the same rows are found again: the parameters in the order of their names. */
export const contentLocation = (table: string, parameters: readonly (readonly [string, string])[]): string => {
  if (parameters.length === 0) return `/${escaped(table)}`
  const sorted = [...parameters].sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0))
  return `/${escaped(table)}?${query(sorted)}`
}
