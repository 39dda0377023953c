/**
 * Freezing a Map, a Set or a Date does not stop its own methods from changing it. These prototypes do: they stand before the real ones and refuse.
 * `instanceof`, reading, and copies made of such an object work as before.
 */

const refuse = (): never => {
  throw new TypeError('A cached value is shared by all who read it, and cannot be changed: change a copy of it.')
}

const refusing = <T extends object>(prototype: T, methods: readonly string[]): T =>
  Object.freeze(
    Object.create(prototype, Object.fromEntries(methods.map((name) => [name, { value: refuse, enumerable: false }]))) as T,
  )

const dateSetters = Object.getOwnPropertyNames(Date.prototype).filter((name) => name.startsWith('set'))

export const sealedMap = refusing(Map.prototype, ['set', 'delete', 'clear'])
export const sealedSet = refusing(Set.prototype, ['add', 'delete', 'clear'])
export const sealedDate = refusing(Date.prototype, dateSetters)
