import Sqlite from 'better-sqlite3'
import { beforeAll, describe, expect, it } from 'vitest'
import { affinityOf } from '../../../sqlite/affinity.js'
import { useClient, useDatabase } from '../../../testing/postgres/use-database.js'
import type { Conversion } from '../../move.js'
import { carriedDefaults, type DefaultColumnName, defaultColumns } from '../testing/default-cases.js'
import { isCarried } from '../translation.js'
import { translateDefault } from './translate-default.js'

const database = useDatabase()
const client = useClient(database)

beforeAll(async () => {
  await client.query(`set timezone = 'Asia/Tokyo'; set datestyle = 'ISO'; set bytea_output = 'hex'`)
})

type Stored = null | bigint | number | string | Buffer

const storedBySqlite = (sql: string, declared: string): Stored => {
  const db = new Sqlite(':memory:')
  db.defaultSafeIntegers()
  try {
    // Lone words and strings in double quotes are defaults only without parentheses around them.
    const bare = /^(?:"|\[|word|true|false)/i.test(sql) || /^[-+]? ?[\d.'x]/.test(sql) ? sql : `(${sql})`
    db.exec(`CREATE TABLE t(a, c ${declared} DEFAULT ${bare})`)
    db.exec('INSERT INTO t(a) VALUES (1)')
    return db.prepare<[], Stored>('SELECT c FROM t').pluck().get() ?? null
  } finally {
    db.close()
  }
}

const storedByPostgres = async (sql: string, targetType: string): Promise<string | null> => {
  await client.query('begin')
  try {
    await client.query(`create table d (a integer, c ${targetType} default ${sql}); insert into d (a) values (1)`)
    const { rows } = await client.query<{ c: string | null }>('select c::text as c from d')
    return rows[0]?.c ?? null
  } finally {
    await client.query('rollback')
  }
}

const instant = (text: string): number => {
  const iso = text.replace(' ', 'T')
  return Date.parse(/(?:Z|[+-]\d\d(?::?\d\d)?)$/.test(iso) && iso.length > 10 ? iso.replace(/([+-]\d\d)$/, '$1:00') : `${iso}Z`)
}

const offsets: Readonly<Record<string, number>> = { 'Europe/Paris': 1 }

/** What the copy would make of a value that SQLite stored, to compare with what Postgres stored by itself. */
const asNumber = (value: Stored): number => Number(value)

const isSame = (stored: Stored, found: string, conversion: Conversion): boolean => {
  const text = Buffer.isBuffer(stored) ? `\\x${stored.toString('hex')}` : String(stored)
  switch (conversion.kind) {
    case 'integer':
      return BigInt(text) === BigInt(found)
    case 'real':
    case 'numeric':
      return asNumber(stored) === Number(found)
    case 'boolean':
      return (conversion.truthy.includes(text) || /^(?:1|t|true|yes)$/i.test(text)) === (found === 'true')
    case 'timestamp':
      return instant(text) === instant(found)
    case 'timestamptz': {
      const isNaive = !/(?:Z|[+-]\d\d:?\d\d)$/i.test(text)
      return instant(text) - (isNaive ? (offsets[conversion.timeZone] ?? 0) * 3_600_000 : 0) === instant(found)
    }
    case 'epoch':
      return asNumber(stored) * (conversion.unit === 'seconds' ? 1000 : 1) === instant(found)
    case 'anyBytes':
      return `\\x${Buffer.from(text).toString('hex')}` === found
    case 'time':
      return found.startsWith(text)
    default:
      return text === found
  }
}

const changing = /now|current_|unixepoch|julianday|datetime\(\)/i

describe('carried defaults, stored by both systems', () => {
  const of = (wanted: (sql: string) => boolean) =>
    carriedDefaults.filter(([sql]) => wanted(sql)).map(([sql, column]) => [sql, column] as const)
  const sqlOf = (sql: string, name: DefaultColumnName) => {
    const [declared, targetType, conversion] = defaultColumns[name]
    const translation = translateDefault(sql, { targetType, conversion, affinity: affinityOf(declared) })
    if (!isCarried(translation)) throw new Error(translation.reason)
    return { sql: translation.sql, declared, targetType, conversion: conversion as Conversion }
  }

  it.each(of((sql) => !changing.test(sql) && !/randomblob/.test(sql)))('%s on %s is the same value', async (sql, name) => {
    const target = sqlOf(sql, name)
    const stored = storedBySqlite(sql, target.declared)
    const found = await storedByPostgres(target.sql, target.targetType)
    if (stored === null) expect(found).toBeNull()
    else expect(isSame(stored, found ?? '', target.conversion), `${stored} and ${found}`).toBe(true)
  })

  it.each(of((sql) => changing.test(sql) && !/^'now'|localtime/.test(sql)))(
    '%s on %s is the same moment in the same form',
    async (sql, name) => {
      const target = sqlOf(sql, name)
      const [before, found, after] = [
        storedBySqlite(sql, target.declared),
        await storedByPostgres(target.sql, target.targetType),
        storedBySqlite(sql, target.declared),
      ]
      if (target.conversion.kind === 'text') expect(shapeOf(found ?? '')).toBe(shapeOf(String(before)))
      const [from, to, at] = [
        momentOf(before, target.conversion),
        momentOf(after, target.conversion),
        momentOf(found, target.conversion),
      ]
      // Clocks of the two processes agree, and what is not written is cut off in both.
      expect(at).toBeGreaterThanOrEqual(from - 1)
      expect(at).toBeLessThanOrEqual(to + (name.startsWith('any') || name === 'real' ? 1000 : 1))
    },
  )

  it.each(of((sql) => /randomblob/.test(sql)))('%s on %s differs every time and has the same form', async (sql, name) => {
    const target = sqlOf(sql, name)
    // One alone may be all digits, and tell nothing of the letters.
    const several = Array.from({ length: 6 })
    const ours: (string | null)[] = []
    for (const _each of several) ours.push(await storedByPostgres(target.sql, target.targetType))
    expect(new Set(ours).size).toBe(several.length)
    const theirs = several.map(() => String(storedBySqlite(sql, target.declared)))
    const shape = (text: string) => [text.length, text.replace(/[0-9A-F]/g, '') === '', text.replace(/[0-9a-f-]/g, '') === '']
    if (target.conversion.kind === 'text') expect(shape(ours.join(''))).toEqual(shape(theirs.join('')))
  })
})

const shapeOf = (text: string): string => text.replace(/\d/g, '0')

/** Milliseconds since 1970 of whatever form a moment has. */
const momentOf = (value: Stored, conversion: Conversion): number => {
  const text = String(value)
  if (/^\d+(?:\.\d+)?$/.test(text)) {
    const number = Number(text)
    return number < 1e7 ? Math.round((number - 2440587.5) * 86_400_000) : number < 1e11 ? number * 1000 : number
  }
  const local = conversion.kind === 'timestamptz' && conversion.timeZone === 'Europe/Paris' && !/[+-]\d\d$/.test(text)
  const time = /^\d\d:\d\d/.test(text) ? `${new Date().toISOString().slice(0, 10)} ${text}` : text
  return instant(time) - (local ? 3_600_000 : 0)
}
