import type { Database } from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { useDatabase } from '../../testing/postgres/use-database.js'
import { useFolder } from '../../testing/use-folder.js'
import { openFollow } from '../follow/open-follow.js'
import { keyColumnsOf } from '../log-key.js'
import type { DifferingKey } from './checks.js'
import { differingKeys, removeByKeys } from './differing-keys.js'
import { LiveFixture } from './testing/live-fixture.js'

const folder = useFolder('key-kinds')
const database = useDatabase()
let live: LiveFixture

const hex = (i: number, width: number): string => i.toString(16).padStart(width, '0')
const moment = (i: number): string => new Date(Date.UTC(2026, 0, 1) + i * 3_723_000).toISOString().slice(0, 19)

/** By table: how its key is declared, and its values. */
const kinds: Readonly<Record<string, readonly [declared: string, value: (i: number) => unknown, kind: string]>> = {
  texts: ['TEXT', (i) => ['', 'a', 'A', 'ä', "it's", '\u{1f642}', ' '][i] ?? `key ${i}`, 'text'],
  nocase: ['TEXT COLLATE NOCASE', (i) => (i % 2 === 0 ? `Key ${i}` : `kEy ${i}`), 'text'],
  bytes: ['BLOB', (i) => Buffer.from(hex(i, 8), 'hex'), 'bytes'],
  reals: ['REAL', (i) => i / 7, 'real'],
  decimals: ['DECIMAL(10,2)', (i) => i / 4, 'numeric'],
  dashed: ['UUID', (i) => `0189a1b2-c3d4-7000-8000-${hex(i, 12)}`, 'uuid'],
  dashless: ['UUID', (i) => `0189a1b2c3d470008000${hex(i, 12)}`, 'uuid'],
  dates: ['DATE', (i) => new Date(Date.UTC(2026, 0, 1 + i)).toISOString().slice(0, 10), 'date'],
  naive: ['DATETIME', (i) => moment(i).replace('T', ' '), 'timestamp'],
  zoned: ['DATETIME', (i) => `${moment(i)}+02:00`, 'timestamptz'],
  ints: ['INT', (i) => i, 'integer'],
  large: ['INTEGER', (i) => 2n ** 62n + BigInt(i), 'integer'],
}

const make = (writer: Database): void => {
  for (const [table, [declared, value]] of Object.entries(kinds)) {
    writer.exec(`CREATE TABLE ${table} (k ${declared} PRIMARY KEY, v TEXT)`)
    const insert = writer.prepare(`INSERT INTO ${table} VALUES (?, ?)`)
    for (let i = 0; i < 100; i++) insert.run(value(i), `value ${i}`)
  }
}

beforeAll(async () => {
  live = await LiveFixture.open({ folder, url: database.url, schema: 'kinds', make })
})
afterAll(() => live.close())

const tableOf = (name: string) => live.plan.tables.find(({ source }) => source === name)!
const differing = async (name: string): Promise<string[]> => {
  const found: string[] = []
  const options = { database: live.writer, client: live.client, runId: live.held.run.id, table: tableOf(name) }
  for await (const some of differingKeys(options)) found.push(...some.map(({ state, printed }) => `${state} ${printed}`))
  return found.sort()
}

describe('rows find each other', () => {
  it.each(Object.entries(kinds))('by a key of %s', async (name, [, , kind]) => {
    const table = tableOf(name)
    expect(table.columns[0]!.conversion.kind).toBe(kind)
    expect(await differing(name)).toEqual([])
    // One row too few, one changed, and one too many: the first under another key.
    await live.meddle(`
      CREATE TEMP TABLE aside AS SELECT * FROM ${name} WHERE v = 'value 3';
      DELETE FROM ${name} WHERE v IN ('value 3', 'value 5'); UPDATE ${name} SET v = 'changed' WHERE v = 'value 7'`)
    const found = await differing(name)
    expect(found.map((line) => line.split(' ')[0])).toEqual(['differs', 'missing', 'missing'])
    await live.meddle(`INSERT INTO ${name} SELECT * FROM aside; DROP TABLE aside`)
    expect(await differing(name)).toHaveLength(2)

    const writer = live.writer.prepare(`DELETE FROM ${name} WHERE v = 'value 9'`)
    writer.run()
    const extra: DifferingKey[] = []
    const options = { database: live.writer, client: live.client, runId: live.held.run.id, table }
    for await (const some of differingKeys(options)) extra.push(...some.filter(({ state }) => state === 'extra'))
    expect(extra).toHaveLength(1)
    expect(await removeByKeys(live.client, table, extra).catch((error: Error) => error.message)).toMatch(/takes no writes/)
    await live.client.query("BEGIN; SET LOCAL tidemark.origin = 'move'")
    expect(await removeByKeys(live.client, table, extra)).toBe(1)
    await live.client.query('COMMIT')
    expect(await differing(name)).toHaveLength(2)
  })

  it('after changes of every kind of key', async () => {
    const follow = await openFollow({ held: live.held, target: { url: database.url } })
    const checks = await live.checks()
    for (const name of Object.keys(kinds)) {
      expect(keyColumnsOf(tableOf(name)).length).toBe(1)
      live.writer.exec(`
        UPDATE ${name} SET v = v || '!' WHERE v LIKE 'value 1%' OR v IN ('value 5', 'value 7'); DELETE FROM ${name} WHERE v LIKE 'value 2%';
        INSERT OR REPLACE INTO ${name} SELECT k, 'again' FROM ${name} WHERE v LIKE 'value 3%'`)
    }
    let appliedSeq = await follow.drain()
    while (!checks.status().rangesDone) await checks.tick({ appliedSeq })
    expect(await checks.gate({ appliedSeq, head: live.head })).toMatchObject({ ok: true, differenceCount: 0 })
    // The same key in another spelling, where the file calls it the same.
    live.writer.exec("UPDATE nocase SET k = upper(k) WHERE v LIKE 'value 4%'")
    appliedSeq = await follow.drain()
    expect(await checks.gate({ appliedSeq, head: live.head })).toMatchObject({ ok: true, differenceCount: 0 })
    await follow.close()
  })
})
