import { TidemarkError } from '../../errors.js'
import type { EvictionOrder } from './eviction-order.js'
import { createLfu } from './lfu.js'
import { createLru } from './lru.js'
import type { MemorySlot, MemoryTier, MemoryTierOptions } from './memory.js'
import { createSieve } from './sieve.js'
import { Slot, slotBytes } from './slot.js'
import { TagIndex } from './tag-index.js'

export type { MemorySlot, MemoryTier, MemoryTierOptions } from './memory.js'

const orders = { sieve: createSieve, lru: createLru, lfu: createLfu } as const

/** A bound that is no number would be none. */
const bound = (option: string, value: number, least: number): number => {
  if (value >= least) return value
  throw new TidemarkError('TM_CONFIG_BAD_VALUE', {
    option,
    value: String(value),
    source: 'the memory tier',
    reason: 'it bounds nothing',
    expected: `a number from ${least} on`,
  })
}

/** Values in this process. `get` is a look into a map and a mark (sieve), a move in a list (lru), or that and four counters (lfu). */
export const createMemoryTier = ({ maxBytes, maxEntries, eviction = 'sieve' }: MemoryTierOptions): MemoryTier =>
  new BoundedMemory(
    orders[eviction](),
    bound('maxBytes', maxBytes, 0),
    bound('maxEntries', maxEntries ?? Number.POSITIVE_INFINITY, 1),
  )

class BoundedMemory implements MemoryTier {
  readonly #slots = new Map<string, Slot>()
  readonly #tags = new TagIndex()
  readonly #order: EvictionOrder
  readonly #overheadBytes: number
  readonly #maxEntries: number
  #maxBytes: number
  #slotsBytes = 0
  #evictions = 0

  constructor(order: EvictionOrder, maxBytes: number, maxEntries: number) {
    this.#order = order
    this.#overheadBytes = slotBytes + order.bytesPerSlot
    this.#maxBytes = maxBytes
    this.#maxEntries = maxEntries
  }

  get size(): number {
    return this.#slots.size
  }

  get bytes(): number {
    return this.#slotsBytes + this.#tags.bytes
  }

  get maxBytes(): number {
    return this.#maxBytes
  }

  get evictions(): number {
    return this.#evictions
  }

  get(key: string): MemorySlot | undefined {
    const slot = this.#slots.get(key)
    if (slot !== undefined) this.#order.hit(slot)
    return slot
  }

  set(given: MemorySlot): boolean {
    const old = this.#slots.get(given.key) ?? null
    const slot = new Slot(given, old?.key ?? given.key, this.#overheadBytes)
    const tags = given.tags.length > 1 ? [...new Set(given.tags)] : given.tags
    if (!this.#mayHold(slot, tags)) {
      // What the key had is out of date.
      if (old !== null) this.#remove(old)
      return false
    }
    if (old !== null) this.#takeOut(old)
    while (!this.#hasRoomFor(slot, tags, old)) this.#evict(old)
    if (old === null) this.#order.add(slot)
    else this.#order.replace(old, slot)
    this.#slots.set(slot.key, slot)
    this.#tags.add(slot, tags)
    this.#slotsBytes += slot.cost
    return true
  }

  delete(key: string): boolean {
    const slot = this.#slots.get(key)
    if (slot === undefined) return false
    this.#remove(slot)
    return true
  }

  deleteTag(tag: string): number {
    const slots = this.#tags.slotsOf(tag)
    for (const slot of slots) this.#remove(slot)
    return slots.length
  }

  clear(): number {
    const { size } = this.#slots
    this.#slots.clear()
    this.#order.clear()
    this.#tags.clear()
    this.#slotsBytes = 0
    return size
  }

  sweep(nowMs: number, most: number): number {
    let went = 0
    for (let left = Math.min(most, this.#slots.size); left > 0; left--) {
      // Null ends a round; the next begins with the oldest.
      const slot = (this.#order.step() ?? this.#order.step())!
      if (slot.keptUntilMs > nowMs) continue
      this.#remove(slot)
      went++
    }
    return went
  }

  keys(): IterableIterator<string> {
    return this.#slots.keys()
  }

  resize(maxBytes: number): void {
    this.#maxBytes = bound('maxBytes', maxBytes, 0)
    while (this.bytes > this.#maxBytes) this.#evict(null)
  }

  /** Whether it would fit into an empty tier. Bytes that are no number never do. */
  #mayHold(slot: Slot, tags: readonly string[]): boolean {
    return slot.bytes >= 0 && slot.cost + TagIndex.costOfNew(tags) <= this.#maxBytes
  }

  /** `old`: its bytes are taken off already, its place is not. */
  #hasRoomFor(slot: Slot, tags: readonly string[], old: Slot | null): boolean {
    const size = this.#slots.size + (old === null ? 1 : 0)
    return size <= this.#maxEntries && this.bytes + slot.cost + this.#tags.costOf(tags) <= this.#maxBytes
  }

  #evict(except: Slot | null): void {
    this.#remove(this.#order.victim(except))
    this.#evictions++
  }

  #remove(slot: Slot): void {
    this.#slots.delete(slot.key)
    this.#order.remove(slot)
    this.#takeOut(slot)
  }

  #takeOut(slot: Slot): void {
    this.#tags.remove(slot)
    this.#slotsBytes -= slot.cost
  }
}
