import BetterSqlite from 'better-sqlite3'
import { afterEach, describe, expect, it } from 'vitest'
import type { FeedEvent, Source } from '../../feed/feed.js'
import { formatPosition, type Position } from '../../feed/position.js'
import { useDatabase } from '../../testing/postgres/use-database.js'
import { useFolder } from '../../testing/use-folder.js'
import { until } from '../../time/until.js'
import type { Mirror } from './mirror.js'
import { mirrorSource } from './prepare-mirror.js'
import { MirroredFile, type MirroredFileOptions } from './testing/mirrored-file.js'
import { randomTables, randomTargets } from './testing/random-statements.js'

const folder = useFolder('mirror-lost')
const database = useDatabase()
let schemas = 0
let file: MirroredFile
let mirror: Mirror

afterEach(() => file.close())

const open = async (make: MirroredFileOptions['make']): Promise<void> => {
  file = await MirroredFile.open({ folder, url: database.url, schema: `l${++schemas}`, make })
  mirror = await file.mirror()
}

/** As a server does that gives a slot up before it fills the disk. */
const loseSlot = async (): Promise<void> => {
  await mirror.close()
  await until(async () => {
    const { rows } = await file.client.query<{ free: boolean }>(
      'SELECT active_pid IS NULL AS free FROM pg_replication_slots WHERE slot_name = $1',
      [file.held.run.slotName],
    )
    return rows[0]?.free
  })
  await file.client.query('SELECT pg_drop_replication_slot($1)', [file.held.run.slotName])
}

/** Until the mirror goes by the positions of a new slot. */
const resynced = async (): Promise<void> => {
  const { epoch } = mirror.position()
  await until(() => mirror.tick().then(() => mirror.position().epoch !== epoch), { intervalMs: 0 })
}

const meddle = [
  "INSERT INTO keyed (id, n, v) VALUES (7, 70, 'new'), (8, 3, 'taken')",
  'DELETE FROM keyed WHERE id = 2',
  "UPDATE pair SET v = 9 WHERE a = 'k'",
  "INSERT INTO loose VALUES (1, 'x'), (9, 'new')",
  'DELETE FROM loose WHERE a = 2',
  "UPDATE child SET v = 'changed'",
]

