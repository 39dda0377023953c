import type { EvictionOrder } from './eviction-order.js'
import { FrequencySketch, hashOf } from './frequency-sketch.js'
import { oldestBut } from './lru.js'
import type { Slot } from './slot.js'
import { SlotList } from './slot-list.js'

/** The mark of a slot in the main list; in the window it has none. */
const inMain = 1
/** Share of all bytes that what is new may take before it has to prove itself. */
const windowShare = 0.01

/**
 * W-TinyLFU (Einziger, Friedman and Manes, ACM TOS 2017) with one LRU list behind its window: what is new stands in a small LRU list first; when
 * memory is full, the oldest there and the oldest of the main list are compared, and the one that was used less often of late goes.
 */
export const createLfu = (): EvictionOrder => {
  const [window, main] = [new SlotList(), new SlotList()]
  const sketch = new FrequencySketch()
  let walked = main
  /** Somebody had to go since the last one came: what leaves the window is judged, not let in. */
  let crowded = false

  const listOf = (slot: Slot): SlotList => (slot.mark === inMain ? main : window)
  const windowIsFull = (): boolean => window.length > 1 && window.bytes > windowShare * (window.bytes + main.bytes)

  const admit = (slot: Slot): void => {
    window.remove(slot)
    slot.mark = inMain
    main.push(slot)
  }

  const use = (slot: Slot): void => {
    sketch.add(slot.hash)
    listOf(slot).toNewest(slot)
  }

  return {
    bytesPerSlot: 16,
    hit: use,
    add: (slot) => {
      slot.hash = hashOf(slot.key)
      sketch.fit(window.length + main.length + 1)
      sketch.add(slot.hash)
      window.push(slot)
      while (!crowded && windowIsFull()) admit(window.oldest!)
      crowded = false
    },
    replace: (old, slot) => {
      slot.hash = old.hash
      slot.mark = old.mark
      listOf(old).replace(old, slot)
      use(slot)
    },
    remove: (slot) => listOf(slot).remove(slot),
    victim: (except) => {
      crowded = true
      while (windowIsFull()) {
        const candidate = oldestBut(window, except)!
        const resident = oldestBut(main, except)
        if (resident !== null && sketch.frequency(candidate.hash) <= sketch.frequency(resident.hash)) return candidate
        admit(candidate)
        if (resident !== null) return resident
      }
      return (oldestBut(main, except) ?? oldestBut(window, except))!
    },
    step: () => {
      const slot = walked.step()
      if (slot !== null) return slot
      walked = walked === main ? window : main
      if (walked === main) return null
      const first = window.step()
      if (first === null) walked = main
      return first
    },
    clear: () => {
      window.clear()
      main.clear()
      sketch.clear()
      walked = main
      crowded = false
    },
  }
}
