import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { useDatabase } from '../../testing/postgres/use-database.js'
import { propertyRuns } from '../../testing/property-runs.js'
import { useFolder } from '../../testing/use-folder.js'
import { until } from '../../time/until.js'
import { openFollow } from '../follow/open-follow.js'
import { makeAllKeys } from './testing/all-keys.js'
import { LiveFixture } from './testing/live-fixture.js'

const folder = useFolder('checks-busy')
const database = useDatabase()
let schemas = 0

const open = () => LiveFixture.open({ folder, url: database.url, schema: `b${++schemas}`, make: makeAllKeys })

describe('continuous checks while the application writes', () => {
  it('give no false alarm at full speed, and find what was changed behind their back', async () => {
    const live = await open()
    const follow = await openFollow({ held: live.held, target: { url: database.url } })
    const worker = new Worker(new URL('./testing/hammer.mjs', import.meta.url), {
      workerData: { path: live.path, seed: 7, pauseEvery: 2, pauseMs: 5 },
    })
    try {
      const checks = await live.checks({ share: 0.5 })
      const turn = async () => {
        const { appliedSeq, renewed } = await follow.tick()
        for (const table of renewed) await checks.restartTable(table)
        await checks.tick({ appliedSeq })
      }
      const endMs = performance.now() + 5000
      for (let turns = 0; turns < 30 || performance.now() < endMs; turns++) {
        await turn()
        expect(checks.status().differences).toBe(0)
      }
      // A row that the hammer does not touch.
      await live.meddle("INSERT INTO empty VALUES (5, 'x')")
      await checks.restartTable('empty')
      await until(() => turn().then(() => checks.status().differences === 1), { intervalMs: 0, timeoutMs: 60_000 })
      worker.postMessage('stop')
      const [writes] = (await once(worker, 'message')) as [number]
      expect(writes).toBeGreaterThan(500)
      const appliedSeq = await follow.drain()
      await until(() => turn().then(() => checks.status().rangesDone), { intervalMs: 0, timeoutMs: 60_000 })
      const gate = await checks.gate({ appliedSeq, head: live.head })
      expect(gate).toMatchObject({ ok: false, rangesLeft: [], differenceCount: 1 })
      expect(await live.recorded()).toEqual([{ table_name: 'empty', row_key: 'id=5', state: 'extra' }])
    } finally {
      await worker.terminate()
      await follow.close()
      await live.close()
    }
  }, 200_000)

  const tables = ['by_id', 'by_pair', 'by_text', 'keyless'] as const
  const keyOf = { by_id: 'id', by_pair: 'a * 1000 + b', by_text: 'n', keyless: 'rowid' }
  const targetKey = { by_id: 'id', by_pair: 'a * 1000 + b', by_text: 'n', keyless: '_tidemark_rowid' }
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('update' as const), table: fc.constantFrom(...tables), at: fc.nat(60) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('delete' as const), table: fc.constantFrom(...tables), at: fc.nat(60) }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('apply' as const), limit: fc.integer({ min: 1, max: 20 }) }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('tick' as const) }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('meddle' as const), table: fc.constantFrom(...tables), at: fc.nat(60) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
  )
  const column = { by_id: 'v', by_pair: 'v', by_text: 'k', keyless: 'v' }

  it('end with exactly the rows on record that differ, whatever the order of writes, applies and ticks', async () => {
    const property = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      const live = await LiveFixture.open({
        folder,
        url: database.url,
        schema: `b${++schemas}`,
        make: (writer) => makeAllKeys(writer, 60),
      })
      try {
        let checks = await live.checks()
        for (const [i, action] of steps.entries()) {
          if (action.kind === 'apply') await live.apply(action.limit)
          else if (action.kind === 'tick') await checks.tick({ appliedSeq: await live.applied() })
          else if (action.kind === 'reopen') {
            await checks.close()
            checks = await live.checks()
          } else {
            const { table, at } = action
            const value = `${action.kind} ${i}`
            if (action.kind === 'update')
              live.writer.exec(`UPDATE ${table} SET ${column[table]} = '${value}' WHERE ${keyOf[table]} = ${at}`)
            if (action.kind === 'delete') live.writer.exec(`DELETE FROM ${table} WHERE ${keyOf[table]} = ${at}`)
            if (action.kind === 'meddle') {
              const where = `WHERE ${targetKey[table]} = ${at}`
              await live.meddle(
                at % 3 === 0 ? `DELETE FROM ${table} ${where}` : `UPDATE ${table} SET ${column[table]} = '${value}' ${where}`,
              )
              // Behind the range that was compared already, nothing but a new comparison can find it.
              await checks.restartTable(table)
            }
          }
          if (!steps.some(({ kind }) => kind === 'meddle')) expect(checks.status().differences).toBe(0)
        }
        await live.settle(checks)
        const gate = await checks.gate({ appliedSeq: live.head, head: live.head })
        const found = (await live.recorded()).map(({ table_name, row_key, state }) => `${table_name} ${row_key} ${state}`)
        expect(found.sort()).toEqual((await live.differing()).sort())
        expect(gate.ok).toBe(found.length === 0)
      } finally {
        await live.close()
      }
    })
    await fc.assert(property, propertyRuns(8))
  }, 600_000)
})
