const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

/** Whether two values of JSON are the same. */
export const jsonEqual = (a: unknown, b: unknown): boolean => {
  if (a === b) return true
  if (!isObject(a) || !isObject(b) || Array.isArray(a) !== Array.isArray(b)) return false
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>]
  const names = Object.keys(left)
  return names.length === Object.keys(right).length && names.every((name) => name in right && jsonEqual(left[name], right[name]))
}
