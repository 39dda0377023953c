// @vitest-environment happy-dom
import { act, fireEvent, screen, waitFor, within } from '@testing-library/react'
import type { BreakerReport, ConnectionPage } from 'tidemark/admin'
import { describe, expect, test } from 'vitest'
import { connection } from '../testing/answers.ts'
import { failing, renderDashboard, session, TestEventSource } from '../testing/render-dashboard.tsx'
import { ratesOf } from './realtime/realtime-screen.tsx'

const hostile = '<img src=x onerror="globalThis.ran = true">'
const at = '2026-11-22T10:00:00.000Z'
const viewer = { 'GET /session': { ...session, operator: { name: 'v', role: 'viewer' } } } as const

const breaker = (given: Partial<BreakerReport> = {}): BreakerReport => ({
  service: 'crm',
  state: 'OPEN',
  scope: 'shared',
  epoch: 2,
  failureCount: 5,
  lastFailureAt: at,
  lastSuccessAt: null,
  openedAt: at,
  retryAfterMs: 4_000,
  reason: hostile,
  forced: null,
  forcedUntil: null,
  processes: 3,
  ...given,
})

const resilience = {
  limiters: [
    {
      name: 'sms',
      rules: [{ limit: 5, windowMs: 60_000, algorithm: 'log', burst: 1, whenAway: 'local' }],
      counts: { allowed: 9, refused: 2, remembered: 1, local: 0, open: 0 },
    },
  ],
  journal: { entries: 2, bytes: 2_048, oldestAt: Date.parse(at), refused: 0 },
  events: [{ id: 'e1', service: 'crm', from: 'CLOSED', to: 'OPEN', failures: 5, reason: '5 failures', instance: '', at }],
} as never

describe('resilience', () => {
  const answers = {
    'GET /breakers': { scope: 'all processes', breakers: [breaker()], waiting: 0 },
    'GET /resilience': resilience,
  } as const

  test('a breaker is held open after its name was typed, with a reason and an end', async () => {
    const { askedFor } = renderDashboard('/resilience?service=crm', {
      ...answers,
      'POST /breakers': { scope: 'all processes', breakers: [], waiting: 0 },
    })
    const detail = await screen.findByRole('dialog', { name: 'crm' })
    await within(detail).findByText(/5 failures/)
    fireEvent.click(within(detail).getByRole('button', { name: 'Hold open…' }))
    const dialog = await screen.findByRole('dialog', { name: 'Hold open: crm' })
    const confirm = within(dialog).getByRole('button', { name: 'Hold open' }) as HTMLButtonElement
    expect(confirm.disabled).toBe(true)
    fireEvent.change(within(dialog).getByLabelText('Reason'), { target: { value: 'the CRM moves' } })
    fireEvent.change(within(dialog).getByLabelText('For how long'), { target: { value: '3600000' } })
    fireEvent.change(within(dialog).getByLabelText('Type crm to confirm'), { target: { value: 'crm' } })
    fireEvent.click(confirm)
    await waitFor(() =>
      expect(askedFor('POST /breakers')[0]?.body).toEqual({
        service: 'crm',
        act: 'open',
        reason: 'the CRM moves',
        forMs: 3_600_000,
      }),
    )
    await screen.findByText('crm: hold open, told to all processes.')
  })

  test('limits, the journal, what breakers did, and no button for whoever only looks', async () => {
    renderDashboard('/resilience', { ...answers, ...viewer })
    await screen.findByText('5 in 1 min (log)')
    screen.getByText('in the journal')
    screen.getByText('2.0 KiB')
    fireEvent.click(screen.getAllByText('crm')[0]!)
    const detail = await screen.findByRole('dialog', { name: 'crm' })
    expect((within(detail).getByRole('button', { name: 'Let go…' }) as HTMLButtonElement).disabled).toBe(true)
    expect(document.querySelector('img[src="x"]')).toBeNull()
    fireEvent.click(within(detail).getByRole('button', { name: 'Close' }))
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  })

  test('nothing guarded yet', async () => {
    renderDashboard('/resilience', {
      'GET /breakers': { scope: 'nothing', breakers: [], waiting: null },
      'GET /resilience': { limiters: [], journal: null, events: [] },
    })
    await screen.findByText('No call is guarded yet')
    await screen.findByText('nothing is kept on disk')
  })
})

