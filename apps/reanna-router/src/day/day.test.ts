import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { kmBetween, secondsByDistance } from './distances.js'
import { lengthOf, orderStops, strategies } from './order-stops.js'
import { planDay, visitMinutes } from './plan-day.js'
import { dayIn, isZone, offsetMinutes, timeIn, timeOnDay, zoneOf } from './zones.js'

const darwin = '2026-11-23T09:00+09:30'

describe('zones', () => {
  it('keep the time as the clocks there show it', () => {
    const at = new Date(darwin)
    expect(zoneOf(darwin)).toBe('+09:30')
    for (const zone of ['+09:30', 'Australia/Darwin']) {
      expect(timeIn(zone, at)).toBe('2026-11-23T09:00:00+09:30')
      expect(dayIn(zone, new Date('2026-11-22T15:00Z'))).toBe('2026-11-23')
      expect(timeOnDay(zone, '2026-11-23', '09:00')).toEqual(at)
    }
    expect(timeIn('UTC', at)).toBe('2026-11-22T23:30:00Z')
    expect(timeIn('-03:30', at)).toBe('2026-11-22T20:00:00-03:30')
  })

  it('follow the clocks where they change', () => {
    expect(offsetMinutes('Australia/Adelaide', new Date('2026-10-03T16:00Z'))).toBe(9 * 60 + 30)
    expect(offsetMinutes('Australia/Adelaide', new Date('2026-10-03T17:00Z'))).toBe(10 * 60 + 30)
    expect(timeOnDay('Australia/Adelaide', '2026-10-04', '09:00').toISOString()).toBe('2026-10-03T22:30:00.000Z')
    expect(timeOnDay('Australia/Adelaide', '2026-10-03', '09:00').toISOString()).toBe('2026-10-02T23:30:00.000Z')
  })

  it('are names or offsets, and nothing else', () => {
    for (const zone of ['UTC', 'Australia/Darwin', '+09:30', '-12:00', '+14:00']) expect(isZone(zone), zone).toBe(true)
    for (const zone of ['', 'Darwin', '+15:00', '+09:75', '09:30', "UTC'", '<+03>-3', 'ACT', 'AET', 'PST', 'SystemV/PST8'])
      expect(isZone(zone), zone).toBe(false)
  })

  it('give back the moment they were made of', () => {
    const zones = fc.constantFrom('UTC', 'Australia/Darwin', 'America/St_Johns', '+09:30', '-03:30')
    fc.assert(
      fc.property(zones, fc.integer({ min: 0, max: 4e12 }), (zone, ms) => new Date(timeIn(zone, new Date(ms))).getTime() === ms),
    )
  })
})

/** Of points on a line. */
const onLine = (...at: number[]) => at.map((from) => at.map((to) => Math.abs(from - to)))

describe('the order of stops', () => {
  it('goes to the nearest first, or to the furthest, each as it was asked for', () => {
    const travel = { between: onLine(5, 1, 9), fromOrigin: [5, 1, 9] }
    expect(orderStops(travel, 'closest')).toEqual([1, 0, 2])
    expect(orderStops(travel, 'furthest')).toEqual([2, 0, 1])
    expect(orderStops(travel, 'optimise')).toEqual([1, 0, 2])
  })

  it('begins at the first that was given where the day begins nowhere', () => {
    const between = onLine(5, 1, 9)
    expect(orderStops({ between }, 'closest')[0]).toBe(0)
    expect(orderStops({ between }, 'optimise')[0]).toBe(0)
    expect(orderStops({ between }, 'furthest')[0]).toBe(1)
  })

  it('has every stop once, and optimise is never longer than closest', () => {
    const point = fc.tuple(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 0, max: 1000 }))
    fc.assert(
      fc.property(fc.array(point, { maxLength: 9 }), fc.option(point, { nil: undefined }), (points, origin) => {
        const away = (a: readonly number[], b: readonly number[]) => Math.hypot(a[0]! - b[0]!, a[1]! - b[1]!)
        const between = points.map((from) => points.map((to) => away(from, to)))
        const travel = { between, fromOrigin: origin && points.map((to) => away(origin, to)) }
        for (const strategy of strategies)
          expect(orderStops(travel, strategy).toSorted((a, b) => a - b)).toEqual(points.map((_, i) => i))
        expect(lengthOf(travel, orderStops(travel, 'optimise'))).toBeLessThanOrEqual(
          lengthOf(travel, orderStops(travel, 'closest')) + 1e-6,
        )
      }),
    )
  })

  it('knows the way between places by their coordinates, or not at all', () => {
    const [city, airport] = [
      { latitude: -12.4634, longitude: 130.8456 },
      { latitude: -12.4083, longitude: 130.8727 },
    ]
    expect(kmBetween(city, airport)).toBeCloseTo(6.8, 1)
    expect(secondsByDistance([city, airport])?.[0]?.[1]).toBeCloseTo((kmBetween(city, airport) / 30) * 3600)
    expect(secondsByDistance([city, undefined])).toBeUndefined()
  })
})

describe('the times of a day', () => {
  it('give a visit as long as the property is large', () => {
    expect([undefined, null, 0, 400, 1000, 2000, 4600, 99_999].map(visitMinutes)).toEqual([30, 30, 30, 20, 25, 35, 60, 60])
  })

  const start = new Date('2026-11-23T09:00Z')
  const minutes = (n: number) => new Date(start.getTime() + n * 60_000)

  it('put one stop after the other, and wait for a window', () => {
    const stops = [{ squareFootage: 1000 }, { window: { from: minutes(120), until: minutes(180) } }]
    const day = planDay({ start, end: minutes(480), stops }, [0, 1], { between: onLine(0, 600), fromOrigin: [300, 600] })
    expect(day).toEqual({
      overrunMinutes: 0,
      stops: [
        { stop: 0, arrival: minutes(5), departure: minutes(30), travelMinutes: 5, visitMinutes: 25, isLate: false },
        { stop: 1, arrival: minutes(120), departure: minutes(150), travelMinutes: 10, visitMinutes: 30, isLate: false },
      ],
    })
  })

  it('say what is too late, and how much too long the day is', () => {
    const stops = [{}, { window: { from: minutes(0), until: minutes(60) } }]
    const day = planDay({ start, end: minutes(60), stops }, [0, 1])
    expect(day.stops[1]).toMatchObject({ arrival: minutes(45), isLate: true })
    expect(day.overrunMinutes).toBe(15)
  })
})
