import { describe, expect, it } from 'vitest'
import { closingLine, judge, summaryTable } from './report.ts'
import { percentile, ratios, summarize } from './statistics.ts'

describe('the summary of rounds', () => {
  it('is the middle value, or the mean of the two in the middle, and the extremes', () => {
    expect(summarize([9, 1, 5])).toEqual({ median: 5, min: 1, max: 9 })
    expect(summarize([4, 1, 3, 10])).toEqual({ median: 3.5, min: 1, max: 10 })
    expect(() => summarize([])).toThrow('no values')
  })

  it('divides each value by the baseline of its own round', () => {
    expect(ratios([2, 9], [1, 3])).toEqual([2, 3])
    expect(() => ratios([1], [])).toThrow('baseline')
  })

  it('takes the value that a share of all is not above', () => {
    const values = Array.from({ length: 100 }, (_, i) => i + 1)
    expect([percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1)]).toEqual([51, 100, 100])
    expect(() => percentile([], 0.5)).toThrow('no values')
  })

  it('prints one figure a line', () => {
    const table = summaryTable([{ name: 'pipe', values: [1, 3, 2], unit: 's' }])
    expect(table).toMatch(/^ {2}pipe +2\.00 \(1\.00 – 3\.00\) +s$/m)
  })
})

describe('the closing lines', () => {
  it('name what is divided by what', () => {
    expect(closingLine({ name: 'move-copy-phase', baseline: 'raw-pipe', values: [1.1, 1.124, 9] })).toBe(
      'move-copy-phase ratio to raw-pipe 1.12',
    )
    expect(closingLine({ name: 'move-peak-rss-mib', values: [178.4] })).toBe('move-peak-rss-mib 178')
  })
})

describe('the verdict', () => {
  const target = (values: readonly number[] | undefined, limit: number) => ({
    measure: values && { name: 'x', values },
    what: 'x is small',
    limit,
  })

  it('is missed by one target that is missed', () => {
    expect(judge([target([1, 2, 1], 1.5), target([0.4], 0.5)]).met).toBe(true)
    expect(judge([target([1, 2, 1], 1.5), target([0.51], 0.5)])).toMatchObject({
      met: false,
      lines: ['met         x is small: 1.00', 'MISSED      x is small: 0.51'],
    })
  })

  it('names what was not measured, and lets it count neither way', () => {
    expect(judge([target(undefined, 1), target([], 1)])).toEqual({
      met: true,
      lines: ['not judged  x is small', 'not judged  x is small'],
    })
  })
})