const timing = { count: 2, sumMs: 5, maxMs: 4 }
const pool = {
  name: 'primary',
  minConnections: 1,
  maxConnections: 20,
  total: 4,
  idle: 3,
  inUse: 1,
  waiting: 0,
  utilisation: 0.05,
  acquire: timing,
  connect: timing,
  query: timing,
  retries: 0,
  timeouts: 0,
  lost: 0,
} as const
const sessions = [
  {
    pid: 7,
    user: 'tidemark_app',
    application: 'primary',
    state: 'active',
    waits: 'Lock: relation',
    transactionMs: 4_000,
    stateMs: 3_000,
    query: hostile,
    blockedBy: [9],
  },
  {
    pid: 9,
    user: 'psql',
    application: 'psql',
    state: 'idle in transaction',
    waits: null,
    transactionMs: 9_000,
    stateMs: 9_000,
    query: null,
    blockedBy: [],
  },
]
const locks = [{ pid: 7, table: 'public.orders', mode: 'RowExclusiveLock', isGranted: false, waitedMs: 3_000 }]
const statement = {
  id: '1',
  query: 'select $1',
  user: 'app',
  calls: 3,
  totalMs: 90,
  meanMs: 0.4,
  maxMs: 50,
  rows: 3,
  inMemory: null,
}

describe('queries', () => {
  const report = { statements: [statement], sessions, locks, pools: [pool] }
  const open = (name: RegExp): void => void fireEvent.mouseDown(screen.getByRole('tab', { name }), { button: 0 })

  test('sessions, locks, pools and statements', async () => {
    renderDashboard('/queries', { 'GET /queries': report })
    await screen.findByText('waits for 9')
    screen.getByText(hostile)
    screen.getByText('of another login')
    open(/Locks/)
    await screen.findByText('public.orders')
    open(/Pools/)
    await screen.findByText('1 of 4, at most 20')
    open(/Statements/)
    fireEvent.click(await screen.findByText('select $1'))
    expect(((await screen.findByLabelText('One statement')) as HTMLTextAreaElement).value).toBe('select $1')
    expect('ran' in globalThis).toBe(false)
  })

  test('a plan is shown as a tree, and a refusal is said', async () => {
    let isRefused = true
    const plan = {
      'Node Type': 'Sort',
      'Total Cost': 9,
      'Plan Rows': 1,
      Plans: [{ 'Node Type': 'Seq Scan', 'Relation Name': 'notes', 'Total Cost': 8, 'Plan Rows': 40, Filter: '(id = 1)' }],
    }
    const { askedFor } = renderDashboard('/queries?tab=explain', {
      'GET /queries': { ...report, statements: null },
      'POST /queries/explain': () => (isRefused ? failing(400, 'TM_SERVER_BAD_REQUEST', 'Postgres refuses it') : { plan }),
    })
    fireEvent.change(await screen.findByLabelText('One statement'), { target: { value: 'select 1' } })
    fireEvent.change(screen.getByLabelText('As'), { target: { value: 'authenticated' } })
    fireEvent.click(screen.getByRole('button', { name: 'Explain' }))
    expect((await screen.findByRole('alert')).textContent).toContain('Postgres refuses it')
    isRefused = false
    fireEvent.click(screen.getByRole('button', { name: 'Explain' }))
    const tree = await screen.findByRole('list', { name: 'Plan' })
    within(tree).getByText('notes')
    within(tree).getByText('(id = 1)')
    expect(askedFor('POST /queries/explain').at(-1)?.body).toEqual({ sql: 'select 1', role: 'authenticated' })
    open(/Statements/)
    await screen.findByText('Postgres keeps no statistics of statements')
  })

  test('whoever may only look sees no statement', async () => {
    renderDashboard('/queries', viewer)
    await screen.findByText(/this needs the role operator/)
  })
})

