// @vitest-environment happy-dom
import { fireEvent, screen, waitFor, within } from '@testing-library/react'
import type { DataTableInfo } from 'tidemark/admin'
import { describe, expect, test } from 'vitest'
import { failing, renderDashboard, session } from '../../testing/render-dashboard.tsx'
import { conditionsOf } from './data-filters.ts'

const hostile = '<img src=x onerror="globalThis.ran = true">'

const table = (given: Partial<DataTableInfo> = {}): DataTableInfo => ({
  schema: 'public',
  name: 'notes',
  kind: 'table',
  estimate: 120_000,
  rowSecurity: true,
  policies: 1,
  columns: [
    { name: 'id', type: 'bigint', isKey: true },
    { name: 'body', type: 'text', isKey: false },
  ],
  ...given,
})

const rowsOf = ({ url }: { readonly url: URL }) => {
  const [offset, limit] = [Number(url.searchParams.get('offset') ?? 0), Number(url.searchParams.get('limit') ?? 200)]
  const rows = Array.from({ length: limit }, (_none, n): (string | null)[] => [
    String(offset + n),
    offset + n === 1 ? null : `${hostile} ${offset + n}`,
  ])
  return { columns: ['id', 'body'], rows, offset }
}

const answers = {
  'GET /data/tables': { tables: [table(), table({ schema: 'Shop', name: 'orders', kind: 'view', rowSecurity: false })] },
  'GET /data/count': { rows: 100_000, isMore: true },
  'GET /data/rows': rowsOf,
} as const

const few = { ...answers, 'GET /data/count': { rows: 20, isMore: false } } as const

describe('tables', () => {
  test('100,000 rows scroll: only pages that are looked at are asked for, and text of theirs stays text', async () => {
    const { askedFor } = renderDashboard('/data?table=public.notes', answers)
    const grid = await screen.findByRole('grid', { name: 'Rows of public.notes' })
    await within(grid).findByText(`${hostile} 0`)
    screen.getByText(/100,000\+ rows, about 120K in all/)
    screen.getByText('row security with 1 policy')
    expect(grid.getAttribute('aria-rowcount')).toBe('100001')
    expect(within(grid).getAllByRole('row').length).toBeLessThan(80)
    expect(document.querySelector('img[src="x"]')).toBeNull()
    expect('ran' in globalThis).toBe(false)
    expect(askedFor('GET /data/rows')).toHaveLength(1)
    fireEvent.keyDown(grid, { key: 'End' })
    fireEvent.scroll(grid, { target: { scrollTop: 32 * 50_000 } })
    await within(grid).findByText(`${hostile} 50000`)
    const asked = askedFor('GET /data/rows').map(({ url }) => Number(url.searchParams.get('offset')))
    expect(asked.length).toBeLessThan(6)
    expect(asked).toContain(50_000)
  })

  test('S2.3: a viewpoint, a filter and an order stand in the address and are asked for', async () => {
    const { askedFor, address } = renderDashboard('/data?table=public.notes', few)
    await screen.findByRole('grid')
    fireEvent.change(screen.getByLabelText('Seen as'), { target: { value: 'authenticated' } })
    fireEvent.change(await screen.findByLabelText('User id'), { target: { value: 'u-1' } })
    fireEvent.change(screen.getByLabelText('Further claims'), { target: { value: '[]' } })
    await screen.findByText('It is not an object of JSON.')
    fireEvent.change(screen.getByLabelText('Further claims'), { target: { value: '{"a": 1}' } })
    fireEvent.click(screen.getByRole('button', { name: 'Look' }))
    await waitFor(() => expect(address()).toContain('user=u-1'))
    await screen.findByRole('grid')
    fireEvent.change(screen.getByLabelText('Column'), { target: { value: 'body' } })
    fireEvent.change(screen.getByLabelText('Compared'), { target: { value: 'ilike' } })
    fireEvent.change(screen.getByLabelText('Value'), { target: { value: hostile } })
    fireEvent.click(screen.getByRole('button', { name: 'Add filter' }))
    await screen.findByRole('list', { name: 'Filters' })
    fireEvent.change(screen.getByLabelText('Order'), { target: { value: 'id.desc' } })
    await waitFor(() => {
      const asked = Object.fromEntries(askedFor('GET /data/rows').at(-1)!.url.searchParams)
      expect(asked).toMatchObject({ role: 'authenticated', user: 'u-1', claims: '{"a": 1}', sort: 'id.desc' })
      expect(JSON.parse(asked['where']!)).toEqual([['body', 'ilike', hostile]])
    })
    fireEvent.click(screen.getByRole('button', { name: 'Remove the filter on body' }))
    await waitFor(() => expect(screen.queryByRole('list', { name: 'Filters' })).toBeNull())
  })

  test('a row opens whole, and from the address', async () => {
    const { askedFor, address } = renderDashboard('/data?table=public.notes&row=1', few)
    const dialog = await screen.findByRole('dialog', { name: 'public.notes' })
    await within(dialog).findByText('null')
    expect(
      Object.fromEntries(askedFor('GET /data/rows').find(({ url }) => url.searchParams.has('whole'))!.url.searchParams),
    ).toMatchObject({
      offset: '1',
      limit: '1',
    })
    fireEvent.click(within(dialog).getByRole('button', { name: 'Close' }))
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
    fireEvent.change(screen.getByLabelText('Find a table'), { target: { value: 'SHOP' } })
    await waitFor(() => expect(address()).toContain('find=SHOP'))
    fireEvent.click(screen.getByRole('button', { name: /orders/ }))
    await screen.findByText('a view')
  })

  test('the tables are one stop of the keyboard, and arrows go from one to the next', async () => {
    renderDashboard('/data', few)
    const list = await screen.findByRole('list', { name: 'Tables' })
    const [notes, orders] = within(list).getAllByRole('button')
    const stops = () => [notes!.tabIndex, orders!.tabIndex]
    expect(stops()).toEqual([0, -1])
    notes!.focus()
    fireEvent.keyDown(notes!, { key: 'ArrowDown' })
    expect(document.activeElement).toBe(orders)
    await waitFor(() => expect(stops()).toEqual([-1, 0]))
    fireEvent.keyDown(orders!, { key: 'Home' })
    expect(document.activeElement).toBe(notes)
  })

  test('what the server refuses is said; nothing seen, and nothing allowed, too', async () => {
    const first = renderDashboard('/data?table=public.notes', {
      ...answers,
      'GET /data/rows': () => failing(400, 'TM_SERVER_BAD_REQUEST', 'Postgres refuses it: no'),
    })
    expect((await screen.findByRole('alert')).textContent).toContain('Postgres refuses it')
    first.unmount()
    const second = renderDashboard('/data', { 'GET /data/tables': { tables: [] } })
    await screen.findByText('anon sees no table')
    second.unmount()
    renderDashboard('/data', { 'GET /session': { ...session, operator: { name: 'v', role: 'viewer' } } })
    await screen.findByText(/this needs the role operator/)
  })
})

