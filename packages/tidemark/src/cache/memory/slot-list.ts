import type { Slot } from './slot.js'

/** Slots from the oldest to the newest, with a walk over them that goes on wherever slots come, go and move meanwhile. */
export class SlotList {
  oldest: Slot | null = null
  newest: Slot | null = null
  length = 0
  /** Sum of their costs. */
  bytes = 0
  #walking = false
  #next: Slot | null = null

  push(slot: Slot): void {
    slot.older = this.newest
    slot.newer = null
    if (this.newest === null) this.oldest = slot
    else this.newest.newer = slot
    this.newest = slot
    this.length++
    this.bytes += slot.cost
  }

  remove(slot: Slot): void {
    if (this.#next === slot) this.#next = slot.newer
    if (slot.older === null) this.oldest = slot.newer
    else slot.older.newer = slot.newer
    if (slot.newer === null) this.newest = slot.older
    else slot.newer.older = slot.older
    // Whoever still holds the slot must not hold its neighbours with it.
    slot.older = null
    slot.newer = null
    this.length--
    this.bytes -= slot.cost
  }

  toNewest(slot: Slot): void {
    if (slot === this.newest) return
    this.remove(slot)
    this.push(slot)
  }

  /** Puts a slot where another was. */
  replace(old: Slot, slot: Slot): void {
    slot.older = old.older
    slot.newer = old.newer
    if (old.older === null) this.oldest = slot
    else old.older.newer = slot
    if (old.newer === null) this.newest = slot
    else old.newer.older = slot
    if (this.#next === old) this.#next = slot
    old.older = null
    old.newer = null
    this.bytes += slot.cost - old.cost
  }

  /** The next slot of the walk; null at its end, after which it begins anew. */
  step(): Slot | null {
    if (!this.#walking) this.#next = this.oldest
    const slot = this.#next
    this.#walking = slot !== null
    if (slot !== null) this.#next = slot.newer
    return slot
  }

  clear(): void {
    for (let slot = this.oldest; slot !== null; ) {
      const { newer } = slot
      slot.older = null
      slot.newer = null
      slot = newer
    }
    this.oldest = null
    this.newest = null
    this.length = 0
    this.bytes = 0
    this.#walking = false
    this.#next = null
  }
}