describe('settings', () => {
  test('C2: keys are masked; one is shown to an admin who asks, until the dialog is closed', async () => {
    const keys = [
      { name: 'anon', shown: 'ey-public-anon-key', fingerprint: 'aaa' },
      { name: 'service_role', shown: '***', fingerprint: 'bbb' },
    ] as const
    const { askedFor } = renderDashboard('/settings?tab=keys', {
      'GET /keys': { keys },
      'POST /keys/reveal': { value: 'the-secret-itself' },
    })
    fireEvent.click(await screen.findByRole('button', { name: 'Reveal service_role' }))
    const dialog = await screen.findByRole('dialog', { name: 'The key service_role' })
    within(dialog).getByText('the-secret-itself')
    expect(askedFor('POST /keys/reveal')[0]?.body).toEqual({ name: 'service_role' })
    fireEvent.click(within(dialog).getByRole('button', { name: 'Close' }))
    await waitFor(() => expect(screen.queryByText('the-secret-itself')).toBeNull())
    expect(screen.queryByRole('button', { name: 'Reveal anon' })).toBeNull()
  })

  test('each value with its source; what nobody set is hidden until it is asked for', async () => {
    const { address } = renderDashboard('/settings', {
      'GET /settings': {
        settings: [
          { option: 'server.port', value: '9999', source: 'PORT' },
          { option: 'server.host', value: '127.0.0.1', source: 'default' },
          { option: 'redis.url', value: null, source: null },
        ],
      },
    })
    await screen.findByText('9999')
    expect(screen.queryByText('server.host')).toBeNull()
    fireEvent.change(screen.getByLabelText('Shown'), { target: { value: 'all' } })
    await screen.findByText('not set')
    fireEvent.change(screen.getByLabelText('Find'), { target: { value: 'zzz' } })
    await screen.findByText('No option fits')
    expect(address()).toContain('find=zzz')
  })

  test('the audit log, by who and what, and older ones', async () => {
    const entry = (id: number) => ({
      id,
      actor: 'ann',
      role: 'operator:admin',
      requestId: 'r',
      action: 'POST /move/plan',
      table: 'tidemark.operations',
      record: hostile,
      old: null,
      new: { body: hostile },
      at,
    })
    const { askedFor, address } = renderDashboard('/settings?tab=audit', {
      'GET /audit': { entries: Array.from({ length: 200 }, (_none, n) => entry(900 - n)) },
    })
    fireEvent.click((await screen.findAllByText('POST /move/plan'))[0]!)
    const dialog = await screen.findByRole('dialog', { name: 'POST /move/plan' })
    expect(dialog.textContent).toContain('onerror')
    fireEvent.click(within(dialog).getByRole('button', { name: 'Close' }))
    fireEvent.change(screen.getByLabelText('Who'), { target: { value: 'ann' } })
    await waitFor(() => expect(askedFor('GET /audit').at(-1)?.url.searchParams.get('actor')).toBe('ann'))
    fireEvent.click(screen.getByRole('button', { name: 'Older' }))
    await waitFor(() => expect(decodeURIComponent(address())).toContain('before="701"'))
    fireEvent.click(await screen.findByRole('button', { name: 'The newest' }))
    await waitFor(() => expect(address()).not.toContain('before'))
    expect('ran' in globalThis).toBe(false)
  })
})

