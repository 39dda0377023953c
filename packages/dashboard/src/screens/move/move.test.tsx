// @vitest-environment happy-dom
import { act, fireEvent, screen, waitFor, within } from '@testing-library/react'
import type { Gate, MoveBoard } from 'tidemark/admin'
import { describe, expect, test } from 'vitest'
import { board, job, move, plan } from '../../testing/answers.ts'
import { failing, renderDashboard, session, TestEventSource } from '../../testing/render-dashboard.tsx'
import { adviceOf } from './advice.ts'
import { lineOf } from './job-activity.tsx'
import { rateOf, timeLeft } from './rates.ts'
import { stepsOf } from './steps.ts'

const at = '/move?file=%2Fsrv%2Fapp.db'
const gates: readonly Gate[] = [
  { name: 'holder', title: 'The file is followed', state: 'passed', detail: 'Process 7 on h' },
  { name: 'compared', title: 'Every table is compared', state: 'waiting', detail: '0 of 1 table' },
]
const started = { job: 'j2', url: '/admin/v1/jobs/j2' }

const rail = async (): Promise<readonly string[]> => {
  const list = await screen.findByRole('list', { name: 'Steps of the move' })
  return within(list)
    .getAllByRole('listitem')
    .map(({ dataset }) => dataset['state'] ?? '')
}

describe('which file', () => {
  test('a file is chosen from those of the project, or typed', async () => {
    const { address } = renderDashboard('/move', {
      'GET /move': { moves: [move({ path: '/srv/other.db', state: 'mirroring' })] },
      'GET /move/files': {
        folder: '/srv',
        files: [{ path: '/srv/app.db', name: 'app.db', bytes: 4096, modifiedAt: '2026-11-22T10:00:00Z' }],
      },
      'GET /move/board': board({ move: null, tables: [], gates: [], isHeld: false }),
    })
    fireEvent.click(await screen.findByText('app.db'))
    await waitFor(() => expect(address()).toBe('/move?file=%2Fsrv%2Fapp.db'))
    fireEvent.click(await screen.findByRole('button', { name: 'All files' }))
    expect((await screen.findByTitle('/srv/other.db')).textContent).toBe('other.db in /srv')
    fireEvent.change(screen.getByLabelText('Or type its path'), { target: { value: ' /x/y.db ' } })
    fireEvent.click(screen.getByRole('button', { name: 'Open' }))
    await waitFor(() => expect(address()).toContain('file=%2Fx%2Fy.db'))
  })

  test('the keyboard chooses: arrows go, Enter opens', async () => {
    const { address } = renderDashboard('/move', {
      'GET /move': { moves: [] },
      'GET /move/files': {
        folder: '/srv',
        files: ['a', 'b', 'c'].map((name) => ({
          path: `/srv/${name}.db`,
          name: `${name}.db`,
          bytes: 1,
          modifiedAt: '2026-11-22T10:00:00Z',
        })),
      },
      'GET /move/board': board(),
    })
    const grid = await screen.findByRole('grid', { name: 'SQLite files' })
    for (const key of ['ArrowDown', 'End', 'ArrowUp', 'Home', 'PageDown', 'PageUp', 'ArrowDown']) fireEvent.keyDown(grid, { key })
    expect(document.getElementById(grid.getAttribute('aria-activedescendant') ?? '')?.textContent).toContain('b.db')
    fireEvent.keyDown(grid, { key: 'Enter' })
    await waitFor(() => expect(address()).toBe('/move?file=%2Fsrv%2Fb.db'))
  })

  test('no file at all: the empty state names the command', async () => {
    renderDashboard('/move', { 'GET /move': { moves: [] }, 'GET /move/files': { folder: '/srv', files: [] } })
    await screen.findByText('npx tidemark move plan /path/to/app.db')
  })
})

