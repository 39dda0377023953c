import { charactersBytes } from '../value/value-bytes.js'
import type { MemorySlot } from './memory.js'

/**
 * What an entry takes beside its value and the characters of its key, on a 64-bit Node 20: the slot with its three boxed times, its share of the
 * map, and the header of the key. A map that keys come to and go from keeps 56 to 112 bytes for an entry, as it grows in powers of two; this is
 * the middle of it, and the truth is 8 percent of it to either side.
 */
export const slotBytes = 280

const noTags: readonly string[] = Object.freeze([])

/** A {@link MemorySlot} with what the tier notes at it. */
export class Slot implements MemorySlot {
  readonly key: string
  readonly value: unknown
  readonly bytes: number
  readonly loadedAtMs: number
  readonly freshUntilMs: number
  readonly keptUntilMs: number
  tags: readonly string[] = noTags
  /** As accounted, without what the tag index takes. */
  readonly cost: number
  older: Slot | null = null
  newer: Slot | null = null
  /** Of the order of eviction: whether it was used (sieve), or which of its lists it is in (lfu). */
  mark = 0
  /** Of the key; only where the order of eviction asks for it. */
  hash = 0

  /** `key` is the string that the map already has, where it has one: with another of the same text both would stay in memory. */
  constructor(given: MemorySlot, key: string, overheadBytes: number) {
    this.key = key
    this.value = given.value
    this.bytes = given.bytes
    this.loadedAtMs = given.loadedAtMs
    this.freshUntilMs = given.freshUntilMs
    this.keptUntilMs = given.keptUntilMs
    this.cost = Math.ceil(given.bytes) + charactersBytes(key) + overheadBytes
  }
}