describe('realtime', () => {
  test('connections, gaps and servers', async () => {
    const figure = (name: string, value: number, labels = {}) => ({ name: `tidemark_realtime_${name}`, labels, value })
    renderDashboard('/realtime', {
      'GET /realtime': {
        figures: [
          figure('connections', 7, { protocol: 'supabase' }),
          figure('connections', 2, { protocol: 'pusher' }),
          figure('gaps_total', 1),
          figure('buffered_bytes', 2_048),
        ],
        servers: [{ id: 'server-1', seenAt: at, cursors: 3 }],
      },
    })
    await screen.findByText('9', { selector: 'dd' })
    screen.getByText('clients loaded anew')
    screen.getByText('server-1')
    screen.getByText('protocol pusher')
  })

  test('single connections: filters in the address, pages, one of them closed, and what its client does then', async () => {
    const page = {
      connections: [connection(), connection({ id: '0123456789ab.2', user: null, role: 'anon', channels: [], channelCount: 0 })],
      next: '0123456789ab.2',
      nodes: [
        { node: 'host:1:0123456789ab', connections: 700 },
        { node: 'host:2:ba9876543210', connections: 300 },
      ],
      silent: 1,
    }
    let answer: ConnectionPage = page
    const { address, askedFor } = renderDashboard('/realtime?who=ann', {
      'GET /realtime': { figures: [], servers: [] },
      'GET /realtime/channels': { channels: [], total: 0 },
      'GET /realtime/connections': () => answer,
      'POST /realtime/connections/close': {
        id: '0123456789ab.1',
        node: 'host:1:0123456789ab',
        protocol: 'supabase',
        code: 1008,
        reason: 'closed by an operator',
        next: 'It comes back.',
      },
    })
    await screen.findByText('0123456789ab.1')
    screen.getByText('1 other server did not answer: what is connected there is missing.')
    screen.getByText('2 connections shown of 1,000 connections')
    const wanted = (at: number) => Object.fromEntries(askedFor('GET /realtime/connections').at(at)?.url.searchParams ?? [])
    expect(wanted(0)).toEqual({ user: 'ann', limit: '500' })
    fireEvent.click(screen.getByRole('button', { name: 'The next' }))
    await waitFor(() => expect(decodeURIComponent(address())).toContain('after=0123456789ab.2'))
    fireEvent.change(screen.getByLabelText('Server'), { target: { value: 'host:2:ba9876543210' } })
    fireEvent.change(screen.getByLabelText('Listens to'), { target: { value: 'room:1' } })
    await waitFor(() =>
      expect(wanted(-1)).toEqual({
        node: 'host:2:ba9876543210',
        user: 'ann',
        channel: 'room:1',
        limit: '500',
      }),
    )
    expect(decodeURIComponent(address())).not.toContain('after')

    fireEvent.click(screen.getByText('0123456789ab.1'))
    const detail = await screen.findByRole('dialog', { name: 'Connection' })
    within(detail).getByText(/7 messages, 2.0 KiB of them unread; nothing confirmed for 1.5 s/)
    expect(
      within(detail)
        .getAllByRole('listitem')
        .map(({ textContent }) => textContent),
    ).toEqual(['room:1', 'room:2'])
    within(detail).getByText('and 3 more')
    fireEvent.click(within(detail).getByRole('button', { name: 'Close connection…' }))
    const closing = await screen.findByRole('dialog', { name: 'Close the connection 0123456789ab.1' })
    fireEvent.click(within(closing).getByRole('button', { name: 'Close connection' }))
    await screen.findByText('Closed: 1008, closed by an operator. It comes back.')
    expect(askedFor('POST /realtime/connections/close')[0]?.body).toEqual({ id: '0123456789ab.1' })

    answer = { ...page, connections: [], next: null, silent: 0 }
    fireEvent.change(screen.getByLabelText('Whose'), { target: { value: 'nobody' } })
    await screen.findByText('No connection is like that')
    screen.getByText('npx tidemark connections')
  })

  test('a channel is chosen and joined as a user; what that user would hear is shown, and a refusal is said', async () => {
    const { address } = renderDashboard('/realtime?role=anon', {
      'GET /realtime': { figures: [], servers: [] },
      'GET /realtime/channels': { channels: [{ topic: 'room:1', private: true, listeners: 3 }], total: 1 },
    })
    fireEvent.click(await screen.findByText('room:1'))
    const field = (label: string) => screen.getByLabelText<HTMLInputElement>(label)
    expect([field('Channel').value, field('Kind').value]).toEqual(['room:1', 'private'])
    fireEvent.change(field('As'), { target: { value: 'authenticated' } })
    fireEvent.change(field('User id'), { target: { value: 'ann' } })
    fireEvent.change(field('Further claims'), { target: { value: '[]' } })
    expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Join' }).disabled).toBe(true)
    fireEvent.change(field('Further claims'), { target: { value: '{"a":1}' } })
    fireEvent.change(field('Changes of tables'), { target: { value: 'public.notes' } })
    fireEvent.click(screen.getByRole('button', { name: 'Join' }))
    await waitFor(() => expect(TestEventSource.opened).toHaveLength(1))
    const source = TestEventSource.opened[0]!
    const query = Object.fromEntries(new URL(source.url, 'http://x').searchParams)
    const as = { role: 'authenticated', user: 'ann', claims: '{"a":1}' }
    expect(query).toEqual({ topic: 'room:1', private: 'true', tables: 'public.notes', ...as })
    await waitFor(() => expect(address()).toMatch(/role=authenticated.*user=ann/))
    source.open()
    screen.getByText('joining')
    const told = (event: string, payload: unknown) => act(() => source.emit('message', { at, event, payload }))
    told('phx_reply', { status: 'ok', response: {} })
    told('broadcast', { event: 'said', payload: { text: '<b>hostile</b>' } })
    await screen.findByText('joined')
    fireEvent.click(await screen.findByText(/<b>hostile/))
    fireEvent.click(within(await screen.findByRole('dialog', { name: 'broadcast' })).getByRole('button', { name: 'Close' }))
    told('phx_reply', { status: 'error', response: { reason: 'Unauthorized: no' } })
    await screen.findByText('Unauthorized: no')
    fireEvent.click(screen.getByRole('button', { name: 'Leave' }))
    await screen.findByText('not joined')
    expect(source.readyState).toBe(TestEventSource.CLOSED)
  })

  test('a rate is of two readings of a counter, and a server that began anew has none', () => {
    const point = (seconds: number, frames: number) => ({ at: seconds * 1_000, connections: 1, frames })
    expect(ratesOf([point(0, 10), point(2, 30), point(4, 5), point(5, 6)])).toEqual([null, 10, null, 1])
  })
})
