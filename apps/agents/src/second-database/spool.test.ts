import { expect, it } from 'vitest'
import { runsOf } from './spool.js'

it('C61: what one statement brings over are neighbours of one table, written or gone, in their order and each once', () => {
  let seq = 0
  const entry = (table_name: string, row_id: string, row_data: unknown = { n: seq }) => ({
    ...{ seq: String(++seq), table_name, row_id, row_data },
  })
  const large = 'x'.repeat(3 * 1024 * 1024)
  const runs = runsOf([
    entry('agent_instances', 'a'),
    entry('agent_instances', 'b'),
    entry('agent_instances', 'a'),
    entry('agent_executions', 'c'),
    entry('agent_executions', 'd', null),
    entry('agent_executions', 'e', null),
    entry('agent_executions', 'e', large),
    entry('agent_executions', 'f', large),
  ])
  expect(runs.map(({ table, isGone, ids, rows }) => [table, isGone, ids.join(' '), rows.length])).toEqual([
    ['agent_instances', false, 'a b', 2],
    ['agent_instances', false, 'a', 1],
    ['agent_executions', false, 'c', 1],
    ['agent_executions', true, 'd e', 0],
    ['agent_executions', false, 'e', 1],
    ['agent_executions', false, 'f', 1],
  ])
  expect(runs[0]!.rows.map((row) => JSON.parse(row))).toEqual([{ n: 0 }, { n: 1 }])
  expect(runsOf([])).toEqual([])
})
