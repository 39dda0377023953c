import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createHealth } from '../observability/health.js'
import { createMetrics } from '../observability/metrics.js'
import { type SignalName, silentLogger } from '../observability/observability.js'
import { createSignals } from '../observability/signals.js'
import { createNamedPool, type Pool } from '../postgres/postgres.js'
import { bootstrappedTemplate, testUrl } from '../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../testing/postgres/use-database.js'
import { propertyRuns } from '../testing/property-runs.js'
import { until } from '../time/until.js'
import { fingerprintOf } from './fingerprint.js'
import { foldLockSql, foldWaiting } from './fold/fold-job.js'
import { createRoutes, type RouteInput } from './notify/routes.js'
import { type Alerts, type AlertsOptions, openAlerts } from './open-alerts.js'
import { defineRule } from './rules/rule.js'
import { type Receiver, startReceiver, testSecret } from './testing/receiver.js'

const database = useDatabase({ template: bootstrappedTemplate })
const admin = useClient(database)

let pool: Pool
let ops: Receiver
let backup: Receiver
let folder: string
const stops: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  pool = createNamedPool('primary', { url: testUrl(database.url, 'app'), pools: { primary: { maxConnections: 6 } } })
  folder = await mkdtemp(join(tmpdir(), 'tidemark-alerts-'))
  ;[ops, backup] = [await startReceiver(), await startReceiver()]
})
afterAll(async () => {
  await ops.stop()
  await backup.stop()
  await pool.stop()
  await rm(folder, { recursive: true, force: true })
})
beforeEach(() => {
  for (const receiver of [ops, backup]) {
    receiver.received.length = 0
    receiver.answer(204)
  }
})
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
  await admin.query(
    'truncate public.alerts, tidemark.alert_signals, tidemark.alert_events, tidemark.alert_notifications, tidemark.alert_silences, tidemark.alert_sources',
  )
})

/** Everything at once, so that nothing has to be waited for. */
const atOnce: RouteInput = { channels: ['ops'], groupWaitMs: 0, groupIntervalMs: 0 }

const open = async (
  options: Partial<AlertsOptions> = {},
): Promise<Alerts & { readonly signals: ReturnType<typeof createSignals> }> => {
  const signals = createSignals()
  const webhook = { type: 'webhook', secret: testSecret } as const
  const alerts = await openAlerts({
    pool,
    folder,
    signals,
    rules: [],
    channels: { ops: { ...webhook, url: ops.url, fallback: 'backup' }, backup: { ...webhook, url: backup.url } },
    routes: [atOnce],
    allowed: ['127.0.0.1'],
    metrics: createMetrics(),
    health: createHealth(),
    lookEveryMs: 20,
    pollEveryMs: 20,
    sweepEveryMs: 20,
    log: silentLogger,
    ...options,
  })
  stops.push(() => alerts.stop())
  alerts.start()
  return Object.assign(alerts, { signals })
}

const publish = async (entity: string, severity = 'warning', message = 'It is so.'): Promise<string> => {
  const { rows } = await admin.query<{ id: string }>('select publish_alert($1, $2, $3, $4, $5) as id', [
    'trouble',
    entity,
    'thing',
    message,
    severity,
  ])
  return rows[0]!.id
}

const resolve = (entity: string) => admin.query('select resolve_alert($1, $2, $3)', ['trouble', entity, 'thing'])

const rowsOf = async () =>
  (
    await admin.query(
      'select id, entity_id, status, occurrences, severity, notification_sent from alerts order by created_at, entity_id',
    )
  ).rows as {
    id: string
    entity_id: string
    status: string
    occurrences: number
    severity: string
    notification_sent: boolean
  }[]

/** What waits is due now, and nothing waits any more. */
const hurry = () =>
  until(async () => {
    const { rowCount } = await admin.query(`update tidemark.alert_notifications set due_at = now() where status = 'waiting'`)
    return rowCount === 0
  })

const waitingFor = async (held: string) =>
  (await admin.query('select from tidemark.alert_notifications where held like $1', [held])).rowCount! > 0

