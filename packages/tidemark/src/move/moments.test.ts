import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { keepsFormat, MomentDetector, readDate, readMoment, readTime, zoneOffsetMinutes } from './moments.js'
import type { MomentFormat } from './move.js'
import { instantOf, isTimeZone } from './time-zones.js'

const pad = (value: number, width = 2): string => String(value).padStart(width, '0')

const anyDate = fc.date({ min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true })

const write = (date: Date, micros: number, format: MomentFormat): string => {
  const iso = date.toISOString()
  const six = pad(micros, 6)
  const fraction =
    format.fraction === 'auto'
      ? micros === 0
        ? ''
        : six
      : format.fraction === 'trim'
        ? six.replace(/0+$/, '')
        : six.slice(0, format.fraction)
  const zone = format.zone === 'none' ? '' : format.zone
  return `${iso.slice(0, 10)}${format.separator}${iso.slice(11, format.seconds ? 19 : 16)}${fraction === '' ? '' : `.${fraction}`}${zone}`
}

const anyFormat: fc.Arbitrary<MomentFormat> = fc
  .record({
    separator: fc.constantFrom(' ' as const, 'T' as const),
    seconds: fc.boolean(),
    fraction: fc.constantFrom<MomentFormat['fraction']>(0, 1, 3, 6, 'auto', 'trim'),
    zone: fc.constantFrom('none', 'Z', '+00:00', '+09:30', '-0330', '+05'),
  })
  .map((format) => (format.seconds ? format : { ...format, fraction: 0 }))

describe('readDate', () => {
  it('agrees with the calendar of the platform for every day of the years 1 to 9999', () => {
    fc.assert(
      fc.property(anyDate, (date) => {
        const day = new Date(`${date.toISOString().slice(0, 10)}T00:00:00Z`)
        expect(readDate(day.toISOString().slice(0, 10))).toBe(day.getTime() / 86_400_000)
      }),
    )
  })

  it.each([
    '2024-02-30',
    '2023-02-29',
    '1900-02-29',
    '0000-00-00',
    '0000-01-01',
    '2024-13-01',
    '2024-00-10',
    '2024-1-01',
    'now',
    '20240101',
    '',
  ])('takes %j for no date', (text) => {
    expect(readDate(text)).toBeNaN()
  })
})

describe('readMoment', () => {
  it('gives the parts of every written form', () => {
    fc.assert(
      fc.property(anyDate, fc.integer({ min: 0, max: 999_999 }), anyFormat, (date, micros, format) => {
        const moment = readMoment(write(date, micros, format))!
        expect(moment.days).toBe(Math.floor(date.getTime() / 86_400_000))
        const secondOfDay = Math.floor((((date.getTime() % 86_400_000) + 86_400_000) % 86_400_000) / 1000)
        expect(moment.secondOfDay).toBe(format.seconds ? secondOfDay : secondOfDay - (secondOfDay % 60))
        expect(keepsFormat(moment, format)).toBe(true)
      }),
    )
  })

  it.each([
    '2024-01-01 24:00:00',
    '2024-01-01 12:60',
    '2024-01-01 12:00:60',
    '2024-01-01T12:00:00.1234567',
    '2024-01-01 12:00:00.',
    '2024-01-01 12:00:00 UTC',
    '2024-01-01x12:00',
    '2024-01-01 12',
    'noon',
  ])('takes %j for no moment', (text) => {
    expect(readMoment(text)).toBeUndefined()
  })
})

describe('MomentDetector', () => {
  const detect = (texts: readonly string[]) => {
    const detector = new MomentDetector()
    for (const text of texts) detector.see(text)
    return detector
  }

  it('finds a format that writes back every value it saw', () => {
    fc.assert(
      fc.property(
        anyFormat,
        fc.array(fc.tuple(anyDate, fc.integer({ min: 0, max: 999_999 })), { minLength: 1 }),
        (format, values) => {
          const texts = values.map(([date, micros]) => write(date, micros, format))
          const { shape } = detect(texts)
          expect(shape?.kind).toBe('moment')
          if (shape?.kind === 'moment') for (const text of texts) expect(keepsFormat(readMoment(text)!, shape.format)).toBe(true)
        },
      ),
    )
  })

  it('finds none where two ways of writing are mixed, and says that all are times still', () => {
    const detector = detect(['2024-01-01 10:00:00', '2024-01-01T10:00:00'])
    expect(detector.shape).toBeUndefined()
    expect(detector.allMoments).toBe(true)
  })

  it('counts what is no time', () => {
    const detector = detect(['2024-01-01', 'now', '0000-00-00'])
    expect(detector.others).toBe(2)
    expect(detector.shape).toBeUndefined()
  })

  it('tells dates and times of day apart', () => {
    expect(detect(['2024-01-01']).shape).toEqual({ kind: 'date' })
    expect(detect(['10:00:00', '11:30:15']).shape).toEqual({ kind: 'time', fraction: 0 })
    expect(readTime('25:00:00')).toBeUndefined()
  })
})

describe('zones', () => {
  it('reads written zones', () => {
    expect(['Z', '+09:30', '-0330', '+05'].map(zoneOffsetMinutes)).toEqual([0, 570, -210, 300])
    expect(zoneOffsetMinutes('+99:00')).toBeNaN()
  })

  it('gives the instant of a wall clock', () => {
    const wall = Date.UTC(2024, 0, 1, 12) / 1000
    expect(instantOf('UTC', wall)).toEqual({ seconds: wall, certainty: 'exact' })
    expect(instantOf('Australia/Darwin', wall)).toEqual({ seconds: wall - 9.5 * 3600, certainty: 'exact' })
    expect(instantOf('America/Winnipeg', wall)).toEqual({ seconds: wall + 6 * 3600, certainty: 'exact' })
  })

  it('names the hours that the clocks skip and repeat', () => {
    expect(instantOf('America/Winnipeg', Date.UTC(2024, 2, 10, 2, 30) / 1000).certainty).toBe('skipped')
    expect(instantOf('America/Winnipeg', Date.UTC(2024, 10, 3, 1, 30) / 1000).certainty).toBe('repeated')
    expect(isTimeZone('Mars/Olympus')).toBe(false)
  })
})