describe('the journey', () => {
  test('the plan comes first; with it the copy can begin, and what loses rows is said', async () => {
    let jobs: MoveBoard['jobs'] = []
    const { askedFor } = renderDashboard(at, {
      'GET /move/board': () => board({ move: null, tables: [], gates: [], isHeld: false, jobs }),
      'POST /move/plan': () => {
        jobs = [job({ job: 'p1', kind: 'move.plan', state: 'succeeded' })]
        return { job: 'p1', url: '/admin/v1/jobs/p1' }
      },
      'GET /jobs/:id': job({ job: 'p1', kind: 'move.plan', state: 'succeeded', result: plan }),
      'POST /move/follow': started,
    })
    await screen.findByText('This server has made no plan of the file yet')
    fireEvent.click(await screen.findByRole('button', { name: 'Make the plan' }))
    await screen.findByText('holds a NUL byte')
    screen.getByText('Rows would be left out')
    screen.getByText('not carried')
    expect(await rail()).toEqual(['done', 'current', 'ahead', 'ahead', 'ahead', 'ahead'])
    fireEvent.click(screen.getByRole('button', { name: 'Copy and follow' }))
    await waitFor(() => expect(askedFor('POST /move/follow')[0]?.body).toEqual({ file: '/srv/app.db', until: 'ended' }))
    expect(askedFor('POST /move/follow')[0]?.headers).toMatchObject({ prefer: 'respond-async', 'x-tidemark-csrf': 'proof' })
  })

  test('MOVE-4: the cutover stays shut while a gate is open, and names it', async () => {
    renderDashboard(at, {
      'GET /move/board': board({
        gates,
        move: move({ checks: { done: false, tablesDone: 0, rowsChecked: 40, differences: 0 } }),
      }),
    })
    const button = await screen.findByRole('button', { name: 'Cut over…' })
    expect(button).toHaveProperty('disabled', true)
    expect(button.title).toBe('Not yet: Every table is compared')
    screen.getByText('Still open: Every table is compared')
    expect(await rail()).toEqual(['done', 'done', 'current', 'current', 'ahead', 'ahead'])
  })

  test('a cutover asks for the name of the file and the longest pause', async () => {
    const { askedFor } = renderDashboard(at, { 'GET /move/board': board(), 'POST /move/cutover': started })
    fireEvent.click(await screen.findByRole('button', { name: 'Cut over…' }))
    const dialog = await screen.findByRole('dialog', { name: 'Cut over to Postgres' })
    const go = within(dialog).getByRole('button', { name: 'Cut over' })
    expect(go).toHaveProperty('disabled', true)
    fireEvent.change(within(dialog).getByLabelText('Type app.db to confirm'), { target: { value: 'app' } })
    expect(go).toHaveProperty('disabled', true)
    fireEvent.change(within(dialog).getByLabelText('Type app.db to confirm'), { target: { value: 'app.db' } })
    const pause = within(dialog).getByLabelText('Longest pause of writes')
    fireEvent.change(pause, { target: { value: 'soon' } })
    within(dialog).getByText('A duration, as in 2s or 500ms.')
    fireEvent.click(go)
    expect(askedFor('POST /move/cutover')).toHaveLength(0)
    fireEvent.change(pause, { target: { value: '500ms' } })
    fireEvent.click(go)
    await waitFor(() => expect(askedFor('POST /move/cutover')[0]?.body).toEqual({ file: '/srv/app.db', maxPause: '500ms' }))
    await screen.findByText('Cut over: begun.')
  })

  test('a refused switch shows what the server says, and the dialog stays', async () => {
    renderDashboard(at, {
      'GET /move/board': board({ move: move({ state: 'mirroring', writer: 'postgres', cutOverAt: '2026-11-22T10:00:00Z' }) }),
      'POST /move/rollback': () => failing(409, 'TM_MOVE_GATE', 'rows differ', 'Change them.'),
    })
    fireEvent.click(await screen.findByRole('button', { name: 'Roll back…' }))
    const dialog = await screen.findByRole('dialog')
    fireEvent.change(within(dialog).getByLabelText('Type app.db to confirm'), { target: { value: 'app.db' } })
    fireEvent.click(within(dialog).getByRole('button', { name: 'Roll back' }))
    expect((await within(dialog).findByRole('alert')).textContent).toContain('rows differChange them.TM_MOVE_GATE')
    fireEvent.click(within(dialog).getByRole('button', { name: 'Cancel' }))
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  })

  test('finish, abort, a share of reads and another copy each ask first', async () => {
    let now = board({ move: move({ state: 'mirroring', writer: 'postgres' }) })
    const { askedFor } = renderDashboard(at, {
      'GET /move/board': () => now,
      'POST /move/finish': started,
      'POST /move/abort': started,
      'POST /move/follow': started,
      'POST /move/reads': { percent: 25, before: 0 } as never,
    })
    const confirm = async (button: string, verb: string): Promise<void> => {
      fireEvent.click(await screen.findByRole('button', { name: button }))
      const dialog = await screen.findByRole('dialog')
      fireEvent.change(within(dialog).getByLabelText('Type app.db to confirm'), { target: { value: 'app.db' } })
      fireEvent.click(within(dialog).getByRole('button', { name: verb }))
      await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
    }
    await confirm('Finish…', 'Finish')
    expect(askedFor('POST /move/finish')[0]?.body).toEqual({ file: '/srv/app.db', yes: true })
    now = board()
    await confirm('Abort…', 'Abort')
    expect(askedFor('POST /move/abort')[0]?.body).toEqual({ file: '/srv/app.db' })
    fireEvent.click(await screen.findByRole('button', { name: 'Share of reads…' }))
    const dialog = await screen.findByRole('dialog')
    fireEvent.change(within(dialog).getByLabelText('Percent'), { target: { value: '25' } })
    fireEvent.click(within(dialog).getByRole('button', { name: 'Set' }))
    await waitFor(() => expect(askedFor('POST /move/reads')[0]?.body).toEqual({ file: '/srv/app.db', percent: 25 }))
    const error = { code: 'TM_MOVE_TARGET_NOT_EMPTY', message: 'it holds tables', fix: '', retryable: false } as const
    now = board({ move: null, tables: [], gates: [], jobs: [job({ state: 'failed', error })] })
    await confirm('Replace the tables…', 'Drop and copy anew')
    expect(askedFor('POST /move/follow')[0]?.body).toEqual({ file: '/srv/app.db', until: 'ended', onExisting: 'replace' })
    screen.getByText('it holds tables')
  })

  test('who only looks sees everything and can press nothing', async () => {
    renderDashboard(at, {
      'GET /session': { ...session, operator: { name: 'vi', role: 'viewer' } },
      'GET /move/board': board({ move: move({ state: 'mirroring', writer: 'postgres' }), isHeld: false }),
    })
    for (const name of ['Go on mirroring', 'Roll back…', 'Finish…'])
      expect(await screen.findByRole('button', { name })).toHaveProperty('disabled', true)
    expect(screen.getByRole('button', { name: 'Finish…' }).title).toBe('Not yet: This needs the role admin.')
  })
})

