import { TidemarkError } from '../../errors.js'
import { primitiveBytes, shellBytes } from './value-bytes.js'
import { freezeShallow, type Shape, shapeOf } from './value-shape.js'

export interface FrozenValue {
  /**
   * `json`: JSON gives it back as it is. `rich`: it holds a Date, bigint, Uint8Array, Map or Set, a member that is undefined, a hole, a number that
   * JSON lacks (NaN, the infinities, -0), or the same object in two places.
   */
  readonly kind: 'json' | 'rich'
  /** About what it takes in memory. Bytes in an ArrayBuffer count with all of that buffer, which they keep alive. */
  readonly heapBytes: number
}

/** A container on the way from the value to where the walk stands. */
interface Step {
  readonly container: object
  readonly shape: Shape
  /** Of an object: its keys. Otherwise members are numbered. */
  readonly keys: readonly string[] | null
  readonly members: readonly unknown[]
  /** The member that is looked at. */
  at: number
}

/**
 * Freezes a value and all that is in it; depth is bounded by memory alone. Raises TM_CACHE_VALUE, naming where and what, for functions, symbols,
 * accessors, promises, cycles, and instances of classes other than Date, Map, Set, Uint8Array and Buffer; then nothing of it is frozen. The bytes of
 * a Uint8Array stay writable. `name` is what the value is called in the error.
 */
export const freezeDeep = (value: unknown, name = 'value'): FrozenValue => {
  const flat = freezeFlat(value)
  if (flat) return flat
  const walk = new Walk(name)
  const frozen = walk.look(value)
  walk.freeze()
  return frozen
}

/** What a JSON text cannot say of a value that contains nothing. */
const isRich = (value: unknown): boolean =>
  typeof value === 'bigint' ||
  value === undefined ||
  (typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0)))

/** An object of nothing but primitives, as rows mostly are, needs no walk. Undefined for all else, and for what the walk has to refuse. */
const freezeFlat = (value: unknown): FrozenValue | undefined => {
  if (typeof value !== 'object' || value === null || shapeOf(value) !== 'object') return undefined
  const keys = Reflect.ownKeys(value)
  let kind: FrozenValue['kind'] = 'json'
  let heapBytes = shellBytes('object', keys.length)
  for (const key of keys) {
    const property = Reflect.getOwnPropertyDescriptor(value, key)!
    const member: unknown = property.value
    if (typeof key === 'symbol' || property.enumerable !== true || !('value' in property)) return undefined
    if ((typeof member === 'object' && member !== null) || typeof member === 'function' || typeof member === 'symbol')
      return undefined
    if (isRich(member)) kind = 'rich'
    heapBytes += primitiveBytes(member)
  }
  Object.freeze(value)
  return { kind, heapBytes }
}

/** The same for what JSON.parse gave, which is nothing but fresh objects, arrays and primitives: nothing is to be refused. Gives its heap bytes. */
export const freezeParsed = (value: unknown): number => {
  let bytes = 0
  const open: unknown[] = [value]
  while (open.length > 0) {
    const next = open.pop()
    if (typeof next !== 'object' || next === null) {
      bytes += primitiveBytes(next)
      continue
    }
    const members: readonly unknown[] = Array.isArray(next) ? next : Object.values(next)
    bytes += shellBytes(Array.isArray(next) ? 'array' : 'object', members.length)
    for (const member of members) {
      if (typeof member === 'object' && member !== null) open.push(member)
      else bytes += primitiveBytes(member)
    }
    Object.freeze(next)
  }
  return bytes
}

class Walk {
  readonly #name: string
  readonly #path: Step[] = []
  /** Every container, and whether the walk is inside of it. */
  readonly #seen = new Map<object, boolean>()
  readonly #buffers = new Set<ArrayBufferLike>()
  #rich = false
  #bytes = 0

  constructor(name: string) {
    this.#name = name
  }