describe('publish_alert (R77)', () => {
  it('R8, C13: stands and falls with its transaction, and gives the id of the alert that it opens', async () => {
    const alerts = await open()
    await admin.query('begin')
    await publish('rolled-back')
    await admin.query('rollback')
    const id = await publish('kept')
    await until(() => ops.received.length > 0)
    expect(ops.told()).toEqual(['firing kept'])
    const [alert] = await alerts.list()
    expect(alert).toMatchObject({
      id,
      alertType: 'trouble',
      entityId: 'kept',
      entityType: 'thing',
      severity: 'warning',
      status: 'active',
    })
    await until(async () => (await rowsOf())[0]?.notification_sent)
    expect(await rowsOf()).toHaveLength(1)
  })

  it('ALERT-1, T8: a thousand equal ones are one alert and one notification, over two nodes', async () => {
    await admin.query(`select publish_alert('trouble', 'same', 'thing', 'n ' || n, 'critical') from generate_series(1, 1000) n`)
    await Promise.all([open(), open()])
    await until(async () => (await rowsOf())[0]?.occurrences === 1000)
    await publish('after', 'critical')
    await until(() => ops.told().includes('firing after'))
    await until(() => ops.told().includes('firing same'))
    // Two nodes tell them: either may come first.
    expect(ops.told().toSorted()).toEqual(['firing after', 'firing same'])
    const { rows } = await admin.query(
      `select count(distinct alert_id)::int as alerts, count(*)::int as signals from tidemark.alert_signals where entity_id = 'same' and folded_at is not null`,
    )
    expect(rows).toEqual([{ alerts: 1, signals: 1000 }])
  })

  it('is folded by one job at a time over all nodes', async () => {
    const options = { routes: createRoutes([atOnce], ['ops', 'backup']), hints: undefined }
    await publish('locked')
    await admin.query('begin')
    await admin.query(foldLockSql)
    expect(await foldWaiting(pool, options)).toEqual({ folded: 0, opened: [] })
    await admin.query('commit')
    expect(await foldWaiting(pool, options)).toMatchObject({ folded: 1, opened: [{ entityId: 'locked' }] })
  })

  it('writers of one condition do not wait for each other', async () => {
    await admin.query('begin')
    await publish('busy')
    // Another transaction publishes the same and commits meanwhile.
    const other = await pool.query<{ id: string }>(`select publish_alert('trouble', 'busy', 'thing', 'too', 'warning') as id`)
    expect(other.rows[0]?.id).toMatch(/-/)
    await admin.query('commit')
  })

  it('is for the server and the service alone, and its signals are nobody else’s', async () => {
    const grants = await admin.query(
      `select r, has_function_privilege(r, 'public.publish_alert(text, text, text, text, text, jsonb)', 'execute') as publishes,
              has_table_privilege(r, 'tidemark.alert_signals', 'select, insert, update, delete') as signals,
              has_table_privilege(r, 'public.alerts', 'select') as reads,
              has_table_privilege(r, 'public.alerts', 'insert, update, delete') as writes
         from unnest(array['anon', 'authenticated', 'service_role', 'tidemark_app']) r`,
    )
    expect(grants.rows).toEqual([
      { r: 'anon', publishes: false, signals: false, reads: false, writes: false },
      { r: 'authenticated', publishes: false, signals: false, reads: true, writes: false },
      { r: 'service_role', publishes: true, signals: false, reads: true, writes: false },
      { r: 'tidemark_app', publishes: true, signals: true, reads: true, writes: true },
    ])
    await open()
    await publish('secret')
    await until(async () => (await rowsOf()).length > 0)
    const seenBy = async (claims: object): Promise<number> => {
      await admin.query('begin')
      await admin.query(`select set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true)`, [
        JSON.stringify(claims),
      ])
      const { rowCount } = await admin.query('select from public.alerts')
      await admin.query('rollback')
      return rowCount ?? 0
    }
    expect(await seenBy({ sub: 'a', user_metadata: { role: 'admin' } })).toBe(0)
    expect(await seenBy({ sub: 'a', app_metadata: { role: 'admin' } })).toBe(1)
  })

  it('R75, R127: what is written of who did what can only be added to', async () => {
    const alerts = await open()
    await alerts.silence({ matchers: ['entity_id=a'], author: 'ann', comment: 'moving', forMs: 1000 })
    const { rows } = await admin.query('select actor, action, table_name from public.audit_log order by id desc limit 1')
    expect(rows).toEqual([{ actor: 'ann', action: 'INSERT', table_name: 'tidemark.alert_silences' }])
    await publish('kept')
    await until(async () => (await rowsOf()).length === 1)
    for (const sql of [
      'delete from public.audit_log',
      `update public.audit_log set actor = 'bob'`,
      'delete from tidemark.alert_events',
      `update tidemark.alert_events set actor = 'bob'`,
      'truncate public.audit_log',
    ])
      await expect(pool.query(sql)).rejects.toThrow(/only added to|permission denied/)
    await pool.query(`select tidemark.forget_alerts(now() + interval '1 day')`)
    expect((await admin.query('select from tidemark.alert_signals where folded_at is not null')).rowCount).toBe(0)
    expect(await rowsOf()).toHaveLength(1)
  })

  it('R75, R127: each alert that begins, is taken on and ends is in the audit log, with what it was before', async () => {
    const alerts = await open()
    const id = await publish('heard', 'error')
    await until(async () => (await rowsOf()).length === 1)
    await alerts.acknowledge(id, 'ann')
    await resolve('heard')
    await until(async () => (await rowsOf())[0]?.status === 'resolved')
    const { rows } = await admin.query(
      `select action, actor, old_data ->> 'status' as before, new_data ->> 'status' as after from audit_log
        where table_name = 'alerts' and record_id = $1 order by id`,
      [id],
    )
    const server = 'tidemark_app'
    expect(rows).toEqual([
      { action: 'INSERT', actor: server, before: null, after: 'active' },
      { action: 'UPDATE', actor: 'ann', before: 'active', after: 'acknowledged' },
      { action: 'UPDATE', actor: server, before: 'acknowledged', after: 'resolved' },
    ])
  })

  it.each(['anon', 'authenticated', 'service_role', 'authenticator', 'tidemark_app', 'tidemark_feed'])(
    'R127: %s changes and removes no line of the audit log, whatever it claims to be',
    async (role) => {
      await admin.query(`insert into public.audit_log (action, table_name) values ('X', 'x')`)
      for (const sql of [
        'delete from public.audit_log',
        `update public.audit_log set actor = 'bob'`,
        'truncate public.audit_log',
        'alter table public.audit_log disable trigger audit_log_append_only',
        'drop table public.audit_log',
      ]) {
        await admin.query('begin')
        await admin.query(
          `select set_config('role', $1, true), set_config('tidemark.origin', 'move', true), set_config('request.jwt.claims', $2, true)`,
          [role, JSON.stringify({ sub: 'boss', role: 'service_role', app_metadata: { role: 'admin' } })],
        )
        await expect(admin.query(sql), sql).rejects.toThrow(/only added to|permission denied|must be owner/)
        await admin.query('rollback')
      }
    },
  )

  it('is named as a node names it, whatever is in the labels', async () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((value) => !value.includes('\0'))
    const labels = fc.dictionary(fc.stringMatching(/^[a-z_]{1,8}$/), text, { maxKeys: 4 })
    await fc.assert(
      fc.asyncProperty(text, text, text, labels, async (alertType, entityType, entityId, given) => {
        const { rows } = await admin.query('select tidemark.alert_fingerprint($1, $2, $3, $4) as f', [
          alertType,
          entityType,
          entityId,
          given,
        ])
        expect((rows as { f: string }[])[0]?.f).toBe(fingerprintOf({ alertType, entityType, entityId, labels: given }))
      }),
      propertyRuns(60),
    )
  })
})

