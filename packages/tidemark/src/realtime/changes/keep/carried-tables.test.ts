import { describe, expect, it } from 'vitest'
import { CarriedTables } from './carried-tables.js'

const at = (number: number) => ({ epoch: 'wal-1', number: BigInt(number) })
const leads = { schema: 'public', table: 'leads' }

describe('tables that the feed carries since a moment', () => {
  it('are kept from the position on that is known to come after it', () => {
    const carried = new CarriedTables()
    expect(carried.has('public', 'leads', at(1))).toBe(true)
    carried.added(leads, 100)
    carried.proven(99, at(5))
    expect(carried.has('public', 'leads', at(9))).toBe(false)
    carried.proven(100, at(6))
    expect([5, 6].map((number) => carried.has('public', 'leads', at(number)))).toEqual([false, true])
    expect(carried.has('public', 'others', at(1))).toBe(true)
  })

  it('RT-2: are kept from their first change on: who has it comes back without a gap, before anything proves it', () => {
    const carried = new CarriedTables()
    carried.added(leads, 100)
    carried.saw({ schema: 'public', table: 'others' }, at(3))
    carried.saw(leads, at(4))
    carried.saw(leads, at(7))
    carried.proven(200, at(8))
    expect([3, 4].map((number) => carried.has('public', 'leads', at(number)))).toEqual([false, true])
    carried.added(leads, 300)
    expect(carried.has('public', 'leads', at(9))).toBe(false)
    carried.clear()
    expect(carried.has('public', 'leads', at(1))).toBe(true)
  })
})
