import { hostname } from 'node:os'
import { join } from 'node:path'
import type pg from 'pg'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { platformSource } from '../../schema/migration-files.js'
import { createMigrator } from '../../schema/migrator.js'
import { sessionsOf } from '../../schema/sessions.js'
import { makeSqlite } from '../../testing/make-sqlite.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { useFolder } from '../../testing/use-folder.js'
import type { MovePlan } from '../move.js'
import { planMove } from '../plan/plan.js'
import { insertRun } from '../run.js'
import type { HeldRun } from './live-run.js'
import { type MoveState, transitions } from './live-state.js'
import { advance, assertHeld, beat, findLiveRun, historyOf, requireLiveRun, takeOver } from './record.js'

const folder = useFolder('record')
const database = useDatabase()
const client = useClient(database)
const other = useClient(database)
let plan: MovePlan
let id = ''

beforeAll(async () => {
  expect(await findLiveRun(client, { path: '/nowhere' })).toBeUndefined()
  await createMigrator({ connect: sessionsOf({ url: database.url }), sources: [platformSource] }).up()
  plan = await planMove({ path: makeSqlite(join(folder, 'app.db'), 'CREATE TABLE t (id INTEGER PRIMARY KEY)') })
})
beforeEach(async () => {
  id = await insertRun(client, plan)
})

const put = (state: MoveState) => client.query('UPDATE tidemark.move_runs SET state = $2 WHERE id = $1', [id, state])

describe('the record of a live move', () => {
  it('is found by its id and by its file, the newest first', async () => {
    expect((await requireLiveRun(client, { runId: id })).path).toBe(plan.path)
    expect((await requireLiveRun(client, { path: plan.path })).id).toBe(id)
    expect(await findLiveRun(client, { path: plan.path, targetSchema: 'elsewhere' })).toBeUndefined()
    await expect(requireLiveRun(client, { path: '/nowhere' })).rejects.toMatchObject({ code: 'TM_MOVE_NO_PLAN' })
  })

  it('names its holder, and raises the epoch with each takeover', async () => {
    const first = await takeOver(client, id)
    const second = await takeOver(other, id)
    expect([first.epoch, second.epoch]).toEqual([1n, 2n])
    expect(second.run.holder).toMatchObject({ pid: process.pid, host: hostname() })
    expect(Math.abs(second.run.holder!.seenAt.getTime() - Date.now())).toBeLessThan(60_000)
  })

  it('MOVE-2: refuses everything from a process that was fenced', async () => {
    const old = await takeOver(client, id)
    const held = await takeOver(other, id)
    const fenced = { code: 'TM_MOVE_FENCED' }
    await expect(assertHeld(client, old)).rejects.toMatchObject(fenced)
    await expect(beat(client, old)).rejects.toMatchObject(fenced)
    await expect(advance(client, old, 'copying', 'copied')).rejects.toMatchObject(fenced)
    await assertHeld(other, held)
    expect((await requireLiveRun(client, { runId: id })).state).toBe('copying')
  })

  it('a takeover waits for the transaction that commits under the earlier epoch', async () => {
    const old = await takeOver(client, id)
    await client.query('BEGIN')
    await assertHeld(client, old)
    const taken = takeOver(other, id)
    await client.query('UPDATE tidemark.move_runs SET applied_seq = 7 WHERE id = $1', [id])
    await client.query('COMMIT')
    expect((await taken).run.appliedSeq).toBe(7n)
  })

  it('goes along the steps and remembers each with its epoch', async () => {
    let held: HeldRun = await takeOver(client, id)
    held = await advance(client, held, 'copying', 'following', { note: 'copied' })
    held = await advance(client, held, 'following', 'cuttingOver')
    held = await advance(client, held, 'cuttingOver', 'mirroring', { cutPosition: 'e:1f', slotName: 'a_slot', cutOverAt: 'now' })
    expect(held.run).toMatchObject({ state: 'mirroring', cutPosition: 'e:1f', slotName: 'a_slot', epoch: 1n })
    expect(held.run.cutOverAt).toBeInstanceOf(Date)
    held = await advance(client, held, 'mirroring', 'finished', { slotName: null, finishedAt: 'now', report: { end: 1 } })
    expect(held.run).toMatchObject({ state: 'finished', cutPosition: 'e:1f', slotName: null })
    expect((await historyOf(client, id)).map(({ from, to, epoch, note }) => [from, to, epoch, note])).toEqual([
      ['copying', 'following', 1n, 'copied'],
      ['following', 'cuttingOver', 1n, ''],
      ['cuttingOver', 'mirroring', 1n, ''],
      ['mirroring', 'finished', 1n, ''],
    ])
  })

  it('a step that is rolled back leaves neither state nor history', async () => {
    const held = await takeOver(client, id)
    await client.query('BEGIN')
    await advance(client, held, 'copying', 'following')
    await client.query('ROLLBACK')
    expect((await requireLiveRun(client, { runId: id })).state).toBe('copying')
    expect(await historyOf(client, id)).toEqual([])
  })

  it('takes every step of the table and no other, from whatever state', async () => {
    const states = Object.keys(transitions) as MoveState[]
    const taken: string[] = []
    for (const from of states)
      for (const to of states) {
        await put(from)
        const held = await takeOver(client, id)
        // The compiler refuses such calls; here it is the record that has to.
        const stepped = advance as (...a: [pg.Client, HeldRun, MoveState, MoveState]) => Promise<HeldRun>
        const outcome = await stepped(client, held, from, to).then(
          () => 'taken',
          (error: unknown) => (error as { code: string }).code,
        )
        if (outcome === 'taken') taken.push(`${from} ${to}`)
        else expect([outcome, (await requireLiveRun(client, { runId: id })).state]).toEqual(['TM_MOVE_STATE', from])
      }
    expect(taken).toEqual(states.flatMap((from) => transitions[from].map((to) => `${from} ${to}`)))
  })

  it('says in which state it is, and what can be done there', async () => {
    await put('mirroring')
    const held = await takeOver(client, id)
    await expect(advance(client, held, 'following', 'cuttingOver')).rejects.toThrow(
      /is mirroring, so it cannot go to: cuttingOver/,
    )
    await expect(advance(client, held, 'following', 'cuttingOver')).rejects.toMatchObject({
      fix: expect.stringContaining('`tidemark move rollback ') as string,
    })
  })
})
