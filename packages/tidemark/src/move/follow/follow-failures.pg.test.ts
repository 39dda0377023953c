import { setTimeout as delay } from 'node:timers/promises'
import BetterSqlite from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { until } from '../../time/until.js'
import { advance } from '../live/record.js'
import type { MoveEvent } from '../move.js'
import type { FollowedFile } from './testing/followed-file.js'
import { endWriter, kill, startFollower, startWriter, untilReady, untilTicked } from './testing/follower-process.js'
import { expectSame, useFollowedFiles } from './testing/use-followed-files.js'

const files = useFollowedFiles()
const { followed } = files

const appliedSeq = async ({ client, copy }: FollowedFile): Promise<number> =>
  Number((await client.query('SELECT applied_seq FROM tidemark.move_runs WHERE id = $1', [copy.runId])).rows[0].applied_seq)

const followers = `FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tidemark/move'`

describe('MOVE-2: following that is interrupted', () => {
  it('loses and doubles nothing when it is killed at random moments while another program writes', async () => {
    const file = await followed((app) => {
      app.exec(`CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT UNIQUE, score REAL); CREATE TABLE events (who INTEGER, what TEXT);
        CREATE TABLE kv (k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID`)
      const insert = app.prepare('INSERT INTO users VALUES (?, ?, ?)')
      for (let i = 1; i <= 200; i++) insert.run(i, `user ${i}`, i / 3)
    })
    const writer = startWriter(
      file.path,
      42,
      `const id = 1 + random(300)
       db.prepare("INSERT OR REPLACE INTO users VALUES (?, ?, ?)").run(id, 'user ' + random(300), random(1000) / 7)
       db.prepare("UPDATE OR REPLACE users SET id = -id WHERE id = ?").run(1 + random(300))
       db.prepare("INSERT INTO events VALUES (?, ?)").run(id, 'x'.repeat(random(200)))
       db.prepare("DELETE FROM events WHERE rowid = ?").run(random(40))
       db.prepare("INSERT INTO kv VALUES (?, ?) ON CONFLICT DO UPDATE SET v = excluded.v").run('k' + random(50), Buffer.from([random(256)]))
       if (random(50) === 0) db.prepare("DELETE FROM users WHERE id < 0").run()`,
    )
    await untilReady(writer)
    try {
      for (let round = 0; round < 12; round++) {
        const follower = startFollower({ url: files.url, runId: file.copy.runId, maxBatchBytes: 1000 + round * 700 })
        try {
          await untilTicked(follower, 1 + (round % 4))
          await delay((round * 7) % 20)
        } finally {
          await kill(follower)
        }
      }
    } finally {
      expect(await endWriter(writer)).toBeGreaterThan(100)
    }
    await file.takeOver()
    const follow = await file.follow()
    await follow.drain()
    await expectSame(file)
  }, 120_000)

  it('goes on when the connection to Postgres is lost', async () => {
    const file = await followed('CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)')
    const events: MoveEvent[] = []
    const follow = await file.follow({ onEvent: (event) => events.push(event), maxBatchBytes: 500 })
    const insert = file.app.prepare('INSERT INTO t (v) VALUES (?)')
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 30; i++) insert.run(`${round} ${i}`)
      const [tick] = await Promise.all([follow.tick(), file.client.query(`SELECT pg_terminate_backend(pid) ${followers}`)])
      expect(tick.applied).toBeGreaterThan(0)
    }
    await file.client.query(`SELECT pg_terminate_backend(pid) ${followers}`)
    await follow.drain()
    expect(events.some((event) => event.type === 'notice' && /Following goes on/.test(event.message))).toBe(true)
    await expectSame(file)
  })

  it('waits for a locked file, with the event loop free', async () => {
    const file = await followed('CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)')
    file.app.pragma('journal_mode = DELETE')
    const follow = await file.follow({ busyTimeoutMs: 30 })
    file.app.exec("INSERT INTO t VALUES (1, 'a')")
    file.app.exec('BEGIN EXCLUSIVE')
    let turns = 0
    const timer = setInterval(() => turns++, 5)
    const tick = follow.tick()
    await delay(300)
    file.app.exec('COMMIT')
    expect(await tick).toMatchObject({ applied: 1, atHead: true })
    clearInterval(timer)
    expect(turns).toBeGreaterThan(5)
  })

  it('ends with the reason of its signal while it waits', async () => {
    const file = await followed('CREATE TABLE t (id INTEGER PRIMARY KEY)')
    file.app.pragma('journal_mode = DELETE')
    const follow = await file.follow({ busyTimeoutMs: 30 })
    file.app.exec('INSERT INTO t VALUES (1)')
    file.app.exec('BEGIN EXCLUSIVE')
    await expect(follow.drain(AbortSignal.timeout(100))).rejects.toMatchObject({ name: 'TimeoutError' })
    file.app.exec('COMMIT')
    expect(await follow.drain()).toBe(1n)
  })
})

