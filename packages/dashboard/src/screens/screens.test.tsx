// @vitest-environment happy-dom
import { act, fireEvent, screen, waitFor, within } from '@testing-library/react'
import { describe, expect, test } from 'vitest'
import { alert, attempt, change, detail, event, node } from '../testing/answers.ts'
import { type Answers, failing, renderDashboard, session, TestEventSource } from '../testing/render-dashboard.tsx'
import { familiesOf } from './cache/cache-screen.tsx'
import { added, maxRows } from './feed/tail.ts'
import { pretty } from './webhooks/pretty.ts'

const slot = {
  name: 'tidemark',
  state: 'idle',
  temporary: false,
  behindBytes: 1_048_576,
  headroomBytes: null,
  walStatus: null,
  lost: null,
} as const
const feedNode = {
  role: 'reading',
  epoch: 'e',
  streamEpoch: null,
  problem: null,
  freshnessMs: 12,
  followers: [{ name: 'cache', state: 'holding', queuedBytes: 2_048, workingMs: 0, failures: 0, lastError: null }],
} as const
const lag = {
  node: feedNode,
  slots: [slot],
  outbox: [{ reader: 'r', rows: 4 }],
  followers: [{ name: 'mirror', position: 'wal:1/2', updatedAt: '2026-11-22T10:00:00Z' }],
  stream: { name: 's', entries: 12, beating: false },
}

describe('the feed', () => {
  test('changes come as they are made, and one shows its row before and after and what it touched', async () => {
    renderDashboard('/feed', { 'GET /feed/lag': lag, 'GET /cache/touched': { entries: ['messages'] } })
    await screen.findByText('Nothing was changed since this screen was opened')
    const source = TestEventSource.opened[0]!
    expect(source.url).toBe('/admin/v1/feed/tail')
    source.open()
    // The connection is there, and the slot is not.
    screen.getByText('connecting')
    act(() => source.emit('listening', {}))
    act(() => {
      for (let n = 0; n < 3; n++) source.emit('change', change({ new: { id: String(n), state: 'paid' } }))
      source.emit('change', change({ table: 'public.api_metrics', kind: 'insert' }))
      source.emit('reset', { type: 'reset', reason: 'start', position: 'p' })
      source.emit('reset', { type: 'reset', reason: 'a new epoch', position: 'p' })
    })
    await screen.findByText('live, 4 seen')
    screen.getByText('a new epoch')
    expect(screen.queryByText('public.api_metrics')).toBeNull()
    fireEvent.click(screen.getByText('id 2 · state paid'))
    const dialog = await screen.findByRole('dialog', { name: 'update in public.orders' })
    await within(dialog).findByText('messages')
    within(dialog).getByText('cache, mirror')
    within(dialog).getByText('new')
    fireEvent.click(within(dialog).getByRole('button', { name: 'Close' }))
    fireEvent.click(screen.getByRole('button', { name: 'Clear the list' }))
    await screen.findByText('Nothing was changed since this screen was opened')
  })

  test('tables are chosen in the address, and an error of the stream is said', async () => {
    const { address } = renderDashboard('/feed', { 'GET /feed/lag': lag })
    const field = await screen.findByLabelText('Only these tables')
    fireEvent.change(field, { target: { value: 'orders' } })
    screen.getByText('Names as schema.table, separated by commas.')
    fireEvent.change(field, { target: { value: 'public.orders' } })
    fireEvent.submit(field)
    await waitFor(() => expect(address()).toBe('/feed?tables=public.orders'))
    await waitFor(() => expect(TestEventSource.opened.at(-1)?.url).toBe('/admin/v1/feed/tail?tables=public.orders'))
    act(() => TestEventSource.opened.at(-1)?.emit('error', { code: 'TM_FEED_TABLE', message: 'no such table' }))
    expect((await screen.findByRole('alert')).textContent).toContain('no such table')
    const before = TestEventSource.opened.length
    await waitFor(() => expect(TestEventSource.opened.length).toBe(before + 1))
    act(() => TestEventSource.opened.at(-1)?.emit('listening', {}))
    await waitFor(() => expect(screen.queryByRole('alert')).toBeNull())
  })

  test('a stream that is refused says why; one that a starting server refuses is opened again; whoever only looks hears nothing', async () => {
    let answer = () => failing(503, 'TM_SERVER_STARTING', 'The server is starting.')
    const view = renderDashboard('/feed', { 'GET /feed/lag': lag, 'GET /feed/tail': () => answer() } as Answers)
    await screen.findByText('connecting')
    TestEventSource.opened[0]!.refuse()
    await screen.findByText('not listening')
    await waitFor(() => expect(TestEventSource.opened).toHaveLength(2))
    answer = () => failing(400, 'TM_SERVER_BAD_REQUEST', 'No table is called that.')
    TestEventSource.opened[1]!.refuse()
    expect((await screen.findByRole('alert')).textContent).toContain('No table is called that.')
    view.unmount()
    const viewer = { ...session, operator: { name: 'v', role: 'viewer' } } as const
    renderDashboard('/feed', { 'GET /session': viewer, 'GET /feed/lag': lag })
    await screen.findByText(/to see them takes the role operator/)
    expect(TestEventSource.opened).toEqual([])
  })

  test('lag, followers and slots; a slot is dropped after its name was typed', async () => {
    const { askedFor } = renderDashboard('/feed', { 'GET /feed/lag': lag, 'DELETE /feed/slots/:name': { dropped: 'tidemark' } })
    await screen.findByText('1.0 MiB', { selector: 'dd' })
    screen.getByText('silent')
    screen.getByText('holding')
    fireEvent.click(screen.getByRole('button', { name: 'Drop the slot tidemark' }))
    const dialog = await screen.findByRole('dialog')
    fireEvent.change(within(dialog).getByLabelText('Type tidemark to confirm'), { target: { value: 'tidemark' } })
    fireEvent.click(within(dialog).getByRole('button', { name: 'Drop' }))
    await waitFor(() => expect(askedFor('DELETE /feed/slots/:name')[0]?.url.pathname).toBe('/admin/v1/feed/slots/tidemark'))
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  })

  test('the list is bounded, the newest first', () => {
    const events = Array.from({ length: 3 }, (_none, n) => ({ type: 'change', id: '', data: n }))
    const rows = added([], 10, events)
    expect(rows.map(({ n }) => n)).toEqual([12, 11, 10])
    const many = added(
      rows,
      13,
      Array.from({ length: maxRows }, () => events[0]!),
    )
    expect(many).toHaveLength(maxRows)
    expect(many[0]?.n).toBe(12 + maxRows)
  })
})