  look(value: unknown): FrozenValue {
    // Where nothing was found, `null` says so; undefined is what a cache answers when it has nothing.
    if (value === undefined) this.#refuse('undefined')
    this.#enter(value)
    for (let step = this.#path.at(-1); step !== undefined; step = this.#path.at(-1)) {
      if (++step.at < step.members.length) {
        this.#enter(step.members[step.at])
      } else {
        this.#seen.set(step.container, false)
        this.#path.pop()
      }
    }
    return { kind: this.#rich ? 'rich' : 'json', heapBytes: this.#bytes }
  }

  freeze(): void {
    for (const container of this.#seen.keys()) freezeShallow(container)
  }

  #enter(value: unknown): void {
    if (typeof value === 'object' && value !== null) this.#enterContainer(value)
    if (typeof value === 'function' || typeof value === 'symbol') this.#refuse(`a ${typeof value}`)
    if (isRich(value)) this.#rich = true
    this.#bytes += primitiveBytes(value)
  }

  #enterContainer(container: object): void {
    const inside = this.#seen.get(container)
    if (inside === true) this.#refuse(`a cycle back to ${this.#pathTo(container)}`)
    if (inside === false) {
      this.#rich = true
      return
    }
    const shape = shapeOf(container)
    if (typeof shape === 'object') this.#refuse(shape.refused)
    if (shape !== 'object' && shape !== 'array') this.#rich = true
    this.#seen.set(container, true)
    const keys = shape === 'object' ? this.#keysOf(container) : null
    if (keys === null && shape !== 'bytes') this.#refuseNamed(container)
    const members = membersOf(container, shape, keys)
    this.#path.push({ container, shape, keys, members, at: -1 })
    this.#bytes += shellBytes(shape, shape === 'map' ? members.length / 2 : members.length)
    if (shape === 'bytes') this.#countBuffer((container as Uint8Array).buffer)
  }

  #countBuffer(buffer: ArrayBufferLike): void {
    if (this.#buffers.has(buffer)) return
    this.#buffers.add(buffer)
    this.#bytes += buffer.byteLength
  }

  #keysOf(container: object): readonly string[] {
    const keys = Reflect.ownKeys(container)
    for (const key of keys) {
      if (typeof key === 'symbol') this.#refuse(`an object with the key ${String(key)}`)
      const { enumerable, get, set } = Reflect.getOwnPropertyDescriptor(container, key)!
      if (get !== undefined || set !== undefined) this.#refuse(`an object with the accessor ${String(key)}`)
      if (enumerable !== true) this.#refuse(`an object with the hidden property ${String(key)}`)
    }
    return keys as string[]
  }

  /** Beside its members a list may carry properties, which no copy of it would have. */
  #refuseNamed(list: object): void {
    // Numbered keys come first.
    const last = Object.keys(list).at(-1)
    if (last === undefined || (Array.isArray(list) && String(Number(last) >>> 0) === last)) return
    this.#refuse(`a list with the property ${last}`)
  }

  #refuse(what: string): never {
    throw new TidemarkError('TM_CACHE_VALUE', { path: this.#pathTo(null), what })
  }

  /** Where a container is, or with null what is looked at. */
  #pathTo(container: object | null): string {
    const end = container === null ? this.#path.length : this.#path.findIndex((step) => step.container === container)
    const pieces = this.#path.slice(0, end).map(pieceOf)
    const shown = pieces.length <= 12 ? pieces : [...pieces.slice(0, 6), `…(${pieces.length - 12} more)…`, ...pieces.slice(-6)]
    return this.#name + shown.join('')
  }
}

const membersOf = (container: object, shape: Shape, keys: readonly string[] | null): readonly unknown[] => {
  if (keys !== null) return keys.map((key) => (container as Readonly<Record<string, unknown>>)[key])
  if (shape === 'array') return container as readonly unknown[]
  if (shape === 'map') return [...(container as ReadonlyMap<unknown, unknown>)].flat(1)
  return shape === 'set' ? [...(container as ReadonlySet<unknown>)] : []
}

const pieceOf = ({ keys, shape, at }: Step): string => {
  if (shape === 'map') return at % 2 === 0 ? `.key(${at / 2})` : `.value(${(at - 1) / 2})`
  if (keys === null) return `[${at}]`
  const key = keys[at]!
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key.length > 60 ? `${key.slice(0, 60)}…` : key)}]`
}
