import { charactersBytes } from '../value/value-bytes.js'
import type { Slot } from './slot.js'

/** What a tag takes beside its characters, and what each slot under it takes; measured as `slotBytes` is. */
export const tagBytes = 152
export const taggedBytes = 72

/** The slots under one tag: mostly one, and a set costs five times as much. */
interface Tag {
  readonly name: string
  slots: Slot | Set<Slot>
}

/** Which slots carry which tags. A slot without tags is not in it and costs it nothing. */
export class TagIndex {
  readonly #tags = new Map<string, Tag>()
  bytes = 0

  /** What it takes with these and nothing else. */
  static costOfNew(tags: readonly string[]): number {
    return tags.reduce((cost, tag) => cost + taggedBytes + tagBytes + charactersBytes(tag), 0)
  }

  /** How many bytes more it would take with these. */
  costOf(tags: readonly string[]): number {
    let cost = 0
    for (const tag of tags) cost += taggedBytes + (this.#tags.has(tag) ? 0 : tagBytes + charactersBytes(tag))
    return cost
  }

  /** Puts a slot under tags that are all different. */
  add(slot: Slot, tags: readonly string[]): void {
    if (tags.length === 0) return
    this.bytes += this.costOf(tags)
    slot.tags = tags.map((tag) => {
      const known = this.#tags.get(tag)
      if (known === undefined) this.#tags.set(tag, { name: tag, slots: slot })
      else if (known.slots instanceof Set) known.slots.add(slot)
      else known.slots = new Set([known.slots, slot])
      // The string that is here already: each slot with a copy of its own would keep them all in memory.
      return known?.name ?? tag
    })
  }

  remove(slot: Slot): void {
    for (const name of slot.tags) {
      const tag = this.#tags.get(name)!
      this.bytes -= taggedBytes
      if (tag.slots instanceof Set && tag.slots.size > 1) {
        tag.slots.delete(slot)
      } else {
        this.#tags.delete(name)
        this.bytes -= tagBytes + charactersBytes(name)
      }
    }
  }

  slotsOf(tag: string): readonly Slot[] {
    const slots = this.#tags.get(tag)?.slots
    if (slots === undefined) return []
    return slots instanceof Set ? [...slots] : [slots]
  }

  clear(): void {
    this.#tags.clear()
    this.bytes = 0
  }
}