describe('the schema', () => {
  test('migrations, those that wait first', async () => {
    renderDashboard('/data?tab=migrations', {
      'GET /schema/status': {
        pending: 1,
        migrations: [
          { source: 'platform', version: '1', name: 'move', state: 'applied', appliedAt: new Date() },
          { source: 'app', version: '2', name: hostile, state: 'pending', appliedAt: null },
        ],
      } as never,
    })
    await screen.findByText(/1 migration waits/)
    await screen.findByText(hostile)
    screen.getByText('npx tidemark schema up')
  })

  test('drift is looked for by hand, and found or not', async () => {
    let differences: readonly unknown[] = []
    renderDashboard('/data?tab=drift', {
      'POST /schema/diff': () => ({ ok: differences.length === 0, differences }) as never,
    })
    await screen.findByText('Not compared yet')
    // The page settles once more after its first screen: what is pressed before that is pressed again.
    await waitFor(() => {
      fireEvent.click(screen.getByRole('button', { name: 'Compare' }))
      screen.getByText('The database is what its files make.')
    })
    differences = [
      {
        kind: 'column',
        schema: 'public',
        parent: 'notes',
        name: 'body',
        state: 'changed',
        attributes: [{ attribute: 'type', database: 'text', files: 'int' }],
      },
    ]
    fireEvent.click(screen.getByRole('button', { name: 'Compare' }))
    await screen.findByText('public.notes.body')
    screen.getByText('type: text, in files int')
  })

  test('what is open comes first, with what mends it', async () => {
    const finding = { roles: ['anon'], why: 'because', fix: 'alter table x', code: 'rowSecurityOff' } as const
    renderDashboard('/data?tab=exposure', {
      'POST /schema/check': {
        ok: false,
        schemas: ['public'],
        findings: [
          { ...finding, level: 'warning', object: 'public.b' },
          { ...finding, level: 'error', object: 'public.a' },
        ],
      },
    })
    await screen.findByText(/Rows are open to whom they should not be/)
    expect(screen.getAllByText(/^public\.[ab]$/).map(({ textContent }) => textContent)).toEqual(['public.a', 'public.b'])
  })
})

test('whatever stands in an address, only filters are filters', () => {
  expect(conditionsOf('[["a","eq","1"],["b"],7]')).toEqual([['a', 'eq', '1']])
  expect(conditionsOf('{')).toEqual([])
  expect(conditionsOf(undefined)).toEqual([])
})
