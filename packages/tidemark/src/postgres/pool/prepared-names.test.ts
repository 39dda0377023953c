import { describe, expect, it } from 'vitest'
import { PreparedNames } from './prepared-names.js'

const run = (names: PreparedNames, wanted: readonly string[]) => {
  const plan = names.plan(wanted)
  names.settle(plan.parse)
  return { close: plan.close, parse: [...plan.parse] }
}

describe('the names of prepared statements', () => {
  it('are parsed once', () => {
    const names = new PreparedNames(10)
    expect(run(names, ['a', 'b', 'a'])).toEqual({ close: [], parse: ['a', 'b'] })
    expect(run(names, ['b', 'c'])).toEqual({ close: [], parse: ['c'] })
  })

  it('whose batch failed are closed before they are parsed again', () => {
    const names = new PreparedNames(10)
    run(names, ['a'])
    names.plan(['a', 'b'])
    expect(run(names, ['a', 'b'])).toEqual({ close: ['b'], parse: ['b'] })
    expect(run(names, ['a', 'b'])).toEqual({ close: [], parse: [] })
  })

  it('beyond the bound are closed, those first that were not used for longest', () => {
    const names = new PreparedNames(2)
    run(names, ['a', 'b'])
    run(names, ['a'])
    expect(run(names, ['c'])).toEqual({ close: ['b'], parse: ['c'] })
    expect(names.size).toBe(2)
    expect(run(names, ['b'])).toEqual({ close: ['a'], parse: ['b'] })
  })

  it('of one batch stay together, even beyond the bound', () => {
    const names = new PreparedNames(2)
    run(names, ['x'])
    expect(run(names, ['a', 'b', 'c'])).toEqual({ close: ['x'], parse: ['a', 'b', 'c'] })
    expect(run(names, ['d'])).toEqual({ close: ['a', 'b'], parse: ['d'] })
  })
})