describe('telling', () => {
  it('R78: tells the end to whom the beginning was told, and nothing of what ended before it was told', async () => {
    await open({
      routes: [
        { ...atOnce, match: ['entity_id!=slow'] },
        { ...atOnce, groupWaitMs: 60_000 },
      ],
    })
    await publish('a')
    await publish('slow')
    await until(() => ops.told().length === 1)
    await resolve('slow')
    await resolve('a')
    await until(() => ops.told().length === 2)
    await until(async () => (await rowsOf()).every(({ status }) => status === 'resolved'))
    await hurry()
    expect(ops.told()).toEqual(['firing a', 'resolved a'])
    expect((await rowsOf()).map(({ entity_id, status }) => [entity_id, status])).toEqual([
      ['a', 'resolved'],
      ['slow', 'resolved'],
    ])
  })

  it('waits for others of its group, and tells them in one message', async () => {
    await open({ routes: [{ ...atOnce, groupWaitMs: 60_000 }] })
    const first = await publish('a')
    await publish('b')
    await until(async () => (await admin.query('select from tidemark.alert_notifications')).rowCount === 2)
    await admin.query('update tidemark.alert_notifications set due_at = now() where alert_id = $1', [first])
    await until(() => ops.received.length > 0)
    expect([...ops.told()].sort()).toEqual(['firing a', 'firing b'])
    expect(ops.received).toHaveLength(1)
  })

  it('tells again what nobody acknowledged, and others after a time', async () => {
    const alerts = await open({ routes: [{ ...atOnce, repeatIntervalMs: 100, escalateAfterMs: 150, escalateTo: ['backup'] }] })
    await publish('a', 'error')
    await until(() => backup.told().length === 1 && ops.told().length >= 3)
    expect(backup.told()).toEqual(['escalated a'])
    expect(ops.told().slice(0, 3)).toEqual(['firing a', 'repeat a', 'repeat a'])
    const [alert] = await alerts.list()
    await alerts.acknowledge(alert!.id.slice(0, 8), 'ann')
    expect((await rowsOf())[0]?.status).toBe('acknowledged')
    const { rows: audited } = await admin.query(
      `select actor, table_name, new_data ->> 'status' as status from audit_log order by id desc limit 1`,
    )
    expect(audited).toEqual([{ actor: 'ann', table_name: 'alerts', status: 'acknowledged' }])
    await until(
      async () => (await admin.query(`select from tidemark.alert_notifications where status = 'waiting'`)).rowCount === 0,
    )
    const told = ops.told().length
    await publish('b')
    await until(() => ops.told().includes('firing b'))
    expect(ops.told().filter((each) => each.endsWith(' a'))).toHaveLength(told)
    await expect(alerts.acknowledge('00000000', 'ann')).rejects.toMatchObject({ code: 'TM_ALERTS_UNKNOWN' })
  })

  it('is silent where somebody wants it so, and speaks when the silence is ended', async () => {
    const alerts = await open()
    const silence = await alerts.silence({
      matchers: ['entity_id=~a*', 'severity!=critical'],
      author: 'ann',
      comment: 'moving',
      forMs: 600_000,
    })
    await publish('apple')
    await publish('pear')
    await publish('acorn', 'critical')
    await until(() => ops.told().length === 2)
    expect([...ops.told()].sort()).toEqual(['firing acorn', 'firing pear'])
    // What is told and what is held back leave one look at different times.
    await until(() => waitingFor(`silenced by ${silence.id}`))
    expect(await alerts.silences()).toHaveLength(1)
    await alerts.endSilence(silence.id, 'ann')
    await admin.query('update tidemark.alert_notifications set due_at = now() where held is not null')
    await until(() => ops.told().length === 3)
    expect(ops.told()[2]).toBe('firing apple')
    await expect(alerts.silence({ matchers: ['nonsense'], author: 'ann', comment: '', forMs: 1 })).rejects.toMatchObject({
      code: 'TM_ALERTS_MATCHER',
    })
  })

  it('says nothing of what follows from something worse, while that lasts', async () => {
    const parent = defineRule({
      name: 'parent',
      severity: 'critical',
      says: 'It.',
      when: { health: 'none', is: ['down'] },
      mutes: ['trouble'],
    })
    await open({ rules: [parent] })
    await admin.query(`select publish_alert('parent', 'p', 'thing', 'It.', 'critical')`)
    await until(() => ops.told().includes('firing p'))
    await publish('child')
    await until(() => waitingFor('muted by parent'))
    await admin.query(`select resolve_alert('parent', 'p', 'thing')`)
    await until(() => ops.told().includes('resolved p'))
    await admin.query('update tidemark.alert_notifications set due_at = now() where held is not null')
    await until(() => ops.told().includes('firing child'))
  })

  it('says once of what comes and goes that it does', async () => {
    await open()
    for (let round = 1; round <= 4; round += 1) {
      await publish('flap', 'critical')
      await until(async () => (await rowsOf()).length === round)
      if (round === 1) await until(() => ops.told().includes('firing flap'))
      await resolve('flap')
      await until(async () => (await rowsOf()).every(({ status }) => status === 'resolved'))
    }
    await until(() => ops.told().includes('flapping flap'))
    await publish('end', 'critical')
    await until(() => ops.told().includes('firing end'))
    expect(ops.told().filter((each) => each === 'flapping flap')).toHaveLength(1)
    // The first two beginnings at most were told as such.
    expect(ops.told().filter((each) => each === 'firing flap').length).toBeLessThanOrEqual(2)
  })

  it('tries again under one name, then tells another channel, and knows that it was not told', async () => {
    ops.answer(503)
    await open()
    await publish('a')
    const tryNow = async () => {
      await admin.query(`update tidemark.alert_notifications set due_at = now() where status = 'waiting'`)
      return backup.told().length > 0
    }
    await until(tryNow)
    expect(backup.told()).toEqual(['firing a'])
    expect(
      (await admin.query(`select status, attempt >= 3 as often, error from tidemark.alert_notifications where channel = 'ops'`))
        .rows,
    ).toMatchObject([{ status: 'waiting', often: true }])
    ops.answer(204)
    await until(
      async () => {
        await hurry()
        return ops.received.length > 0
      },
      { timeoutMs: 40_000 },
    )
    expect(ops.received[0]?.id).toMatch(/:firing:warning$/)
    expect(ops.received).toHaveLength(1)
  })

  it('R78, C13: notification_sent is true only after a delivery', async () => {
    for (const receiver of [ops, backup]) receiver.answer(503)
    await open()
    await publish('a')
    await until(
      async () =>
        (await admin.query('select from tidemark.alert_notifications where attempt > 0 and error is not null')).rowCount! > 0,
    )
    expect((await rowsOf())[0]?.notification_sent).toBe(false)
    for (const receiver of [ops, backup]) receiver.answer(204)
    await until(
      async () => {
        await admin.query(`update tidemark.alert_notifications set due_at = now() where status = 'waiting'`)
        return (await rowsOf())[0]?.notification_sent
      },
      { timeoutMs: 40_000 },
    )
    expect(ops.received.length + backup.received.length).toBeGreaterThan(0)
  })

  it('reaches a channel of one’s own, with the same outbox', async () => {
    const heard: string[] = []
    let failures = 1
    await open({
      channels: {
        pager: {
          type: 'own',
          send: async ({ idempotencyKey }) => {
            heard.push(idempotencyKey)
            if (failures-- > 0) throw new Error('the pager is off')
            return { providerId: 'page-1' }
          },
        },
      },
      routes: [{ groupWaitMs: 0 }],
    })
    const id = await publish('a')
    await until(async () => {
      await admin.query(`update tidemark.alert_notifications set due_at = now() where status = 'waiting'`)
      return (await rowsOf())[0]?.notification_sent
    })
    expect(heard).toEqual([`${id}:firing:warning`, `${id}:firing:warning`])
    expect((await admin.query('select provider_id, attempt from tidemark.alert_notifications')).rows).toEqual([
      { provider_id: 'page-1', attempt: 2 },
    ])
  })

  it('gives a sign of life by the whole way', async () => {
    await open({ deadMansSwitch: { channel: 'ops', everyMs: 60 } })
    await until(() => ops.told().filter((each) => each === 'watchdog').length >= 2)
    expect(new Set(ops.received.map(({ id }) => id)).size).toBe(ops.received.length)
  })

  it('tries a channel on demand', async () => {
    const alerts = await open()
    await alerts.test('ops')
    expect(ops.told()).toEqual(['test'])
    ops.answer(400)
    await expect(alerts.test('ops')).rejects.toMatchObject({ code: 'TM_ALERTS_REFUSED' })
    await expect(alerts.test('nobody')).rejects.toMatchObject({ code: 'TM_ALERTS_UNKNOWN' })
  })
})