describe('a move that another process holds', () => {
  it('takes nothing more from the one that lost it', async () => {
    const file = await followed('CREATE TABLE t (id INTEGER PRIMARY KEY)')
    const old = await file.follow()
    await old.tick()
    await file.takeOver()
    file.app.exec('INSERT INTO t VALUES (1)')
    await expect(old.tick()).rejects.toMatchObject({ code: 'TM_MOVE_FENCED' })
    await expect(old.reconcile('t')).rejects.toMatchObject({ code: 'TM_MOVE_FENCED' })
    expect([await file.rows('t'), await appliedSeq(file)]).toEqual([[], 0])
    const next = await file.follow()
    await next.drain()
    expect(await file.rows('t')).toEqual([['1']])
  })

  it('is not followed any more once Postgres takes the writes', async () => {
    const file = await followed('CREATE TABLE t (id INTEGER PRIMARY KEY)')
    const follow = await file.follow()
    await advance(file.client, file.held, 'copied', 'following')
    await advance(file.client, file.held, 'following', 'cuttingOver')
    file.app.exec('INSERT INTO t VALUES (1)')
    expect(await follow.drain()).toBe(1n)
    await advance(file.client, file.held, 'cuttingOver', 'mirroring')
    file.app.exec('INSERT INTO t VALUES (2)')
    await expect(follow.tick()).rejects.toMatchObject({ code: 'TM_MOVE_STATE' })
    expect(await file.rows('t')).toEqual([['1']])
  })

  it('is not opened without a capture', async () => {
    const file = await followed('CREATE TABLE t (id INTEGER PRIMARY KEY)')
    await file.client.query('UPDATE tidemark.move_runs SET capture_id = NULL WHERE id = $1', [file.copy.runId])
    await expect(file.follow()).rejects.toMatchObject({ code: 'TM_MOVE_NOT_ALLOWED' })
  })
})

describe('the log', () => {
  it('is pruned as far as it was applied and checked, but for its newest entry', async () => {
    const file = await followed('CREATE TABLE t (id INTEGER PRIMARY KEY)')
    const follow = await file.follow()
    for (let id = 1; id <= 20; id++) file.app.prepare('INSERT INTO t VALUES (?)').run(id)
    const left = () => file.app.prepare('SELECT min(seq), max(seq) FROM _tidemark_log').raw().get()
    await follow.drain()
    expect(left()).toEqual([1, 20])
    const check = (seq: number) =>
      file.client.query('UPDATE tidemark.move_runs SET checked_seq = $2 WHERE id = $1', [file.copy.runId, seq])
    await check(12)
    file.app.exec('INSERT INTO t VALUES (21)')
    await until(async () => {
      await follow.tick()
      return (left() as number[])[0] === 13
    })
    await check(21)
    file.app.exec('INSERT INTO t VALUES (22)')
    await follow.drain()
    await check(22)
    await follow.close()
    const next = await file.follow()
    await next.tick()
    expect(left()).toEqual([22, 22])
  })

  it('tells how far following is behind', async () => {
    const file = await followed('CREATE TABLE t (id INTEGER PRIMARY KEY)')
    const events: MoveEvent[] = []
    const follow = await file.follow({ maxBatchBytes: 300, onEvent: (event) => events.push(event) })
    await follow.tick()
    const other = new BetterSqlite(file.path)
    for (let id = 1; id <= 50; id++) other.prepare('INSERT INTO t VALUES (?)').run(id)
    other.close()
    await follow.tick()
    expect(follow.lag().behind).toBeGreaterThan(10)
    expect(follow.lag().behindMs).toBeGreaterThan(0)
    await follow.drain()
    expect(follow.lag()).toEqual({ behind: 0, behindMs: 0 })
    await until(async () => {
      await follow.tick()
      return events.some((event) => event.type === 'lag' && event.phase === 'follow')
    })
  })
})
