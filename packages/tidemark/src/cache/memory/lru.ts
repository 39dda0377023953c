import type { EvictionOrder } from './eviction-order.js'
import type { Slot } from './slot.js'
import { SlotList } from './slot-list.js'

/** What was not used for longest goes. */
export const createLru = (): EvictionOrder => {
  const slots = new SlotList()
  return {
    bytesPerSlot: 0,
    hit: (slot) => slots.toNewest(slot),
    add: (slot) => slots.push(slot),
    replace: (old, slot) => {
      slots.replace(old, slot)
      slots.toNewest(slot)
    },
    remove: (slot) => slots.remove(slot),
    victim: (except) => oldestBut(slots, except)!,
    step: () => slots.step(),
    clear: () => slots.clear(),
  }
}

/** The oldest of a list, or the one after it where that is `except`. */
export const oldestBut = (slots: SlotList, except: Slot | null): Slot | null =>
  slots.oldest !== null && slots.oldest === except ? except.newer : slots.oldest