describe('the cache', () => {
  test('families of all nodes together, with what the sampler found', async () => {
    renderDashboard('/cache', { 'GET /cache': { scope: 'all nodes', nodes: [node('a'), node('b', 1)] } })
    await screen.findByText('chat:messages:{session_id}')
    screen.getByText('1 stale of 40')
    expect(familiesOf({ scope: 'all nodes', nodes: [node('a'), node('b')] })[0]).toMatchObject({ memory: 160, keys: 10 })
  })

  test('a key is looked at, with its value as text', async () => {
    const key = {
      key: 'chat:messages:1',
      entry: 'messages',
      redis: 'up',
      memory: { bytes: 10, ageMs: 5, freshForMs: 100 },
    } as const
    const held = {
      bytes: 20,
      encrypted: true,
      ageMs: 5,
      freshForMs: 1,
      keptForMs: 2,
      asOf: '1',
      isCurrent: false,
      tags: ['x'],
      value: { a: '<script>' },
      problem: null,
    }
    const { address } = renderDashboard('/cache', {
      'GET /cache': { scope: 'nothing', nodes: [] },
      'GET /cache/key': { ...key, held },
    })
    const field = await screen.findByLabelText('Key')
    fireEvent.change(field, { target: { value: 'chat:messages:1' } })
    fireEvent.submit(field)
    await waitFor(() => expect(address()).toBe('/cache?key=chat%3Amessages%3A1'))
    await screen.findByText(/"<script>"/)
    screen.getByText('It is of an earlier epoch, and is not answered any more.')
    screen.getByText('20 B, encrypted, read 5 ms ago, kept for 2 ms')
  })

  test('an eviction is previewed, and everything asks for a word', async () => {
    const report = { kind: 'all', name: '', dryRun: true, entries: ['messages'], nodes: 2 } as const
    const { askedFor, address } = renderDashboard('/cache?evict=tag&name=a+b', {
      'GET /cache': { scope: 'nothing', nodes: [] },
      'POST /cache/evict': report,
    })
    expect(await screen.findByLabelText('Name')).toHaveProperty('value', 'a b')
    fireEvent.change(screen.getByLabelText('Name'), { target: { value: 'blue' } })
    await waitFor(() => expect(address()).toBe('/cache?evict=tag&name=blue'))
    fireEvent.change(screen.getByLabelText('What'), { target: { value: 'all' } })
    await waitFor(() => expect(address()).toBe('/cache?evict=all&name=blue'))
    fireEvent.click(screen.getByRole('button', { name: 'Preview…' }))
    const dialog = await screen.findByRole('dialog')
    within(dialog).getByText('It concerns messages, on 2 nodes.')
    fireEvent.change(within(dialog).getByLabelText('Type everything to confirm'), { target: { value: 'everything' } })
    fireEvent.click(within(dialog).getByRole('button', { name: 'Evict' }))
    await waitFor(() =>
      expect(askedFor('POST /cache/evict').map(({ body }) => body)).toEqual([{ all: true, dryRun: true }, { all: true }]),
    )
  })
})

