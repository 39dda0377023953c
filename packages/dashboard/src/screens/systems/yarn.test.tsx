// @vitest-environment happy-dom
import { act, fireEvent, screen, waitFor, within } from '@testing-library/react'
import type { OperatorRole, YarnTurn, YarnView } from 'tidemark/admin'
import { describe, expect, test, vi } from 'vitest'
import { type Answers, failing, renderDashboard, session, TestEventSource } from '../../testing/render-dashboard.tsx'
import { shownForMs } from './use-yarn-words.ts'

const hostile = '<img src=x onerror="globalThis.ran = true">'
const at = '2026-11-22T10:00:00.000Z'

const yarn: YarnView = {
  id: 'abcdefgh',
  key: '7',
  state: 'worries',
  startedAt: at,
  lastAt: at,
  isCompleted: false,
  messages: 2,
  steps: 1,
  risks: 1,
}
const turn = (number: string, given: Partial<YarnTurn> = {}): YarnTurn => ({
  number,
  role: 'user',
  at,
  state: 'strengths',
  intent: null,
  risk: null,
  ...given,
})
const turns = [turn('7', { risk: { tier: 'high', resourcesShown: true } }), turn('8', { role: 'bot' })]

const list = { isPresent: true, database: null, states: { worries: 1 }, completed: 0, risksToday: 1, sessions: [yarn] }
const texts: Readonly<Record<string, string>> = {
  '7': hostile,
  '8': 'These people are ready to listen',
  '9': 'My nan',
  '10': 'And my uncle',
}

/** A yarn that goes on; its words are counted as they are asked for. */
const talking = () => {
  const said = [...turns]
  const answers: Answers = {
    'GET /systems/yarn': list,
    'GET /systems/yarn/course': () => ({ yarn: { ...yarn, messages: said.length }, turns: [...said] }),
    'POST /systems/yarn/words': () => ({ words: said.map(({ number }) => ({ number, text: texts[number]! })) }),
  }
  return { said, answers }
}

const as = (role: OperatorRole): Answers => ({ 'GET /session': { ...session, operator: { name: 'o', role } } })

const reveal = async (reason = 'A nurse asked'): Promise<void> => {
  fireEvent.change(await screen.findByLabelText('Why do you have to read it?'), { target: { value: reason } })
  fireEvent.click(screen.getByRole('button', { name: 'Show the words' }))
}

/** Everything that the page holds, as text. */
const kept = (client: { readonly asked: readonly { readonly url: URL }[] }): string =>
  [
    document.documentElement.outerHTML,
    JSON.stringify({ ...localStorage }),
    JSON.stringify({ ...sessionStorage }),
    ...client.asked.map(({ url }) => url.href),
  ].join('\n')

