import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { useDatabase } from '../../testing/postgres/use-database.js'
import { useFolder } from '../../testing/use-folder.js'
import type { Checks } from './checks.js'
import { makeAllKeys } from './testing/all-keys.js'
import { LiveFixture } from './testing/live-fixture.js'

const folder = useFolder('checks-mirror')
const database = useDatabase()
let schemas = 0

/** Postgres is the truth, and what is mirrored is written into the file by the test. */
describe('checks of a mirror', () => {
  let live: LiveFixture
  let checks: Checks
  let now = 0
  beforeEach(async () => {
    live = await LiveFixture.open({
      folder,
      url: database.url,
      schema: `m${++schemas}`,
      make: (writer) => makeAllKeys(writer, 60),
    })
    await live.client.query(`ALTER TABLE m${schemas}.keyless DROP COLUMN _tidemark_rowid`)
    const clock = { now: () => Date.now(), monotonicMs: () => (now += 1), sleep: () => Promise.resolve() }
    checks = await live.checks({ direction: 'mirror', clock })
    while (!checks.status().rangesDone) await tick(1n)
  })
  afterEach(() => live.close())

  const lsn = async (): Promise<bigint> => {
    const { rows } = await live.client.query<{ lsn: string }>("SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::text AS lsn")
    return BigInt(rows[0]!.lsn)
  }
  const tick = async (mirrored: bigint) => {
    now += 2000
    const { checkedSeq } = await checks.tick({ appliedSeq: live.head, mirroredPosition: `wal-1:${mirrored.toString(16)}` })
    return { isChecked: checkedSeq === live.head, differences: checks.status().differences, doubtful: checks.status().doubtful }
  }

  it('see that a mirrored row is alike', async () => {
    await live.meddle("UPDATE by_id SET v = 'new' WHERE id = 3; DELETE FROM by_text WHERE n = 5")
    live.writer.exec("UPDATE by_id SET v = 'new' WHERE id = 3; DELETE FROM by_text WHERE n = 5")
    expect(await tick(await lsn())).toEqual({ isChecked: true, differences: 0, doubtful: 0 })
  })

  it('wait for the mirror where Postgres is ahead of it', async () => {
    await live.meddle("UPDATE by_id SET v = 'new' WHERE id = 3")
    const first = await lsn()
    live.writer.exec("UPDATE by_id SET v = 'new' WHERE id = 3")
    await live.meddle("UPDATE by_id SET v = 'newer' WHERE id = 3")
    expect(await tick(first)).toEqual({ isChecked: false, differences: 0, doubtful: 1 })
    expect(await tick(first)).toEqual({ isChecked: false, differences: 0, doubtful: 1 })
    live.writer.exec("UPDATE by_id SET v = 'newer' WHERE id = 3")
    await live.meddle("UPDATE by_id SET v = 'newest' WHERE id = 3")
    const third = await lsn()
    // Past what the first look saw, though not past what is new since.
    expect(await tick(third - 1n)).toMatchObject({ differences: 0 })
    live.writer.exec("UPDATE by_id SET v = 'newest' WHERE id = 3")
    await tick(third)
    expect(await tick(await lsn())).toEqual({ isChecked: true, differences: 0, doubtful: 0 })
  })

  it('record a row that the mirror wrote wrongly, and forget it when it is right', async () => {
    await live.meddle("UPDATE by_id SET v = 'new' WHERE id = 3")
    live.writer.exec("UPDATE by_id SET v = 'wrong' WHERE id = 3")
    const mirrored = await lsn()
    expect(await tick(mirrored)).toEqual({ isChecked: false, differences: 0, doubtful: 1 })
    await tick(mirrored + 1_000_000n)
    expect(await tick(mirrored + 1_000_000n)).toEqual({ isChecked: true, differences: 1, doubtful: 0 })
    expect(await live.recorded()).toEqual([{ table_name: 'by_id', row_key: 'id=3', state: 'differs' }])
    live.writer.exec("UPDATE by_id SET v = 'new' WHERE id = 3")
    now += 10_000
    await tick(mirrored + 2_000_000n)
    await tick(mirrored + 2_000_000n)
    expect(await live.recorded()).toEqual([])
  })

  it('keep up with a row that never rests, however far behind the mirror is', async () => {
    const passed: bigint[] = []
    let doubtful = 0
    for (let turn = 1; turn <= 30; turn++) {
      await live.meddle(`UPDATE by_id SET v = '${turn}' WHERE id = 3`)
      live.writer.exec(`UPDATE by_id SET v = '${turn - 1}' WHERE id = 3`)
      passed.push(await lsn())
      // What Postgres wrote three turns ago is what the mirror has come to.
      doubtful = (await tick(passed.at(-4) ?? 1n)).doubtful
    }
    expect(doubtful).toBeLessThan(8)
    expect(checks.status()).toMatchObject({ differences: 0 })
    expect(live.head - checks.status().checkedSeq).toBeLessThan(8n)
  })

  it('record it as well where the mirror has nothing more to write', async () => {
    live.writer.exec("UPDATE by_id SET v = 'wrong' WHERE id = 3")
    expect(await tick(1n)).toMatchObject({ doubtful: 1 })
    expect(await tick(1n)).toMatchObject({ doubtful: 1, differences: 0 })
    now += 20_000
    expect(await tick(1n)).toMatchObject({ doubtful: 0, differences: 1 })
  })

  it('compare what has no key as a whole at the gate of a rollback', async () => {
    live.writer.exec('UPDATE keyless SET a = 99 WHERE rowid = 3; DELETE FROM nameless WHERE _rowid_ = 4')
    expect(await tick(1n)).toMatchObject({ differences: 0 })
    const gate = await checks.gate({ appliedSeq: live.head, head: live.head })
    expect(gate.ok).toBe(false)
    expect(new Set(gate.differences.map(({ table }) => table))).toEqual(new Set(['keyless', 'nameless']))
    await live.meddle("UPDATE keyless SET a = 99 WHERE ctid = '(0,3)'; DELETE FROM nameless WHERE _rowid_ = 4")
    expect(await checks.gate({ appliedSeq: live.head, head: live.head })).toMatchObject({ ok: true, differenceCount: 0 })
  })
})
