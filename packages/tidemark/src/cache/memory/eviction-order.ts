import type { Slot } from './slot.js'

/** Decides which slot goes when memory is full. Knows every slot of its tier. */
export interface EvictionOrder {
  hit(slot: Slot): void
  /** There is room for it. */
  add(slot: Slot): void
  /** Another value of the same key. */
  replace(old: Slot, slot: Slot): void
  remove(slot: Slot): void
  /** Which is to go now; the caller removes it. There has to be one beside `except`. */
  victim(except: Slot | null): Slot
  /** The next slot of a walk over all; null at its end. */
  step(): Slot | null
  clear(): void
  /** What it takes for each slot, beyond the slot itself. */
  readonly bytesPerSlot: number
}
