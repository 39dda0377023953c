import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Client } from '../../../postgres/postgres.js'
import { bootstrappedTemplate } from '../../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../../testing/postgres/use-database.js'
import { dueLanes, mark, parkedLanes, storedRows } from './event-rows.js'

describe('the statements of every event', () => {
  const client = useClient(useDatabase({ template: bootstrappedTemplate }))

  // Of what they may use instead nothing is left, so that they would take the index on the status if they could.
  beforeEach(async () => {
    await client.query(`begin; alter table webhook_events drop constraint webhook_events_pkey cascade;
      drop index webhook_events_parked, webhook_events_due, webhook_events_waiting; set local enable_seqscan = off`)
  })
  afterEach(() => client.query('rollback'))

  /** The plan of the first statement that is sent. */
  const planOf = async (ask: (db: Client) => Promise<unknown>): Promise<string> => {
    let plan = ''
    const db = {
      query: async (text: string, values: unknown[]) => {
        const { rows } = await client.query(`explain ${text}`, values)
        plan ||= rows.map((row) => row['QUERY PLAN']).join('\n')
        return { rows: [], rowCount: 0 }
      },
    }
    await ask(db as unknown as Client)
    return plan
  }

  test.each<[string, (db: Client) => Promise<unknown>]>([
    ['mark', (db) => mark(db, { partition: 0, epoch: '1', ids: [randomUUID()], isStored: false, worker: 'w' })],
    ['stored rows', (db) => storedRows(db, 'lane', 10)],
    ['parked lanes', (db) => parkedLanes(db, 0)],
    ['due lanes', (db) => dueLanes(db, [0])],
  ])('%s: read nothing by status, where rows that were replaced pile up', async (_name, ask) => {
    const plan = await planOf(ask)
    expect(plan).toContain('webhook_events')
    expect(plan).not.toContain('idx_webhook_events_status')
  })
})
