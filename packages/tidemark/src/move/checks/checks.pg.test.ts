import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { useDatabase } from '../../testing/postgres/use-database.js'
import { useFolder } from '../../testing/use-folder.js'
import type { MoveEvent } from '../move.js'
import { makeAllKeys, rowsPerTable } from './testing/all-keys.js'
import { LiveFixture } from './testing/live-fixture.js'

const folder = useFolder('checks')
const database = useDatabase()
let schemas = 0

const rows = rowsPerTable
const make = makeAllKeys

describe('continuous checks', () => {
  let live: LiveFixture
  beforeEach(async () => {
    live = await LiveFixture.open({ folder, url: database.url, schema: `c${++schemas}`, make })
  })
  afterEach(() => live.close())

  it('compare every table once and find nothing in a good copy', async () => {
    const events: MoveEvent[] = []
    const checks = await live.checks({ onEvent: (event) => events.push(event) })
    expect(checks.status()).toMatchObject({ rangesDone: false, differences: 0 })
    await live.settle(checks)
    expect(checks.status()).toMatchObject({ rangesDone: true, differences: 0 })
    for (const table of checks.status().tables) {
      expect({ ...table, rowsChecked: table.rowsChecked === table.rows }).toMatchObject({
        done: true,
        rowsChecked: true,
        pass: 1,
      })
    }
    expect(await live.recorded()).toEqual([])
    expect(events.at(-1)).toEqual({
      type: 'check',
      rowsDone: 4 * rows + 500,
      rowsTotal: 4 * rows + 500,
      differences: 0,
      done: true,
    })
  })

  it('find rows that were changed, deleted and added behind the back of the move', async () => {
    await live.meddle(`
      UPDATE by_id SET v = 'changed' WHERE id = 1234; DELETE FROM by_id WHERE id IN (1, 3000); INSERT INTO by_id VALUES (-7, 1, 'x'), (9999, 2, 'y');
      UPDATE by_pair SET v = NULL WHERE (a, b) = (3, 4); DELETE FROM by_pair WHERE (a, b) = (9, 299);
      UPDATE by_text SET n = -1 WHERE k = 'key 42'; DELETE FROM by_text WHERE k = 'key 43'; INSERT INTO by_text VALUES ('new', 0), ('', 1);
      UPDATE keyless SET a = 77 WHERE _tidemark_rowid = 5; DELETE FROM keyless WHERE _tidemark_rowid = 6;
      INSERT INTO keyless SELECT * FROM keyless WHERE _tidemark_rowid = 7; INSERT INTO keyless (a) VALUES (1), (2);
      INSERT INTO empty VALUES (1, 'only here')`)
    const checks = await live.checks()
    await live.settle(checks)
    expect(await live.recorded()).toEqual([
      { table_name: 'by_id', row_key: 'id=-7', state: 'extra' },
      { table_name: 'by_id', row_key: 'id=1', state: 'missing' },
      { table_name: 'by_id', row_key: 'id=1234', state: 'differs' },
      { table_name: 'by_id', row_key: 'id=3000', state: 'missing' },
      { table_name: 'by_id', row_key: 'id=9999', state: 'extra' },
      { table_name: 'by_pair', row_key: 'a=3, b=4', state: 'differs' },
      { table_name: 'by_pair', row_key: 'a=9, b=299', state: 'missing' },
      { table_name: 'by_text', row_key: 'k=', state: 'extra' },
      { table_name: 'by_text', row_key: 'k=key 42', state: 'differs' },
      { table_name: 'by_text', row_key: 'k=key 43', state: 'missing' },
      { table_name: 'by_text', row_key: 'k=new', state: 'extra' },
      { table_name: 'empty', row_key: 'id=1', state: 'extra' },
      { table_name: 'keyless', row_key: 'rowid=5', state: 'differs' },
      { table_name: 'keyless', row_key: 'rowid=6', state: 'missing' },
      { table_name: 'keyless', row_key: 'rowid=7', state: 'extra' },
      { table_name: 'keyless', row_key: 'rowid=NULL', state: 'extra' },
    ])
    const { rows: kept } = await live.client.query<{ difference: { columns: unknown } }>(
      "SELECT difference FROM tidemark.move_differences WHERE run_id = $1 AND row_key = 'id=1234'",
      [live.held.run.id],
    )
    expect(kept[0]?.difference.columns).toEqual([{ column: 'v', source: 'row 1233', target: 'changed' }])
    expect(await checks.gate({ appliedSeq: live.head, head: live.head })).toMatchObject({
      ok: false,
      rangesLeft: [],
      differenceCount: 16,
    })
  })

  it('find what is different in a table whose rows cannot be told apart', async () => {
    await live.meddle(`UPDATE nameless SET oid = 'z' WHERE ctid = (SELECT min(ctid) FROM nameless)`)
    const checks = await live.checks()
    await live.settle(checks)
    const gate = await checks.gate({ appliedSeq: live.head, head: live.head })
    expect(gate.ok).toBe(false)
    expect(gate.differences.map(({ table, state }) => `${table} ${state}`).sort()).toEqual(['nameless extra', 'nameless missing'])
  })

  it('check each changed row once it was applied, and take nothing in flight for a difference', async () => {
    const checks = await live.checks()
    await live.settle(checks)
    live.writer.exec(`
      UPDATE by_id SET v = 'new' WHERE id % 100 = 0; DELETE FROM by_text WHERE n < 50; INSERT INTO by_text VALUES ('added', 1);
      UPDATE by_pair SET b = b + 1000 WHERE a = 3 AND b < 20; UPDATE keyless SET a = -1 WHERE rowid < 20`)
    expect((await checks.tick({ appliedSeq: 0n })).keysChecked).toBe(0)
    const half = await live.apply(100)
    await checks.tick({ appliedSeq: half })
    expect(checks.status()).toMatchObject({ checkedSeq: half, differences: 0, doubtful: 0 })
    const report = await checks.gate({ appliedSeq: await live.apply(), head: live.head })
    expect(report).toMatchObject({ ok: true, rangesLeft: [], differenceCount: 0, differences: [] })
    expect(report.keysChecked).toBe(Number(live.head - half))
    expect(checks.status().checkedSeq).toBe(live.head)
  })

  it('find a changed row that was applied wrongly, and forget it when it is right again', async () => {
    const checks = await live.checks()
    await live.settle(checks)
    live.writer.exec(
      "UPDATE by_text SET n = 7 WHERE k = 'key 7'; DELETE FROM by_text WHERE k = 'key 8'; UPDATE by_id SET n = 1 WHERE id = 5",
    )
    const appliedSeq = await live.apply()
    await live.meddle("UPDATE by_text SET n = 8 WHERE k = 'key 7'; INSERT INTO by_text VALUES ('key 8', 1)")
    await live.settle(checks)
    expect(await live.recorded()).toEqual([
      { table_name: 'by_text', row_key: 'k=key 7', state: 'differs' },
      { table_name: 'by_text', row_key: 'k=key 8', state: 'extra' },
    ])
    expect(await checks.gate({ appliedSeq, head: appliedSeq })).toMatchObject({ ok: false, differenceCount: 2 })
    await live.meddle("UPDATE by_text SET n = 7 WHERE k = 'key 7'; DELETE FROM by_text WHERE k = 'key 8'")
    expect(await checks.gate({ appliedSeq, head: appliedSeq })).toMatchObject({ ok: true, differenceCount: 0 })
    expect(await live.recorded()).toEqual([])
  })

  it('look twice, the second time with everything of the first time applied', async () => {
    const checks = await live.checks()
    await live.settle(checks)
    live.writer.exec('UPDATE by_id SET n = 1 WHERE id = 1')
    const appliedSeq = await live.apply()
    await live.meddle('UPDATE by_id SET n = 2 WHERE id = 1')
    // Something is in flight, though not this row.
    live.writer.exec("UPDATE by_text SET n = 1 WHERE k = 'key 1'")
    for (let i = 0; i < 3; i++) await checks.tick({ appliedSeq })
    expect(checks.status()).toMatchObject({ doubtful: 1, differences: 0 })
    await live.meddle('UPDATE by_id SET n = 1 WHERE id = 1')
    await live.settle(checks)
    expect(checks.status()).toMatchObject({ doubtful: 0, differences: 0 })
  })

  it('refuse the gate while ranges are left or the log is not applied', async () => {
    const checks = await live.checks()
    const early = await checks.gate({ appliedSeq: 0n, head: 0n })
    expect(early.ok).toBe(false)
    expect(early.rangesLeft).toContain('by_id')
    await live.settle(checks)
    live.writer.exec('UPDATE by_id SET n = 1 WHERE id = 1')
    expect(await checks.gate({ appliedSeq: await live.applied(), head: live.head })).toMatchObject({ ok: false, rangesLeft: [] })
    expect(await checks.gate({ appliedSeq: await live.apply(), head: live.head })).toMatchObject({ ok: true })
  })

  it('MOVE-2: go on where another process stopped, and keep what it found', async () => {
    await live.meddle("UPDATE by_id SET v = 'changed' WHERE id = 3")
    const first = await live.checks()
    while (first.status().tables[0]!.rowsChecked < 1000) await first.tick({ appliedSeq: 0n })
    await first.tick({ appliedSeq: 0n })
    const before = first.status()
    await first.close()
    const second = await live.checks()
    expect(second.status()).toEqual(before)
    expect(second.status().differences).toBe(1)
    await live.settle(second)
    expect(second.status().tables.map(({ rows: all, rowsChecked }) => rowsChecked - all)).toEqual([0, 0, 0, 0, 0, 0])
    expect(await live.recorded()).toHaveLength(1)
  })

  it('begin a table again after it was copied anew', async () => {
    await live.meddle("UPDATE by_id SET v = 'changed' WHERE id = 3; UPDATE by_text SET n = -1 WHERE k = 'key 1'")
    const checks = await live.checks()
    await live.settle(checks)
    await live.meddle("UPDATE by_id SET v = 'row 2' WHERE id = 3")
    await checks.restartTable('by_id')
    expect(await live.recorded()).toMatchObject([{ table_name: 'by_text' }])
    expect(checks.status().tables.find(({ table }) => table === 'by_id')).toMatchObject({ done: false, rowsChecked: 0, pass: 2 })
    await live.settle(checks)
    expect(await live.recorded()).toMatchObject([{ table_name: 'by_text' }])
  })

  it('write nothing once another process has taken the move over', async () => {
    const checks = await live.checks()
    await live.client.query('UPDATE tidemark.move_runs SET epoch = 2 WHERE id = $1', [live.held.run.id])
    await expect(live.settle(checks)).rejects.toMatchObject({ code: 'TM_MOVE_FENCED' })
    expect((await live.client.query('SELECT FROM tidemark.move_checks WHERE run_id = $1', [live.held.run.id])).rowCount).toBe(0)
  })

  it('wait out a lost connection', async () => {
    let now = 0
    const clock = { now: () => Date.now(), monotonicMs: () => (now += 5), sleep: () => Promise.resolve() }
    const checks = await live.checks({ clock })
    await checks.tick({ appliedSeq: 0n })
    await live.client.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tidemark/move-checks'",
    )
    const report = await checks.tick({ appliedSeq: 0n })
    expect(report).toMatchObject({ worked: false })
    expect(report.pauseMs).toBeGreaterThan(0)
    now += 10_000
    await live.settle(checks)
    expect(checks.status()).toMatchObject({ rangesDone: true, differences: 0 })
  })

  it('take no more than their share of the time', async () => {
    let now = 0
    const clock = { now: () => Date.now(), monotonicMs: () => now, sleep: () => Promise.resolve() }
    const step = { ...clock, monotonicMs: () => (now += 10) }
    const checks = await live.checks({ clock: step, share: 0.25 })
    const startedAt = now
    const worked = await checks.tick({ appliedSeq: 0n })
    const elapsed = now - startedAt
    expect(worked.worked).toBe(true)
    expect(worked.pauseMs).toBeGreaterThan(elapsed * 2)
    expect(worked.pauseMs).toBeLessThan(elapsed * 3.5)
    expect((await checks.tick({ appliedSeq: 0n })).worked).toBe(false)
    now += worked.pauseMs
    expect((await checks.tick({ appliedSeq: 0n })).worked).toBe(true)
  })
})