describe('alerts', () => {
  const report = (more: object = {}) => ({
    alerts: [alert()],
    silences: [{ id: 's1', matchers: ['alert_type=disk'], author: 'ann', comment: 'moving', ends_at: '2099-01-01T00:00:00Z' }],
    channels: ['ops'],
    ...more,
  })

  test('from firing to silenced', async () => {
    const { askedFor, address } = renderDashboard('/alerts', {
      'GET /alerts': report(),
      'POST /alerts/ack': alert({ status: 'acknowledged' }),
      'POST /alerts/silence': report().silences[0]!,
    })
    fireEvent.click(await screen.findByText('Disk is at 91 %'))
    await waitFor(() => expect(address()).toContain('id=a1b2c3'))
    const dialog = await screen.findByRole('dialog', { name: 'disk' })
    within(dialog).getByText('zone')
    fireEvent.click(within(dialog).getByRole('button', { name: 'Acknowledge' }))
    await waitFor(() => expect(askedFor('POST /alerts/ack')[0]?.body).toEqual({ id: 'a1b2c3' }))
    fireEvent.click(within(dialog).getByRole('button', { name: 'Silence…' }))
    const silence = await screen.findByRole('dialog', { name: 'Silence' })
    expect(within(silence).getByLabelText('What fits')).toHaveProperty('value', 'alert_type=disk')
    fireEvent.change(within(silence).getByLabelText('For'), { target: { value: '4h' } })
    await waitFor(() => expect(address()).toBe('/alerts?form=silence&fits=alert_type%3Ddisk&for=4h'))
    fireEvent.change(within(silence).getByLabelText('Comment'), { target: { value: 'moving' } })
    fireEvent.click(within(silence).getByRole('button', { name: 'Silence' }))
    await waitFor(() =>
      expect(askedFor('POST /alerts/silence')[0]?.body).toEqual({
        matchers: ['alert_type=disk'],
        comment: 'moving',
        forMs: 14_400_000,
      }),
    )
    await screen.findByText('Silenced for 4 h.')
    await waitFor(() => expect(address()).toBe('/alerts'))
  })

  test('silences end, channels are tested, rules are listed', async () => {
    const { askedFor } = renderDashboard('/alerts?tab=silences', {
      'GET /alerts': report(),
      'POST /alerts/unsilence': report().silences[0]!,
      'POST /alerts/test': { channel: 'ops', delivered: true, tookMs: 12 },
      'GET /alerts/rules': {
        rules: [
          {
            name: 'disk-full',
            severity: 'critical',
            says: 'The disk is full',
            entityType: 'host',
            forMs: 60_000,
            everyMs: 2_000,
            mutes: [],
          },
        ],
      },
    })
    fireEvent.click(await screen.findByRole('button', { name: 'End' }))
    await waitFor(() => expect(askedFor('POST /alerts/unsilence')[0]?.body).toEqual({ id: 's1' }))
    fireEvent.mouseDown(screen.getByRole('tab', { name: /Channels/ }), { button: 0 })
    fireEvent.click(await screen.findByRole('button', { name: 'Send a test' }))
    await screen.findByText('ops took the test in 12 ms.')
    fireEvent.mouseDown(screen.getByRole('tab', { name: 'Rules' }), { button: 0 })
    await screen.findByText('The disk is full')
  })

  test('another state is asked for by the address', async () => {
    const { askedFor, address } = renderDashboard('/alerts', { 'GET /alerts': report({ alerts: [] }) })
    await screen.findByText('No alert is open')
    fireEvent.change(screen.getByLabelText('Show'), { target: { value: 'resolved' } })
    await waitFor(() => expect(address()).toBe('/alerts?status=resolved'))
    await waitFor(() => expect(askedFor('GET /alerts').at(-1)?.url.searchParams.get('status')).toBe('resolved'))
  })
})

