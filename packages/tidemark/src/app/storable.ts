const unstorable = /\0|\p{Surrogate}/u

/** Whether Postgres can hold every text in a JSON value, names among them: none has a NUL or half of a surrogate pair. */
export const isStorable = (value: unknown): boolean => {
  if (typeof value === 'string') return !unstorable.test(value)
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([name, inner]) => isStorable(name) && isStorable(inner))
}