describe('nodes that watch', () => {
  const raise = ({ signals }: { readonly signals: ReturnType<typeof createSignals> }, name: SignalName): void =>
    signals.raise({ name, subject: 'crm', message: 'The CRM fails.' })

  it('a signal becomes an alert, which ends when no node sees it any more', async () => {
    const [a, b] = [await open({ node: 'a' }), await open({ node: 'b' })]
    raise(a, 'breaker.opened')
    raise(b, 'breaker.opened')
    await until(async () => (await admin.query('select from tidemark.alert_sources')).rowCount === 2)
    raise(a, 'breaker.closed')
    await until(async () => (await admin.query('select from tidemark.alert_sources')).rowCount === 1)
    expect((await rowsOf())[0]?.status).toBe('active')
    raise(b, 'breaker.closed')
    await until(() => ops.told().length === 2)
    expect(ops.told()).toEqual(['firing crm', 'resolved crm'])
  })

  it('what only a dead node saw ends after a time', async () => {
    const dead = await open({ node: 'dead' })
    raise(dead, 'breaker.opened')
    await until(() => ops.told().includes('firing crm'))
    await dead.stop()
    await open({ node: 'alive', resolveTimeoutMs: 200 })
    await until(() => ops.told().includes('resolved crm'))
    expect((await admin.query('select resolved_by from alerts')).rows).toEqual([{ resolved_by: 'timeout' }])
  })

  it('an operator’s word ends it, and who still sees it opens another', async () => {
    const alerts = await open()
    await publish('a')
    await until(() => ops.told().length === 1)
    await alerts.resolve((await alerts.list())[0]!.id, 'ann')
    await until(() => ops.told().includes('resolved a'))
    await publish('a')
    await until(() => ops.told().filter((each) => each === 'firing a').length === 2)
    expect(await alerts.list({ status: 'all' })).toHaveLength(2)
    expect(await alerts.list()).toHaveLength(1)
  })
})
