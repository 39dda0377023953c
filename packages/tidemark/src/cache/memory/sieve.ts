import type { EvictionOrder } from './eviction-order.js'
import type { Slot } from './slot.js'
import { SlotList } from './slot-list.js'

const used = 1

/**
 * SIEVE (Zhang et al., NSDI 2024). Slots stand in the order in which they came and never move; a use only marks one. A hand walks from old to new,
 * takes the mark off what was used, and takes away the first that was not; it stays there until it is needed again. What nobody asks for a second
 * time thus goes early, wherever the hand has passed what is asked for.
 */
export const createSieve = (): EvictionOrder => {
  const slots = new SlotList()
  /** Null: at the oldest. */
  let hand: Slot | null = null

  return {
    bytesPerSlot: 0,
    hit: (slot) => {
      slot.mark = used
    },
    add: (slot) => slots.push(slot),
    replace: (old, slot) => {
      slot.mark = old.mark
      slots.replace(old, slot)
      if (hand === old) hand = slot
    },
    remove: (slot) => {
      if (hand === slot) hand = slot.newer
      slots.remove(slot)
    },
    victim: (except) => {
      let slot = hand ?? slots.oldest!
      while (slot === except || slot.mark === used) {
        if (slot !== except) slot.mark = 0
        slot = slot.newer ?? slots.oldest!
      }
      hand = slot
      return slot
    },
    step: () => slots.step(),
    clear: () => {
      slots.clear()
      hand = null
    },
  }
}