describe('details', () => {
  test('mismatches show both values side by side, as text whatever they hold', async () => {
    const { address, container } = renderDashboard(at, {
      'GET /move/board': board({
        gates: [{ name: 'same', title: 'No row differs', state: 'refused', detail: '2 rows' }],
        move: move({ checks: { done: true, tablesDone: 1, rowsChecked: 9, differences: 2 } }),
        differences: [
          {
            table: 'orders',
            key: 'id=1',
            state: 'differs',
            columns: [{ column: 'note', source: '<img src=x onerror=alert(1)>', target: null }],
            reason: null,
            foundAt: '2026-11-22T10:00:00Z',
          },
        ],
      }),
      'GET /move/rejects': {
        rejects: [
          { table: 'orders', key: 'id=2', column: 'at', reason: 'no date', bytes: null, outcome: 'valueReplaced', allowed: true },
        ],
      },
    })
    fireEvent.mouseDown(await screen.findByRole('tab', { name: /Mismatches/ }), { button: 0 })
    await waitFor(() => expect(address()).toContain('tab=mismatches'))
    screen.getByText('<img src=x onerror=alert(1)>')
    expect(container.querySelector('img[src="x"]')).toBeNull()
    screen.getByText('The first 1 of 2.')
    expect((await rail())[3]).toBe('failed')
    fireEvent.mouseDown(screen.getByRole('tab', { name: /Rejects/ }), { button: 0 })
    await screen.findByText('no date')
    screen.getByText('value replaced, by choice')
    fireEvent.mouseDown(screen.getByRole('tab', { name: 'History' }), { button: 0 })
    await screen.findByText('Begun')
  })

  test('a job tells its steps as they come, each once, and how the switch ended', async () => {
    const report = {
      ok: true,
      runId: '1',
      pauseMs: 218,
      elapsedMs: 900,
      steps: [{ step: 'drain', elapsedMs: 3 }],
      epoch: '4',
      resumed: false,
      command: null,
    }
    let jobs = [job({ kind: 'move.cutover' })]
    const { askedFor } = renderDashboard(at, {
      'GET /move/board': () => board({ jobs }),
      'DELETE /jobs/:id': job({ state: 'cancelled' }),
    })
    await screen.findByText('Cutting over', { selector: 'h2' })
    const source = TestEventSource.opened[0]!
    expect(source.url).toBe('/admin/v1/jobs/j1/events')
    act(() => {
      source.emit('phase', { phase: 'cutover', rowsTotal: 1 }, '1')
      source.emit('step', { step: 'drain', state: 'finished', elapsedMs: 3 }, '2')
      source.emit('step', { step: 'drain', state: 'finished', elapsedMs: 3 }, '2')
    })
    await screen.findByText('drain: 3 ms')
    expect(screen.getAllByText('drain: 3 ms')).toHaveLength(1)
    fireEvent.click(screen.getByRole('button', { name: 'Stop' }))
    await waitFor(() => expect(askedFor('DELETE /jobs/:id')[0]?.url.pathname).toBe('/admin/v1/jobs/j1'))
    jobs = [job({ kind: 'move.cutover', state: 'succeeded', result: report })]
    await screen.findByText('Writes were refused for 218 ms.')
  })
})

