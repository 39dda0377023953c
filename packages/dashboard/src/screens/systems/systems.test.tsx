// @vitest-environment happy-dom
import { act, fireEvent, screen, waitFor, within } from '@testing-library/react'
import type { OwnMessage } from 'tidemark/admin'
import { describe, expect, test } from 'vitest'
import { failing, renderDashboard, session, TestEventSource } from '../../testing/render-dashboard.tsx'
import { dayOf, spanOf } from './tours.tsx'

const hostile = '<img src=x onerror="globalThis.ran = true">'
const at = '2026-11-22T10:00:00.000Z'

const stop = {
  id: 's1',
  address: hostile,
  status: 'completed',
  arrival: at,
  departure: at,
  arrivedAt: at,
  confirmation: 'confirmed',
  tasks: 2,
  tasksDone: 1,
}
const tours = {
  isPresent: true,
  database: null,
  tours: [
    { id: 't1', agent: 'ann', start: at, end: at, status: 'in_progress', crm: 'failed', crmError: 'no answer', stops: [stop] },
  ],
  states: { scheduled: 4 },
  crm: { failed: 1 },
  untold: 3,
}

describe('systems', () => {
  test('the day board shows tours with their stops, and another day by its buttons', async () => {
    const { askedFor, address } = renderDashboard('/systems?day=2026-11-22', { 'GET /systems/tours': tours })
    await screen.findByRole('heading', { name: 'ann' })
    screen.getByText(hostile)
    screen.getByText('1 of 2 tasks')
    screen.getByText('no answer')
    expect('ran' in globalThis).toBe(false)
    fireEvent.click(screen.getByRole('button', { name: 'The day after' }))
    await waitFor(() => expect(address()).toContain('2026-11-23'))
    await waitFor(() =>
      expect(askedFor('GET /systems/tours').at(-1)?.url.searchParams.get('from')).toBe(spanOf('2026-11-23').from),
    )
    fireEvent.click(screen.getByRole('button', { name: 'Today' }))
    await waitFor(() => expect(address()).not.toContain('day='))
  })

  test('a change of the feed brings what is there now, however many come at once', async () => {
    let asked = 0
    renderDashboard('/systems', { 'GET /systems/tours': () => ({ ...tours, untold: ++asked }) })
    await screen.findByRole('heading', { name: 'ann' })
    await waitFor(() => expect(TestEventSource.opened).toHaveLength(1))
    const source = TestEventSource.opened[0]!
    expect(source.url).toBe('/admin/v1/systems/changes')
    source.open()
    screen.getByText('every 5 s')
    const first = asked
    act(() => source.emit('listening', { systems: ['chat', 'tours'] }))
    await screen.findByText('by the feed')
    // What was committed before somebody listened.
    await waitFor(() => expect(asked).toBeGreaterThan(first))
    const before = asked
    act(() => {
      for (let n = 0; n < 500; n++) source.emit('changed', { systems: ['tours'] })
    })
    await waitFor(() => expect(asked).toBe(before + 1))
    act(() => source.emit('changed', { systems: ['chat'] }))
    act(() => source.emit('error', { code: 'TM_FEED_TABLE', message: 'no' }))
    await screen.findByText('every 5 s')
  })

  test('leads by stage, and the inbox of approvals', async () => {
    const lead = { id: 'l1', name: hostile, source: 'web', status: 'new', agent: null, since: at, blocked: 'dnc' }
    const approval = {
      id: 'a1',
      lead: 'Lea',
      channel: 'email',
      subject: 'Hello',
      status: 'pending',
      score: 0.9,
      at,
      expiresAt: at,
      error: null,
    }
    renderDashboard('/systems?system=leads', {
      'GET /systems/leads': {
        isPresent: true,
        database: null,
        stages: { new: 7 },
        leads: [lead],
        approvals: { pending: 1, sent: 3 },
        inbox: [approval],
      },
    })
    const stage = await screen.findByRole('region', { name: 'new' })
    within(stage).getByText('and 6 more')
    within(stage).getByText('not to be contacted: dnc')
    within(stage).getByText(hostile)
    screen.getByText('Hello')
    within(screen.getByRole('list', { name: 'Approvals by state' })).getByText('sent')
  })

  test('an approval is read and decided on: what is approved is the words that were shown', async () => {
    const row = {
      id: 'a1',
      lead: 'Lea',
      channel: 'email',
      subject: 'Hello',
      status: 'pending',
      score: null,
      at,
      expiresAt: null,
      error: null,
    }
    const words = {
      id: 'a1',
      lead: 'Lea',
      channel: 'email',
      to: 'lea@example.com',
      subject: 'Hello',
      text: hostile,
      hash: 'h1',
      author: 'bot',
      editor: null,
      error: null,
    }
    let status = 'pending'
    const { askedFor, address } = renderDashboard('/systems?system=leads', {
      'GET /systems/leads': { isPresent: true, database: null, stages: {}, leads: [], approvals: {}, inbox: [row] },
      'GET /systems/approval': () => ({ ...words, status }),
      'POST /systems/act': ({ body }) => {
        status = (body as { readonly action: string }).action === 'approve' ? 'approved' : status
        return { status }
      },
    })
    fireEvent.click(await screen.findByText('Hello'))
    const dialog = await screen.findByRole('dialog', { name: 'For Lea' })
    within(dialog).getByText(hostile)
    expect(address()).toContain('approval=a1')
    const button = (name: string) => within(dialog).getByRole<HTMLButtonElement>('button', { name })
    expect(button('Send').disabled).toBe(true)
    fireEvent.click(button('Approve'))
    await waitFor(() => expect(button('Send').disabled).toBe(false))
    expect(button('Approve').disabled).toBe(true)
    fireEvent.click(button('Send'))
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
    expect(askedFor('POST /systems/act').map(({ body }) => body)).toEqual([
      { action: 'approve', id: 'a1', hash: 'h1' },
      { action: 'send', id: 'a1' },
    ])
  })

  test('an approval is rejected with a reason, and not without', async () => {
    const { askedFor } = renderDashboard('/systems?system=leads&approval=a1', {
      'GET /systems/leads': { isPresent: true, database: null, stages: {}, leads: [], approvals: {}, inbox: [] },
      'GET /systems/approval': {
        id: 'a1',
        lead: 'Lea',
        channel: 'sms',
        to: '+61400000000',
        subject: null,
        text: 'Hi',
        hash: 'h1',
        author: 'bot',
        editor: 'eve',
        status: 'pending',
        error: null,
      },
      'POST /systems/act': { status: 'rejected' },
    })
    await screen.findByText('bot, changed by eve')
    fireEvent.click(screen.getByRole('button', { name: 'Reject…' }))
    const dialog = await screen.findByRole('dialog', { name: 'Reject' })
    const reject = within(dialog).getByRole<HTMLButtonElement>('button', { name: 'Reject' })
    expect(reject.disabled).toBe(true)
    fireEvent.change(within(dialog).getByLabelText('Reason'), { target: { value: 'Not now' } })
    fireEvent.click(reject)
    await screen.findByText('Rejected.')
    expect(askedFor('POST /systems/act')[0]?.body).toEqual({ action: 'reject', id: 'a1', reason: 'Not now' })
  })

  test('yarns and chats, by their states and counts', async () => {
    const yarn = {
      id: 'abcdefgh',
      key: '7',
      state: 'worries',
      startedAt: at,
      lastAt: at,
      isCompleted: false,
      messages: 4,
      steps: 2,
      risks: 1,
    }
    renderDashboard('/systems?system=yarn', {
      'GET /systems/yarn': {
        isPresent: true,
        database: null,
        states: { worries: 1 },
        completed: 2,
        risksToday: 1,
        sessions: [yarn],
      },
      'GET /systems/chat': {
        isPresent: true,
        database: null,
        states: { active: 1 },
        messagesLastHour: 12,
        sessions: [{ id: 'c1', user: 'u1', status: 'active', messages: 5, lastAt: null, startedAt: at, undoUntil: at }],
      },
    })
    await screen.findByText('abcdefgh…')
    screen.getByText('noticed once')
    screen.getByText('2 of 4')
    fireEvent.mouseDown(screen.getByRole('tab', { name: 'Chats' }), { button: 0 })
    await screen.findByText('none yet')
    screen.getByText('u1')
  })

  test('what the operator says stands there at once, marked until it is kept; what was not can be sent again', async () => {
    const kept: OwnMessage[] = []
    let [isAway, answer] = [false, (): void => undefined]
    const { askedFor } = renderDashboard('/systems?system=chat', {
      'GET /systems/chat': { isPresent: true, database: null, states: {}, messagesLastHour: 0, sessions: [] },
      'GET /systems/chat/own': () => ({ id: 'c1', messages: kept }),
      'POST /systems/chat/say': async ({ body }) => {
        await new Promise<void>((resolve) => {
          answer = resolve
        })
        if (isAway) return failing(400, 'TM_SERVER_BAD_REQUEST', 'It is away.')
        const { payload, clientId } = body as { readonly payload: string; readonly clientId: string }
        kept.push({ id: clientId, clientId, role: 'user', text: payload, at })
        return { id: 'c1', messages: [...kept] }
      },
    })
    const own = within(await screen.findByRole('log', { name: 'Your own chat' }))
    const say = async (text: string): Promise<void> => {
      fireEvent.change(screen.getByLabelText('Say something'), { target: { value: text } })
      fireEvent.click(screen.getByRole('button', { name: 'Send' }))
      await own.findByText('on its way …')
    }
    await say(hostile)
    own.getByText(hostile)
    expect(screen.getByLabelText<HTMLInputElement>('Say something').value).toBe('')
    answer()
    await waitFor(() => expect(own.queryByText('on its way …')).toBeNull())
    expect(own.getAllByText(hostile)).toHaveLength(1)
    isAway = true
    await say('Later')
    answer()
    await own.findByText('Not sent: It is away.')
    isAway = false
    fireEvent.click(own.getByRole('button', { name: 'Send again' }))
    await own.findByText('on its way …')
    answer()
    await waitFor(() => expect(own.queryByText('on its way …')).toBeNull())
    own.getByText('Later')
    const [, first, second] = askedFor('POST /systems/chat/say').map(({ body }) => body)
    expect(second).toEqual(first)
    expect('ran' in globalThis).toBe(false)
  })

  test('agents with their executions, and charts of how they do', async () => {
    const agent = {
      id: 'writer-1',
      type: 'content_generator',
      status: 'busy',
      reason: 'slow',
      task: 't1',
      beatAt: at,
      completed: 3,
      failed: 1,
    }
    const execution = {
      task: 't1',
      type: 'content_generator',
      kind: 'write',
      status: 'failed',
      priority: 'high',
      at,
      seconds: 2.5,
      score: 0.5,
      retries: 1,
      error: hostile,
    }
    const metrics = [0, 1].map((n) => ({
      at: new Date(Date.parse(at) + n * 60_000).toISOString(),
      completed: 3,
      failed: n,
      seconds: 1.5,
      score: null,
    }))
    renderDashboard('/systems?system=agents', {
      'GET /systems/agents': {
        isPresent: true,
        database: null,
        agents: [agent],
        states: { busy: 1 },
        tasks: { failed: 1 },
        executions: [execution],
        metrics,
      },
    })
    await screen.findByRole('heading', { name: 'writer-1' })
    screen.getByRole('img', { name: 'Tasks that were done and that failed, over time' })
    screen.getByText(hostile)
    screen.getByText('2.5 s')
    expect('ran' in globalThis).toBe(false)
    expect(screen.queryByText('There is nothing to draw yet')).toBeNull()
  })

  test('agents that told nothing of how they do have no chart, and that is said', async () => {
    renderDashboard('/systems?system=agents', {
      'GET /systems/agents': { isPresent: true, database: null, agents: [], states: {}, tasks: {}, executions: [], metrics: [] },
    })
    await screen.findByText('There is nothing to draw yet')
    screen.getByText('No agent has told of itself')
  })

  test('an application that is not there names the commands that bring it', async () => {
    const absent = { isPresent: false, database: null }
    renderDashboard('/systems', {
      'GET /systems/tours': { ...tours, ...absent },
      'GET /systems/agents': { ...absent, agents: [], states: {}, tasks: {}, executions: [], metrics: [] },
    })
    await screen.findByText('REanna Router is not in this database')
    screen.getByText('npx tidemark schema up --migrations apps/reanna-router/migrations')
    expect(TestEventSource.opened).toHaveLength(0)
    fireEvent.mouseDown(screen.getByRole('tab', { name: 'Agents' }), { button: 0 })
    await screen.findByText('Agents is not in this database')
  })

  test('whoever may only look sees none of it', async () => {
    renderDashboard('/systems', { 'GET /session': { ...session, operator: { name: 'v', role: 'viewer' } } })
    await screen.findByText(/this needs the role operator/)
  })
})

test('a day is one of the calendar, where the reader is', () => {
  const { from, to } = spanOf('2026-03-01')
  expect([dayOf(new Date(from)), dayOf(new Date(to))]).toEqual(['2026-03-01', '2026-03-02'])
})
