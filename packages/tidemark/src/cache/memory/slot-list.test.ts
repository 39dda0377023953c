import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Slot } from './slot.js'
import { SlotList } from './slot-list.js'

const made = (cost: number): Slot =>
  new Slot({ key: '', value: null, bytes: cost, loadedAtMs: 0, freshUntilMs: 0, keptUntilMs: 0, tags: [] }, '', 0)

const oldToNew = (list: SlotList): readonly Slot[] => {
  const slots: Slot[] = []
  for (let slot = list.oldest; slot !== null; slot = slot.newer) slots.push(slot)
  return slots
}

const newToOld = (list: SlotList): readonly Slot[] => {
  const slots: Slot[] = []
  for (let slot = list.newest; slot !== null; slot = slot.older) slots.push(slot)
  return slots
}

/** Compared and shown by themselves, and not with all that they are linked to. */
const isSame = (some: readonly Slot[], others: readonly Slot[]): boolean =>
  some.length === others.length && some.every((slot, at) => slot === others[at])

const action = fc.record({
  do: fc.constantFrom('push', 'push', 'remove', 'replace', 'toNewest', 'step'),
  at: fc.nat(),
  cost: fc.nat(50),
})

test('a list of slots does as an array would, and its walk goes on over what comes, goes and moves', () => {
  const run = (actions: readonly { readonly do: string; readonly at: number; readonly cost: number }[]): void => {
    const list = new SlotList()
    const slots: Slot[] = []
    /** What the walk has before it; undefined before and after it. */
    let next: Slot | null | undefined
    const after = (slot: Slot): Slot | null => slots[slots.indexOf(slot) + 1] ?? null
    for (const { do: what, at: any, cost } of actions) {
      const at = slots.length === 0 ? 0 : any % slots.length
      const slot = slots[at]
      if (what === 'step') {
        const expected = next === undefined ? (slots[0] ?? null) : next
        expect(list.step() === expected).toBe(true)
        next = expected === null ? undefined : after(expected)
      } else if (what === 'push' || slot === undefined) {
        const one = made(cost)
        list.push(one)
        slots.push(one)
      } else if (what === 'replace') {
        const one = made(cost)
        list.replace(slot, one)
        slots[at] = one
        if (next === slot) next = one
        expect([slot.older, slot.newer]).toEqual([null, null])
      } else {
        if (next === slot && (what === 'remove' || after(slot) !== null)) next = after(slot)
        slots.splice(at, 1)
        if (what === 'toNewest') slots.push(slot)
        if (what === 'toNewest') list.toNewest(slot)
        else list.remove(slot)
      }
      expect(isSame(oldToNew(list), slots)).toBe(true)
      expect(isSame(newToOld(list), slots.toReversed())).toBe(true)
      expect(list.length).toBe(slots.length)
      expect(list.bytes).toBe(slots.reduce((sum, one) => sum + one.cost, 0))
    }
    list.clear()
    expect([list.step(), list.length, list.bytes]).toEqual([null, 0, 0])
    for (const one of slots) expect([one.older, one.newer]).toEqual([null, null])
  }
  fc.assert(fc.property(fc.array(action, { maxLength: 60, size: 'max' }), run))
})