describe('the words of a move', () => {
  const states = [
    'planned',
    'copying',
    'copied',
    'following',
    'cuttingOver',
    'mirroring',
    'rollingBack',
    'rolledBack',
    'finished',
    'aborted',
  ] as const

  test('every state has advice and a rail, held or not', () => {
    for (const state of states)
      for (const isHeld of [true, false]) {
        const given = board({ move: move({ state }), isHeld })
        expect(adviceOf(given).title).not.toBe('')
        expect(stepsOf(given, false)).toHaveLength(6)
      }
  })

  test('a move that nobody works on says how it goes on', () => {
    const left = states.filter((state) => adviceOf(board({ move: move({ state }), isHeld: false })).primary === 'goOn')
    expect(left).toEqual(['planned', 'copying', 'copied', 'following', 'mirroring', 'rolledBack'])
    expect(adviceOf(board({ move: move({ state: 'cuttingOver' }) })).primary).toBe('settle')
    expect(adviceOf(board({ move: move({ state: 'rollingBack' }) })).primary).toBe('rollback')
    expect(adviceOf(board({ move: null, jobs: [job({ kind: 'move.plan' })] })).title).toBe('Reading the file')
  })

  test('events of a job become lines where they are worth one', () => {
    const lines = [
      { type: 'phase', data: { phase: 'copy' } },
      { type: 'step', data: { step: 'drain', state: 'started', elapsedMs: 0 } },
      { type: 'state', data: { from: 'following', to: 'cuttingOver' } },
      { type: 'notice', data: { message: 'look' } },
      { type: 'object', data: { name: 'i', kind: 'index', state: 'failed', reason: 'no' } },
      { type: 'object', data: { name: 'i', kind: 'index', state: 'finished', reason: null } },
      { type: 'reject', data: { reject: { table: 't', key: 'k', reason: 'r' } } },
      { type: 'end', data: {} },
    ].map(lineOf)
    expect(lines).toEqual([
      'Phase: copy',
      undefined,
      'Following the file → Cutting over',
      'look',
      'index i was not made: no',
      undefined,
      't k: r',
      undefined,
    ])
  })

  test('each table says how fast it goes and how long still, of the copy and then of the comparison', async () => {
    const table = (name: string, copied: number, given = {}) => ({
      ...board().tables[0]!,
      table: name,
      rows: 1_000,
      copied,
      done: false,
      checked: 0,
      compared: false,
      ...given,
    })
    let looks = 0
    renderDashboard('/move?file=/srv/app.db', {
      'GET /move/board': () => {
        looks += 1
        return board({
          at: looks * 1_000,
          move: move({ state: 'copying' }),
          tables: [
            table('orders', looks * 200),
            table('notes', 1_000, { done: true, checked: looks * 100 }),
            table('done', 1_000, { done: true, checked: 1_000, compared: true }),
          ],
        })
      },
    })
    const grid = await screen.findByRole('table', { name: 'Tables of the move' })
    await waitFor(() =>
      expect(grid.textContent).toMatch(/orders1,000200[\d.]+ s0.*notes1,000100[\d.]+ s0.*done1,0000copied and compared/),
    )
  })

  test('where every table is through, none has a pace', async () => {
    renderDashboard('/move?file=/srv/app.db', { 'GET /move/board': board() })
    const grid = await screen.findByRole('table', { name: 'Tables of the move' })
    expect(grid.textContent).toContain('orders1000copied and compared')
  })

  test('rates are of the last ten seconds, and never below zero', () => {
    const sample = (at: number, copied: number) => ({ at, copied, checked: 0, applied: 0, behind: null, tables: {} })
    const copied = ({ copied: rows }: { readonly copied: number }): number => rows
    expect(rateOf([], copied)).toBeNull()
    expect(rateOf([sample(0, 0)], copied)).toBeNull()
    expect(rateOf([sample(0, 0), sample(15_000, 1_000), sample(20_000, 6_000)], copied)).toBe(1_000)
    expect(rateOf([sample(0, 500), sample(5_000, 0)], copied)).toBe(0)
    expect([timeLeft(100, 100, null), timeLeft(100, 0, null), timeLeft(100, 0, 10)]).toEqual([0, null, 10_000])
  })
})
