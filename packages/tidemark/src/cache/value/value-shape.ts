import { types } from 'node:util'
import { sealedDate, sealedMap, sealedSet } from './sealed-prototypes.js'

/** What a container of a cached value is, or in words why it is none. */
export type Shape = 'object' | 'array' | 'map' | 'set' | 'date' | 'bytes'

const nameOf = (value: object): string => {
  const made: unknown = Reflect.get(value, 'constructor')
  const name = typeof made === 'function' && made.name !== '' ? made.name : 'a class without a name'
  return `an instance of ${name}`
}

/** How many prototypes stand above an object: 1 for plain ones of any realm, 0 for those without. A subclass has one more than its base. */
const depthOf = (value: object): number => {
  let depth = 0
  for (let at = Object.getPrototypeOf(value); at !== null; at = Object.getPrototypeOf(at)) depth++
  return depth
}

const isPlain = (value: object): boolean => {
  const prototype = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) return true
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf') // of another realm
}

const isBuiltIn = (value: object, sealed: object): boolean => Object.getPrototypeOf(value) === sealed || depthOf(value) === 2

const isBytes = (value: object): value is Uint8Array =>
  types.isUint8Array(value) && depthOf(value) === (Buffer.isBuffer(value) ? 4 : 3)

/** The shape of an object; what may not be in a cached value is `{ refused }` with what it is. */
export const shapeOf = (value: object): Shape | { readonly refused: string } => {
  if (types.isProxy(value)) return { refused: 'a Proxy' }
  if (Array.isArray(value)) return depthOf(value) === 2 ? 'array' : { refused: nameOf(value) }
  if (isPlain(value)) return 'object'
  if (types.isPromise(value)) return { refused: 'a promise' }
  if (types.isDate(value) && isBuiltIn(value, sealedDate)) return 'date'
  if (types.isMap(value) && isBuiltIn(value, sealedMap)) return 'map'
  if (types.isSet(value) && isBuiltIn(value, sealedSet)) return 'set'
  if (isBytes(value)) return types.isSharedArrayBuffer(value.buffer) ? { refused: 'memory shared with other threads' } : 'bytes'
  return { refused: nameOf(value) }
}

/** Freezes one container, not what is in it. The elements of a Uint8Array cannot be frozen. */
export const freezeShallow = (value: object): void => {
  if (types.isUint8Array(value)) return
  if (Object.isExtensible(value)) {
    if (types.isMap(value)) Object.setPrototypeOf(value, sealedMap)
    else if (types.isSet(value)) Object.setPrototypeOf(value, sealedSet)
    else if (types.isDate(value)) Object.setPrototypeOf(value, sealedDate)
  }
  Object.freeze(value)
}