describe('webhooks', () => {
  const list = { counts: [{ status: 'dead', reason: 'attempts', events: 2 }], events: [event()] } as const
  const replay = {
    id: 'r1',
    actor: 'ann',
    selection: {},
    selected: 4,
    sent: 1,
    status: 'running',
    error: null,
    edited: false,
    createdAt: '2026-11-22T10:00:00Z',
    finishedAt: null,
  } as const

  test('filters live in the address and reach the server', async () => {
    const { askedFor, address } = renderDashboard('/webhooks?status=dead', {
      'POST /hooks/list': list,
      'GET /hooks/replays': { replays: [replay] },
    })
    await screen.findByText('look at them')
    fireEvent.change(screen.getByLabelText('Provider'), { target: { value: 'github' } })
    await waitFor(() => expect(address()).toBe('/webhooks?status=dead&provider=github'))
    await waitFor(() =>
      expect(askedFor('POST /hooks/list').at(-1)?.body).toEqual({ status: ['dead'], provider: 'github', limit: 500 }),
    )
    expect((await screen.findByRole('progressbar', { name: 'Sent of replay r1' })).getAttribute('aria-valuenow')).toBe('25')
  })

  test('F17: a replay of what is shown counts first', async () => {
    let dry = true
    const { askedFor } = renderDashboard('/webhooks?status=dead', {
      'POST /hooks/list': list,
      'GET /hooks/replays': { replays: [] },
      'POST /hooks/replay': ({ body }) => {
        dry = (body as { readonly dryRun?: boolean }).dryRun ?? false
        return { dryRun: dry, selected: 2, replay: dry ? undefined : { ...replay, again: false } }
      },
    })
    fireEvent.click(await screen.findByRole('button', { name: 'Replay what is shown…' }))
    const dialog = await screen.findByRole('dialog')
    within(dialog).getByText(/^2 events would be sent through again/)
    fireEvent.click(within(dialog).getByRole('button', { name: 'Replay' }))
    await screen.findByText('2 events on the way.')
    expect(askedFor('POST /hooks/replay').map(({ body }) => body)).toEqual([
      { status: ['dead'], dryRun: true },
      { status: ['dead'] },
    ])
  })

  test('one event: its signature, its error, its body; and once more through', async () => {
    const { askedFor } = renderDashboard(`/webhooks?id=${event().id}`, {
      'POST /hooks/list': list,
      'GET /hooks/replays': { replays: [] },
      'GET /hooks/show': detail(),
      'POST /hooks/replay': { dryRun: false, selected: 1, replay: undefined },
    })
    const dialog = await screen.findByRole('dialog')
    await within(dialog).findByText('verified')
    within(dialog).getByText('boom')
    fireEvent.click(within(dialog).getByRole('button', { name: 'Replay' }))
    await waitFor(() => expect(askedFor('POST /hooks/replay')[0]?.body).toEqual({ ids: [event().id], status: ['dead'] }))
    expect(pretty({ raw: '{"id":9007199254740993}', rawEncoding: 'utf8' })).toBe('{"id":9007199254740993}')
    expect(pretty({ raw: 'no json', rawEncoding: 'utf8' })).toBe('no json')
    expect(pretty({ raw: 'AA==', rawEncoding: 'base64' })).toBe('AA==')
  })

  test('an event goes through with an edited body; what came and what was written are shown, and only the text is sent', async () => {
    const raw = '{"id": 9007199254740993}'
    const edit = { replayId: 'r1', actor: 'ann', at: event().receivedAt, raw: '{"a":2}', rawEncoding: 'utf8' } as const
    let shown = detail({ raw })
    const { askedFor } = renderDashboard(`/webhooks?id=${event().id}`, {
      'POST /hooks/list': list,
      'GET /hooks/replays': { replays: [{ ...replay, edited: true }] },
      'GET /hooks/show': () => shown,
      'POST /hooks/replay': () => {
        shown = detail({ raw, edited: true, edits: [edit] })
        return { dryRun: false, selected: 1, replay: undefined }
      },
    })
    await screen.findByText('verified')
    fireEvent.click(screen.getByRole('button', { name: 'Edit and replay…' }))
    const dialog = await screen.findByRole('dialog', { name: 'Replay with an edited body' })
    const body = within(dialog).getByLabelText<HTMLTextAreaElement>('Body')
    expect(body.value).toBe(raw)
    const send = within(dialog).getByRole<HTMLButtonElement>('button', { name: 'Replay edited' })
    expect(send.disabled).toBe(true)
    fireEvent.change(body, { target: { value: '{"a":2}' } })
    fireEvent.click(send)
    await screen.findByText('Edited bodies')
    expect(askedFor('POST /hooks/replay')[0]?.body).toEqual({ ids: [event().id], payload: '{"a":2}' })
    screen.getByText('Body, as it came')
    screen.getByText(raw)
    screen.getByText('ann', { exact: false, selector: 'summary' })
  })

  test('R67: each attempt has its line: what it came to, when, how long, where; stacks are folded', async () => {
    const attemptLog = [
      attempt({ outcome: 'worker_ended', beganAt: null, durationMs: null, message: null, stack: null }),
      attempt({ outcome: 'breaker_open', code: 'TM_RESILIENCE_BREAKER_OPEN', nextAt: '2026-11-22T10:00:01.250Z' }),
      attempt({ attempt: 2, replayId: 'r1-and-more', deadReason: 'attempts', durationMs: 4_200 }),
    ]
    const edit = { replayId: 'r1-and-more', actor: 'ann', at: event().receivedAt, raw: '{}', rawEncoding: 'utf8' } as const
    renderDashboard(`/webhooks?id=${event().id}`, {
      'POST /hooks/list': list,
      'GET /hooks/replays': { replays: [] },
      'GET /hooks/show': detail({ attemptLog, attemptsLeftOut: 7, edits: [edit] }),
    })
    const lines = within(await screen.findByRole('list', { name: 'Attempts' })).getAllByRole('listitem')
    const [ended, skipped, last] = lines.map(({ textContent }) => textContent)
    expect(lines).toHaveLength(3)
    expect(ended).toMatch(/its worker ended.*not counted.*Noticed 2026-11-22T10:00:00.000Z.*on host:1:ab/)
    expect(ended).not.toContain('took')
    expect(skipped).toMatch(/breaker is open.*Began .*took 12 ms.*due 2026-11-22T10:00:01.250Z.*TM_RESILIENCE_BREAKER_OPEN boom/)
    expect(last).toMatch(/Attempt 2 of replay r1-and-m, with the body of ann failed, the last \(attempts\).*took 4.2 s/)
    expect(within(lines[1]!).getByText('Stack').closest('details')?.open).toBe(false)
    screen.getByText('7 attempts before these left out.')
  })

  test('an event on its way cannot be sent again', async () => {
    renderDashboard(`/webhooks?id=${event().id}`, {
      'POST /hooks/list': list,
      'GET /hooks/replays': { replays: [] },
      'GET /hooks/show': detail({ status: 'processing', reason: null, error: null }),
    })
    await screen.findByText('verified')
    for (const name of ['Replay', 'Edit and replay…'])
      expect(screen.getByRole<HTMLButtonElement>('button', { name }).disabled).toBe(true)
  })

  test('an event that is gone says so', async () => {
    renderDashboard('/webhooks?id=x', {
      'POST /hooks/list': { counts: [], events: [] },
      'GET /hooks/replays': { replays: [] },
      'GET /hooks/show': () => failing(404, 'TM_WEBHOOKS_NOT_FOUND', 'There is no such event.'),
    })
    expect((await screen.findByRole('alert')).textContent).toContain('There is no such event.')
    screen.getByText('No event fits')
  })
})