describe('TM_MOVE_MIRROR_LOST: a mirror whose slot is gone', () => {
  it('stops, and goes on for nobody', async () => {
    await open(randomTables)
    await file.write(mirror, "UPDATE keyed SET v = 'before' WHERE id = 1")
    await loseSlot()
    for (let i = 0; i < 2; i++) {
      mirror = await file.mirror()
      for (let j = 0; j < 2; j++) {
        const ticking = until(() => mirror.tick().then(() => false), { intervalMs: 0 })
        await expect(ticking).rejects.toMatchObject({ code: 'TM_MOVE_MIRROR_LOST' })
      }
      await mirror.close()
    }
  })

  it('compares every table and writes what differs, where it may', async () => {
    await open(randomTables)
    await file.client.query(`${randomTargets}; UPDATE keyed SET n = 33 WHERE id = 3`)
    await file.write(mirror)
    await loseSlot()
    for (const sql of meddle) await file.client.query(sql)
    expect((await file.unlike()).length).toBeGreaterThan(5)
    mirror = await file.mirror({ onLost: 'resync' })
    await resynced()
    await file.write(mirror, "INSERT INTO loose VALUES (10, 'after')")
    expect(await file.unlike()).toEqual([])
    expect(await file.differences()).toEqual([])
    expect(file.rows('SELECT * FROM _tidemark_resynced')).toEqual([])
    await mirror.close()
    mirror = await file.mirror()
    await file.write(mirror, 'DELETE FROM loose')
    expect(await file.unlike()).toEqual([])
  })

  it('loses and doubles nothing of what is written meanwhile', async () => {
    await open(randomTables)
    await file.client.query(randomTargets)
    await loseSlot()
    for (const sql of meddle.slice(1)) await file.client.query(sql)
    mirror = await file.mirror({ onLost: 'resync' })
    // The new slot is there, and the tables are not compared yet: what comes now is seen by both.
    const source = mirrorSource({ held: file.held, target: file.target })
    await source.open()
    await source.stop()
    await file.client.query(
      "INSERT INTO loose SELECT i, 'both' FROM generate_series(100, 110) AS i; UPDATE loose SET v = 'twice' WHERE a > 105",
    )
    await resynced()
    await file.write(mirror, "DELETE FROM loose WHERE a = 100; INSERT INTO loose VALUES (111, 'both')")
    expect(await file.unlike()).toEqual([])
  })

  it('is told by an older copy of the file, too: what came between is not given again', async () => {
    await open(randomTables)
    await file.write(mirror, randomTargets)
    const older = `${file.path}.older`
    await file.reader.backup(older)
    await file.write(mirror, "UPDATE keyed SET v = 'between' WHERE id = 1; INSERT INTO loose VALUES (12, 'between')")
    await mirror.close()
    const copy = new BetterSqlite(older)
    await copy.backup(file.path)
    copy.close()
    mirror = await file.mirror()
    await expect(mirror.tick()).rejects.toMatchObject({ code: 'TM_MOVE_MIRROR_LOST' })
    await mirror.close()
    mirror = await file.mirror({ onLost: 'resync' })
    await file.write(mirror, "INSERT INTO loose VALUES (13, 'after')")
    expect(await file.unlike()).toEqual([])
    await mirror.close()
    mirror = await file.mirror()
    await file.write(mirror, 'DELETE FROM loose WHERE a = 12')
    expect(await file.unlike()).toEqual([])
  })

  it('puts one table right when it is asked to, and tells what it did', async () => {
    await open(randomTables)
    await file.write(mirror)
    await mirror.close()
    const other = new BetterSqlite(file.path)
    other.exec("UPDATE _tidemark_control SET fence = 'open'")
    other.exec(
      "UPDATE pair SET v = 77 WHERE a = 'k'; DELETE FROM pair WHERE a = 'K'; INSERT INTO pair VALUES ('z', 1, 1); INSERT INTO loose VALUES (1, 'x'); UPDATE loose SET v = 'q' WHERE a = 2",
    )
    other.exec("UPDATE _tidemark_control SET fence = 'cut'")
    other.close()
    mirror = await file.mirror()
    expect(await mirror.resync('pair')).toEqual({ table: 'pair', inserted: 1, updated: 1, deleted: 1, equal: 1, refused: 0 })
    expect(await mirror.resync('loose')).toEqual({ table: 'loose', inserted: 1, updated: 0, deleted: 2, equal: 3, refused: 0 })
    expect(await file.unlike()).toEqual([])
    await expect(mirror.resync('none')).rejects.toMatchObject({ code: 'TM_MOVE_NO_PLAN' })
  })
})

