import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectPostgres } from '../postgres/driver/connect.js'
import { bootstrappedTemplate } from '../schema/testing/bootstrapped-template.js'
import { useDatabase } from '../testing/postgres/use-database.js'
import { until } from '../time/until.js'
import { databaseOid, dropSlot, listSlots, readSlot, slotName, takeOverSlot } from './slots.js'
import { createWalSource } from './sources/wal/wal-source.js'

const database = useDatabase({ template: bootstrappedTemplate })
let sql: pg.Client
beforeAll(async () => {
  sql = await connectPostgres({ url: database.url })
  await sql.query('set synchronous_commit = on; create table t (id int primary key)')
})
afterAll(() => sql.end())

const made = async (name: string) => {
  const source = createWalSource({
    target: { url: database.url },
    slot: { name },
    publication: 'p',
    tables: [{ schema: 'public', table: 't' }],
  })
  await source.open()
  return source
}

describe('slots', () => {
  it('S7 have names with the id of their database, within what Postgres allows', async () => {
    expect(slotName(16384, 'mirror_01')).toBe('tidemark_16384_mirror_01')
    expect(slotName(4294967295, 'x'.repeat(40)).length).toBeLessThanOrEqual(63)
    for (const name of ['', 'A', 'a-b', 'ä', 'x'.repeat(41)]) {
      expect(() => slotName(1, name)).toThrowError(expect.objectContaining({ code: 'TM_FEED_SLOT_NAME' }))
    }
    expect(await databaseOid(sql)).toBeGreaterThan(0)
  })

  it('FEED-4 are listed with what they keep, and dropped', async () => {
    const source = await made('listed')
    await source.stop()
    await sql.query('insert into t select generate_series(1, 1000)')
    const oid = await databaseOid(sql)
    const name = slotName(oid, 'listed')
    const [slot] = await listSlots(sql)
    expect(slot).toMatchObject({
      name,
      database: database.name,
      plugin: 'pgoutput',
      temporary: false,
      activePid: null,
      walStatus: 'reserved',
      invalidated: null,
    })
    expect(slot!.behindBytes).toBeGreaterThan(10_000)
    expect(slot!.headroomBytes).toBeGreaterThan(1e9)
    expect(slot!.confirmedLsn).toBeGreaterThan(slot!.restartLsn!)
    expect((await listSlots(sql, { all: true })).map((each) => each.name)).toContain(name)
    expect(await takeOverSlot(sql, name)).toBeNull()
    expect(await dropSlot(sql, name)).toBe(true)
    expect(await dropSlot(sql, name)).toBe(false)
    expect(await readSlot(sql, name)).toBeUndefined()
    expect((await sql.query('select from tidemark.feed_slots')).rowCount).toBe(0)
    await expect(takeOverSlot(sql, name)).rejects.toMatchObject({ code: 'TM_FEED_SLOT_MISSING' })
  })

  it('are not dropped while they are read', async () => {
    const source = await made('read')
    const abort = new AbortController()
    const events = source.events(abort.signal)[Symbol.asyncIterator]()
    await events.next()
    const name = slotName(await databaseOid(sql), 'read')
    await expect(dropSlot(sql, name)).rejects.toMatchObject({ code: 'TM_FEED_SLOT_BUSY' })
    await source.stop()
    await until(async () => (await readSlot(sql, name))?.activePid === null)
    expect(await dropSlot(sql, name)).toBe(true)
  })
})