describe('a yarn', () => {
  test('is opened to its course: who, when, which step, what was noticed and shown, and no word', async () => {
    const view = renderDashboard('/systems?system=yarn', { ...talking().answers, ...as('operator') })
    fireEvent.click(await screen.findByText('abcdefgh…'))
    const dialog = within(await screen.findByRole('dialog', { name: 'The yarn abcdefgh…' }))
    const [first, second, ...none] = await dialog.findAllByRole('listitem')
    expect(none).toEqual([])
    within(first!).getByText('User')
    within(first!).getByText(/strengths/)
    within(first!).getByText('risk noticed: high')
    within(first!).getByText('resources were shown')
    within(second!).getByText('Bot')
    dialog.getByText('2 messages')
    dialog.getByText(/deleted 30 days after it began/)
    dialog.getByText(/shown to an admin alone/)
    expect(dialog.queryByRole('button', { name: 'Show the words' })).toBeNull()
    expect(view.address()).toContain('yarn=')
    expect(view.askedFor('POST /systems/yarn/words')).toEqual([])
    fireEvent.click(dialog.getByRole('button', { name: 'Close' }))
    await waitFor(() => expect(view.address()).not.toContain('yarn='))
  })

  test('shows an admin who says why its words, as text, until they are hidden; nothing of them stays', async () => {
    const view = renderDashboard('/systems?system=yarn&yarn=7', talking().answers)
    const show = await screen.findByRole<HTMLButtonElement>('button', { name: 'Show the words' })
    expect(show.disabled).toBe(true)
    fireEvent.change(screen.getByLabelText('Why do you have to read it?'), { target: { value: '   ' } })
    expect(show.disabled).toBe(true)
    await reveal()
    await screen.findByText(hostile)
    screen.getByText('These people are ready to listen')
    expect('ran' in globalThis).toBe(false)
    expect(view.askedFor('POST /systems/yarn/words').map(({ url, body }) => [url.search, body])).toEqual([
      ['', { key: '7', reason: 'A nurse asked' }],
    ])
    fireEvent.click(screen.getByRole('button', { name: 'Hide the words' }))
    await screen.findByRole('button', { name: 'Show the words' })
    expect(kept(view)).not.toMatch(/onerror|ready to listen/)
    expect(JSON.stringify(view.cached())).not.toMatch(/onerror|ready to listen|nurse/)
  })

  test('loses its words when it is closed: opened again, it asks again', async () => {
    const view = renderDashboard('/systems?system=yarn&yarn=7', talking().answers)
    await reveal()
    await screen.findByText(hostile)
    expect(JSON.stringify(view.cached())).not.toMatch(/onerror|ready to listen|nurse/)
    fireEvent.keyDown(screen.getByRole('dialog'), { key: 'Escape' })
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
    fireEvent.click(await screen.findByText('abcdefgh…'))
    await screen.findByRole('button', { name: 'Show the words' })
    expect(kept(view)).not.toMatch(/onerror|ready to listen/)
    expect(view.askedFor('POST /systems/yarn/words')).toHaveLength(1)
  })

  test('loses its words after some minutes, and says so', async () => {
    renderDashboard('/systems?system=yarn&yarn=7', talking().answers)
    await screen.findByRole('button', { name: 'Show the words' })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], shouldAdvanceTime: true })
    try {
      await reveal()
      await screen.findByText(hostile)
      await act(() => vi.advanceTimersByTimeAsync(shownForMs - 60_000))
      screen.getByText(hostile)
      await act(() => vi.advanceTimersByTimeAsync(60_000))
      expect(screen.queryByText(hostile)).toBeNull()
      await screen.findByText('What was said is hidden again.')
    } finally {
      vi.useRealTimers()
    }
  })

  test('keeps its words no longer for a page that slept, or was put aside', async () => {
    renderDashboard('/systems?system=yarn&yarn=7', talking().answers)
    await reveal()
    await screen.findByText(hostile)
    act(() => void window.dispatchEvent(new Event('pagehide')))
    expect(screen.queryByText(hostile)).toBeNull()
    await reveal()
    await screen.findByText(hostile)
    act(() => void document.dispatchEvent(new Event('visibilitychange')))
    screen.getByText(hostile)
    const over = Date.now() + shownForMs
    vi.spyOn(Date, 'now').mockReturnValue(over)
    act(() => void document.dispatchEvent(new Event('visibilitychange')))
    expect(screen.queryByText(hostile)).toBeNull()
  })

  test('goes on as the feed tells; words of what is new come while they are shown, and not before', async () => {
    const { said, answers } = talking()
    const view = renderDashboard('/systems?system=yarn&yarn=7', answers)
    await screen.findByText('2 messages')
    await waitFor(() => expect(TestEventSource.opened).toHaveLength(1))
    const source = TestEventSource.opened[0]!
    source.open()
    act(() => source.emit('listening', { systems: ['yarn'] }))
    await screen.findByText('by the feed')
    const next = async (number: string, total: string): Promise<void> => {
      said.push(turn(number))
      act(() => source.emit('changed', { systems: ['yarn'] }))
      await screen.findByText(total)
    }
    await next('9', '3 messages')
    expect(view.askedFor('POST /systems/yarn/words')).toEqual([])
    await reveal()
    await screen.findByText('My nan')
    await next('10', '4 messages')
    await screen.findByText('And my uncle')
    expect(view.askedFor('POST /systems/yarn/words').map(({ body }) => (body as { readonly reason: string }).reason)).toEqual([
      'A nurse asked',
      'A nurse asked',
    ])
  })

  test('says what refuses its words, and shows none', async () => {
    renderDashboard('/systems?system=yarn&yarn=7', {
      ...talking().answers,
      'POST /systems/yarn/words': () => failing(503, 'TM_SERVER_AUDIT', 'The audit log does not take this look.'),
    })
    await reveal()
    await screen.findByText('The audit log does not take this look.')
    screen.getByRole('button', { name: 'Show the words' })
  })

  test('that was deleted is said to be, with the days after which that is', async () => {
    renderDashboard('/systems?system=yarn&yarn=7', {
      'GET /systems/yarn': list,
      'GET /systems/yarn/course': { yarn: null, turns: [] },
    })
    const dialog = within(await screen.findByRole('dialog'))
    await dialog.findByText('This yarn is not kept any more')
    dialog.getByText(/30 days/)
    expect(dialog.queryByRole('button', { name: 'Show the words' })).toBeNull()
  })

  test('in which nothing was said is not opened', async () => {
    const view = renderDashboard('/systems?system=yarn', {
      'GET /systems/yarn': { ...list, sessions: [{ ...yarn, key: null, messages: 0 }] },
    })
    fireEvent.click(await screen.findByText('abcdefgh…'))
    await screen.findByText('Nothing was said in it yet.')
    expect(view.address()).not.toContain('yarn=7')
  })
})
