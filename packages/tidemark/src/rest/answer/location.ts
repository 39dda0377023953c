const escaped = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)

const query = (parameters: readonly (readonly [string, string])[]): string =>
  parameters.map(([name, value]) => `${escaped(name)}=${escaped(value)}`).join('&')

/** Where a row is found by its key: `/items?id=eq.5&name=eq.a%20b`. */
export const rowLocation = (table: string, key: readonly (readonly [column: string, value: string | null])[]): string =>
  `/${escaped(table)}?${query(key.map(([column, value]) => [column, value === null ? 'is.null' : `eq.${value}`]))}`

/** Clients read no more than 16 KiB of headers, and the escapes of a query can be three times what was sent. */
const maxLocationLength = 4_096

/**
 * Where the same rows are found again: the parameters in the order of their names. Undefined where that is so long that a client
 * might not take the answer for it.
 */
export const contentLocation = (table: string, parameters: readonly (readonly [string, string])[]): string | undefined => {
  if (parameters.length === 0) return `/${escaped(table)}`
  if (parameters.reduce((sum, [name, value]) => sum + name.length + value.length, 0) > maxLocationLength) return undefined
  const sorted = [...parameters].sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0))
  const location = `/${escaped(table)}?${query(sorted)}`
  return location.length > maxLocationLength ? undefined : location
}
