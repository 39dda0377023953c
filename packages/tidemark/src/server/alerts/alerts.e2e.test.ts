import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { alertsChannel } from '../../alerts/alerts.js'
import { type Receiver, startReceiver, testSecret } from '../../alerts/testing/receiver.js'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../postgres/embedded/embedded.js'
import { createRedis } from '../../redis/create-redis.js'
import { openState } from '../../state/state.js'
import { copyBareState } from '../../testing/project/prepared-project.js'
import { useProject } from '../../testing/project/use-project.js'
import { startTestRedis, type TestRedis } from '../../testing/redis/redis-server.js'
import { until } from '../../time/until.js'
import type { AlertsReport, AlertView } from '../operations/alerts.js'

describe('alerts of a server', () => {
  const project = useProject()
  let folder: string
  let postgres: EmbeddedPostgres
  let redis: TestRedis
  let ops: Receiver

  const startPostgres = async (): Promise<EmbeddedPostgres> =>
    startEmbeddedPostgres({ state: await openState(folder), disposable: true, restart: false })

  const query = async (sql: string): Promise<readonly Record<string, unknown>[]> => {
    const client = new pg.Client({ connectionString: postgres.url })
    await client.connect()
    try {
      return (await client.query(sql)).rows as Record<string, unknown>[]
    } finally {
      await client.end()
    }
  }

  const open = async (): Promise<readonly AlertView[]> => (await project.run<AlertsReport>('alerts', 'list')).alerts

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemark-alerts-pg-'))
    await copyBareState(folder)
    ;[postgres, redis, ops] = await Promise.all([startPostgres(), startTestRedis(), startReceiver()])
    const channels = { ops: { type: 'webhook', url: ops.url, secret: testSecret, timeoutMs: 500 } }
    const routes = [{ groupWaitMs: 0, groupIntervalMs: 0 }]
    await writeFile(
      join(project.dir, 'tidemark.config.json'),
      JSON.stringify({
        postgres: { url: postgres.url },
        redis: { url: redis.url },
        alerts: { channels, routes, allowed: ['127.0.0.1'], lookEveryMs: 200, resolveTimeoutMs: 4000 },
      }),
    )
    await project.serve()
  })
  afterAll(async () => {
    await project.end().catch(() => undefined)
    await ops?.stop()
    await redis?.stop()
    await postgres?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  it('R77, C13: what a transaction published is told, hinted at with the documented JSON, listed, acknowledged and silenced', async () => {
    const hints: string[] = []
    const listener = await createRedis({ url: redis.url })
    await listener.subscribe([alertsChannel], (message) => hints.push(message))
    const [published] = await query(`select publish_alert('tour_late', 'tour-1', 'tour', 'The tour is late.', 'warning') as id`)
    await until(() => ops.told().includes('firing tour-1') && hints.length > 0)
    expect(JSON.parse(hints[0]!)).toEqual({
      id: published!['id'],
      alert_type: 'tour_late',
      entity_id: 'tour-1',
      entity_type: 'tour',
      message: 'The tour is late.',
      severity: 'warning',
      timestamp: expect.stringMatching(/^\d{4}-.*Z$/) as string,
    })
    await listener.stop()
    const alert = (await open()).find(({ id }) => id === published!['id'])!
    expect(alert).toMatchObject({ alert_type: 'tour_late', status: 'active', occurrences: 1 })
    const acknowledged = await project.run<AlertView>('alerts', 'ack', alert.id.slice(0, 8), '--by', 'ann')
    expect(acknowledged).toMatchObject({ status: 'acknowledged', acknowledged_by: 'ann' })
    await project.run('alerts', 'test', 'ops')
    expect(ops.told()).toContain('test')
    const silenced = await project.run<{ id: string }>('alerts', 'silence', 'alert_type=tour_late', '--for', '10m', '--by', 'ann')
    await query(`select publish_alert('tour_late', 'tour-2', 'tour', 'The tour is late.', 'critical')`)
    await until(async () => (await query(`select from tidemark.alert_notifications where held like 'silenced by %'`)).length > 0)
    expect(ops.told()).not.toContain('firing tour-2')
    await project.run('alerts', 'silence', '--end', silenced.id.slice(0, 8))
    const resolved = await project.run<AlertView>('alerts', 'resolve', alert.id)
    expect(resolved.status).toBe('resolved')
    await until(() => ops.told().includes('resolved tour-1'))
  })

  it.each([
    [['ack', 'ffffffff'], 1, 'TM_ALERTS_UNKNOWN'],
    [['silence', '--end', 'ffffffff'], 1, 'TM_ALERTS_UNKNOWN'],
    [['test', 'nobody'], 1, 'TM_ALERTS_UNKNOWN'],
    [['silence', 'disk'], 2, 'TM_ALERTS_MATCHER'],
    [['silence', 'alert_type=disk', '--for', '9999d'], 2, 'TM_CLI_USAGE'],
    [['ack', 'a'], 2, 'TM_SERVER_BAD_REQUEST'],
  ])('what an operator asks for and cannot have is refused by the server’s own error: %j', async (args, exitCode, code) => {
    const { exitCode: ended, data } = await project.json<{ readonly error: { readonly code: string } }>('alerts', ...args)
    expect([data.error.code, ended]).toEqual([code, exitCode])
  })

  it('ALERT-1: one that was folded and not told when its server was killed is told by the next, under the same name', async () => {
    ops.answer('never')
    const [{ id } = {}] = await query(`select publish_alert('killed', 'k', 'thing', 'It is so.', 'critical') as id`)
    const name = `${String(id)}:firing:critical`
    await until(() => ops.asked.includes(name))
    project.server.child.kill('SIGKILL')
    await project.server.ended
    ops.answer(204)
    expect(ops.told()).not.toContain('firing k')
    expect((await query(`select notification_sent from alerts where entity_id = 'k'`))[0]).toEqual({ notification_sent: false })
    // As if the dead one's time to send it had passed.
    await query('update tidemark.alert_notifications set claimed_until = clock_timestamp() where claimed_until is not null')
    await project.serve()
    await until(() => ops.told().includes('firing k'), { timeoutMs: 60_000 })
    expect(ops.asked.filter((each) => each === name).length).toBeGreaterThan(1)
    await until(async () => (await query(`select notification_sent from alerts where entity_id = 'k'`))[0]?.['notification_sent'])
    // A receiver whose answer was late is told again, under the name that it knows.
    const told = ops.received.filter(({ alerts }) => alerts.some(({ entity_id }) => entity_id === 'k'))
    expect(new Set(told.map((notice) => notice.id))).toEqual(new Set([name]))
  })

  it('R79: Postgres that stopped is told of while it is away, and stored once it is back, over a kill of the server', async () => {
    await postgres.stop()
    await until(() => ops.told().includes('firing postgres'), { timeoutMs: 60_000 })
    project.server.child.kill('SIGKILL')
    await project.server.ended
    postgres = await startPostgres()
    await project.serve()
    const stored = async () =>
      (await query(`select id, status, notification_sent from alerts where alert_type = 'database-away'`))[0]
    // That it was told is noted after it is stored.
    await until(async () => (await stored())?.['notification_sent'] === true, { timeoutMs: 60_000 })
    // The server that saw it is dead: it ends because nobody sees it any more.
    await until(() => ops.told().includes('resolved postgres'), { timeoutMs: 60_000 })
    // What was told right before the kill may come again, under the name that it has.
    const once = new Map(ops.received.map((notice) => [notice.id, notice]))
    const told = [...once.values()].flatMap(({ alerts }) => alerts).filter(({ entity_id }) => entity_id === 'postgres')
    expect(told.map(({ kind, id }) => [kind, id])).toEqual([
      ['firing', (await stored())!['id']],
      ['resolved', (await stored())!['id']],
    ])
  })
})
