/** The value at a path of nested objects; undefined where the path leaves them. */
export const valueAt = (tree: unknown, path: readonly string[]): unknown => {
  let here: unknown = tree
  for (const name of path) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, name)) return undefined
    here = (here as Readonly<Record<string, unknown>>)[name]
  }
  return here
}

/** Nested objects from dotted keys. Keys without a value leave no property behind. */
export const treeOf = (values: ReadonlyMap<string, unknown>): Record<string, unknown> => {
  const tree: Record<string, unknown> = {}
  for (const [key, value] of values) {
    const path = key.split('.')
    const last = path.pop()!
    let here = tree
    for (const name of path) {
      here[name] ??= {}
      here = here[name] as Record<string, unknown>
    }
    if (value !== undefined) here[last] = value
  }
  return tree
}

export const deepFreeze = <T>(value: T): T => {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const inner of Object.values(value)) deepFreeze(inner)
  }
  return value
}

/** True for an object written as a literal, or read from JSON. */
export const isPlainObject = (value: unknown): value is Readonly<Record<string, unknown>> => {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  // Objects from a file that jiti evaluates may have another realm's prototype, so it is recognised by having none above it.
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
