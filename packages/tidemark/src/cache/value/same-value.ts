/** Whether two cached values are the same: by what they hold, whoever made them. */

type Pair = readonly [unknown, unknown]

const plainPairs = (one: object, other: object): Pair[] | undefined => {
  const keys = Object.keys(one)
  if (keys.length !== Object.keys(other).length || !keys.every((key) => Object.hasOwn(other, key))) return undefined
  return keys.map((key) => [(one as Record<string, unknown>)[key], (other as Record<string, unknown>)[key]] as const)
}

const listPairs = (one: readonly unknown[], other: readonly unknown[]): Pair[] | undefined =>
  one.length === other.length ? one.map((member, i) => [member, other[i]] as const) : undefined

/** What has to be the same for two containers to be; undefined where they are not, whatever is in them. */
const pairsOf = (one: object, other: object): Pair[] | undefined => {
  if (one instanceof Date || other instanceof Date)
    return one instanceof Date && other instanceof Date && Object.is(one.getTime(), other.getTime()) ? [] : undefined
  if (one instanceof Uint8Array || other instanceof Uint8Array)
    return one instanceof Uint8Array && other instanceof Uint8Array && Buffer.compare(one, other) === 0 ? [] : undefined
  if (one instanceof Map || other instanceof Map)
    return one instanceof Map && other instanceof Map ? listPairs([...one].flat(1), [...other].flat(1)) : undefined
  if (one instanceof Set || other instanceof Set)
    return one instanceof Set && other instanceof Set ? listPairs([...one], [...other]) : undefined
  if (Array.isArray(one) || Array.isArray(other))
    return Array.isArray(one) && Array.isArray(other) ? listPairs(one, other) : undefined
  return plainPairs(one, other)
}

/** Order counts in lists, maps and sets. Depth is bounded by memory alone, as that of a cached value is. */
export const sameValue = (first: unknown, second: unknown): boolean => {
  const left: Pair[] = [[first, second]]
  for (let pair = left.pop(); pair !== undefined; pair = left.pop()) {
    const [one, other] = pair
    if (Object.is(one, other)) continue
    if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false
    const inner = pairsOf(one, other)
    if (inner === undefined) return false
    for (const each of inner) left.push(each)
  }
  return true
}
