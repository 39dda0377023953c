import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AppDatabase, openAppDatabase } from '../../../packages/tidemark/src/testing/app/app-database.js'
import { crmMoves, feedbackMoves, type Machine, mayGo, statesOf, taskMoves, tourMoves, visitMoves } from './day/states.js'
import { reannaRouter } from './reanna-router.js'

let database: AppDatabase

beforeAll(async () => {
  database = await openAppDatabase(reannaRouter)
  await database.owner.query(`
    insert into tours (agent_id, start_time, end_time, status)
      values ('agent123', '2026-11-23T09:00+09:30', '2026-11-23T17:00+09:30', 'scheduled');
    insert into property_visits (tour_id, address, scheduled_arrival, scheduled_departure, status)
      select id, 'x', start_time, end_time, 'scheduled' from tours;
    insert into tasks (visit_id, task_type, status, scheduled_time) select id, 'property_tour', 'scheduled', scheduled_arrival from property_visits;
    insert into feedback (task_id, raw_feedback, feedback_source) select id, 'x', 'sms' from tasks`)
})

afterAll(() => database?.drop())

/** How each state is written. */
const column = (name: string) => (state: string) => `${name} = '${state}'`
const feedbackColumns = (state: string): string =>
  `processed_feedback = ${state === 'received' ? 'null' : "'x'"}, sent_to_agent = ${state === 'notified'}`

const machines: readonly [string, string, Machine, (state: string) => string][] = [
  ['tours', 'tours', tourMoves, column('status')],
  ['visits', 'property_visits', visitMoves, column('status')],
  ['tasks', 'tasks', taskMoves, column('status')],
  ['the sync with the CRM', 'tours', crmMoves, column('crm_sync_status')],
  ['feedback', 'feedback', feedbackMoves, feedbackColumns],
]

describe('R1, C20: the guards of the database let pass what the tables of states do, and nothing else', () => {
  it.each(machines)('%s', async (_name, table, moves, set) => {
    const { owner } = database
    const differing: string[] = []
    for (const from of statesOf(moves))
      for (const to of statesOf(moves)) {
        await owner.query('begin')
        await owner.query(`set local tidemark.origin = 'move'; update ${table} set ${set(from)}`)
        await owner.query(`set local tidemark.origin = ''`)
        const code = await owner.query(`update ${table} set ${set(to)}`).then(
          () => undefined,
          (error: { code?: string }) => error.code,
        )
        await owner.query('rollback')
        if (code !== (from === to || mayGo(moves, from, to) ? undefined : 'PT409')) differing.push(`${from} → ${to}: ${code}`)
      }
    expect(differing).toEqual([])
  })
})
