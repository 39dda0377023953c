import { describe, expect, it } from 'vitest'
import { RestError } from '../rest-error.js'
import { parseAccept } from './accept.js'
import { honoured, parsePreferences } from './preferences.js'

describe('Accept', () => {
  const kinds = (header: string | undefined, subject: 'relation' | 'function' | 'root' = 'relation', plans = true) =>
    parseAccept(header, subject, plans).media.map((media) => media.kind)

  it.each<[string | undefined, string[]]>([
    [undefined, ['json']],
    ['', ['json']],
    ['*/*', ['json']],
    ['application/*', ['json']],
    ['application/json; charset=utf-8', ['json']],
    ['ApplicatIon/vnd.PgRsT.object+json', ['object']],
    ['application/vnd.pgrst.object', ['object']],
    ['application/vnd.pgrst.array+json', ['json']],
    ['text/csv', ['csv']],
    ['application/geo+json', ['geojson']],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', ['json']],
    ['application/json;q=0.5, text/csv', ['csv', 'json']],
    ['*/*, text/csv', ['csv', 'json']],
    ['text/csv;q=0, application/json', ['json']],
    ['text/plain, application/json', ['json']],
  ])('%s', (header, expected) => {
    expect(kinds(header)).toEqual(expected)
  })

  it.each<[string, object]>([
    ['application/vnd.pgrst.object+json;nulls=stripped', { kind: 'object', nullsStripped: true }],
    ['application/vnd.pgrst.array+json; nulls=stripped', { kind: 'array', nullsStripped: true }],
    ['application/vnd.pgrst.plan', { kind: 'plan', format: 'text', options: [], of: 'json' }],
    [
      'application/vnd.pgrst.plan+json; for="application/vnd.pgrst.object+json;nulls=stripped"; options=wal|analyze|nothing;',
      { kind: 'plan', format: 'json', options: ['analyze', 'wal'], of: 'object' },
    ],
    ['application/vnd.pgrst.plan+text;for="text/csv"', { kind: 'plan', format: 'text', options: [], of: 'csv' }],
  ])('%s', (header, media) => {
    expect(parseAccept(header, 'relation', true).media).toEqual([media])
  })

  it('allows of a function a text or bytes, of the root a description', () => {
    expect(kinds('text/plain, application/octet-stream', 'function')).toEqual(['text', 'octets'])
    expect(kinds('application/openapi+json, text/csv', 'root')).toEqual(['openapi'])
  })

  it.each<[string, 'relation' | 'root', string]>([
    ['image/png;q=0.5, text/html', 'relation', 'text/html, image/png'],
    ['text/plain', 'relation', 'text/plain'],
    ['application/openapi+json', 'relation', 'application/openapi+json'],
    ['text/csv', 'root', 'text/csv'],
    [
      'application/vnd.pgrst.plan+json;options=wal',
      'relation',
      'application/vnd.pgrst.plan+json; for="application/json"; options=wal',
    ],
  ])('%s without anything that can be had for the %s is refused', (header, subject, names) => {
    const read = () => parseAccept(header, subject, false)
    expect(read).toThrow(RestError)
    expect(read).toThrow(`None of these media types are available: ${names}`)
  })
})

describe('Prefer', () => {
  it('is read from a list', () => {
    expect(
      parsePreferences(
        'count=exact,    tx=commit   ,return=representation , missing=default, handling=strict, anything, max-affected=5, timezone=Europe/Berlin, resolution=merge-duplicates',
        true,
      ),
    ).toEqual({
      count: 'exact',
      transaction: 'commit',
      return: 'representation',
      missing: 'default',
      handling: 'strict',
      maxAffected: 5,
      timezone: 'Europe/Berlin',
      resolution: 'merge-duplicates',
      unknown: ['anything'],
    })
  })

  it('counts as it comes first', () => {
    const preferences = parsePreferences('tx=rollback, return=nothing, tx=commit, return=minimal', true)
    expect(preferences).toMatchObject({ transaction: 'rollback', return: 'minimal', unknown: ['return=nothing'] })
  })

  it('does not end a transaction where callers may not', () => {
    expect(parsePreferences('tx=rollback', false)).toMatchObject({ transaction: undefined, unknown: [] })
  })

  it.each(['count=none', 'params=single-object', 'return', 'return=', 'Return=minimal', 'constructor=x', 'return=minimal=x'])(
    'does not understand %s',
    (preference) => {
      expect(parsePreferences(preference, true).unknown).toEqual([preference])
    },
  )

  it.each(['max-affected=x', 'max-affected=', 'max-affected=99999999999999999999'])('%s is no number', (preference) => {
    expect(parsePreferences(preference, true)).toMatchObject({ maxAffected: undefined, unknown: [] })
  })

  it('that is not understood is refused where it must be honoured', () => {
    const zones = new Set(['UTC'])
    const read = (header: string) => () => honoured(parsePreferences(header, true), zones)
    expect(read('handling=strict, x, y=z')).toThrow(
      expect.objectContaining({ code: 'PGRST122', status: 400, details: 'Invalid preferences: x, y=z' }),
    )
    expect(read('handling=strict, timezone=Mars')).toThrow(
      expect.objectContaining({ details: 'Invalid preferences: timezone=Mars' }),
    )
    expect(read('x, timezone=Mars')()).toMatchObject({ timezone: undefined })
    expect(read('handling=strict, timezone=UTC')()).toMatchObject({ timezone: 'UTC' })
  })
})