describe('MOVE-2: a mirror that is given everything again', () => {
  /** A source that forgets what was confirmed, as after a crash between the commit of the file and the word to Postgres. */
  const forgetful = (): Source => {
    const source = mirrorSource({ held: file.held, target: file.target })
    return {
      kind: 'wal',
      guarantee: 'exact',
      events: (signal) => source.events(signal),
      confirm: () => undefined,
      lag: () => source.lag(),
      stop: () => source.stop(),
    }
  }

  it('knows by the position in the file what it has applied', async () => {
    await open(randomTables)
    await mirror.close()
    for (let i = 0; i < 3; i++) {
      const source = forgetful()
      mirror = await file.mirror({ source })
      await file.write(
        mirror,
        `INSERT INTO loose VALUES (${i}, 'once')`,
        'DELETE FROM loose WHERE a = 1 AND ctid = (SELECT min(ctid) FROM loose WHERE a = 1)',
      )
      expect(file.rows('SELECT mirrored_position FROM _tidemark_control')).toEqual([[formatPosition(mirror.position())]])
      expect(await mirror.lag()).toMatchObject({
        behindBytes: expect.any(Number),
        behindMs: expect.any(Number),
        changesPerSecond: expect.any(Number),
      })
      await mirror.close()
      await source.stop()
      expect(await file.unlike()).toEqual([])
    }
  })

  it('does not fall behind what it has applied, however old a proof of freshness is', async () => {
    await open(randomTables)
    await mirror.close()
    const source = mirrorSource({ held: file.held, target: file.target })
    let last: Position | undefined
    let isProven = false
    async function* late(signal: AbortSignal): AsyncGenerator<FeedEvent> {
      for await (const event of source.events(signal)) {
        if (event.type !== 'fresh') yield event
        if (event.type !== 'transaction') continue
        last = event.position
        yield { type: 'fresh', position: { ...last, number: last.number - 1n }, asOf: performance.now() }
        isProven = true
      }
    }
    mirror = await file.mirror({ source: { ...forgetful(), events: late, lag: () => source.lag(), stop: () => source.stop() } })
    await file.client.query("INSERT INTO loose VALUES (1, 'late')")
    await until(() => mirror.tick().then(() => isProven), { intervalMs: 0 })
    expect(file.rows('SELECT mirrored_position FROM _tidemark_control')).toEqual([[formatPosition(last!)]])
    await mirror.close()
    await source.stop()
  })
})

describe('a large transaction', () => {
  const large = 60_000
  const make = 'CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, v TEXT); INSERT INTO t VALUES (0, 0, NULL)'

  it('is one transaction of the file, however many pieces it comes in', async () => {
    await open(make)
    await file.write(mirror)
    const seen = new Set<unknown>()
    const watch = new BetterSqlite(file.path, { readonly: true })
    const look = () => seen.add(watch.prepare('SELECT count(*) FROM t').pluck().get())
    const timer = setInterval(look, 5)
    await file.write(mirror, `INSERT INTO t SELECT i, i, repeat('v', 60) FROM generate_series(1, ${large}) AS i`)
    clearInterval(timer)
    look()
    watch.close()
    expect([...seen]).toEqual([1, large + 1])
    expect(await file.unlike()).toEqual([])
    expect(file.rows('SELECT count(*) FROM _tidemark_log')).toEqual([[BigInt(large)]])
  }, 60_000)

  it('is begun again where the mirror ended in the middle of it', async () => {
    await open(make)
    await file.write(mirror)
    const stop = new AbortController()
    const ended = await file.mirror({ signal: stop.signal })
    await mirror.close()
    await file.client.query(`INSERT INTO t SELECT i, i, repeat('v', 60) FROM generate_series(1, ${large}) AS i`)
    setTimeout(() => stop.abort(new Error('stopped')), 120)
    await expect(
      until(() => ended.tick().then(() => file.rows('SELECT count(*) FROM t')[0] === large)).catch((error) =>
        Promise.reject(error),
      ),
    ).rejects.toThrow()
    await ended.close()
    const [[rows]] = file.rows('SELECT count(*) FROM t') as [[bigint]]
    expect([1n, BigInt(large) + 1n]).toContain(rows)
    mirror = await file.mirror()
    await file.write(mirror, `UPDATE t SET n = -n WHERE id % 2 = 0`)
    expect(await file.unlike()).toEqual([])
  }, 60_000)

  it('may move every unique value by one', async () => {
    await open('CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER UNIQUE)')
    await file.client.query('ALTER TABLE t DROP CONSTRAINT t_n_key; ALTER TABLE t ADD UNIQUE (n) DEFERRABLE INITIALLY DEFERRED')
    await file.write(mirror, 'INSERT INTO t SELECT i, i FROM generate_series(1, 5000) AS i', 'UPDATE t SET n = n + 1')
    expect(await file.unlike()).toEqual([])
    expect(await file.differences()).toEqual([])
  }, 60_000)
})
