// @vitest-environment happy-dom
import { fireEvent, screen, waitFor } from '@testing-library/react'
import { expect, test, vi } from 'vitest'
import { overview } from '../../testing/answers.ts'
import { failing, renderDashboard } from '../../testing/render-dashboard.tsx'

test('the overview shows each station of the flow in words', async () => {
  renderDashboard('/', { 'GET /overview': overview() })
  const flow = await screen.findByRole('list', { name: 'How data flows' })
  expect(flow.textContent).toMatch(
    /Requests.*no errors.*up, 18\.4.*1 of 100 in use.*reading.*fresh to 40 ms.*93\.4 % hits.*3 events waiting.*1 dead letter.*2 open.*1 critical/,
  )
  screen.getByText('No SQLite file is being moved')
  screen.getByText('npx tidemark move app.db')
})

test('what is wrong is told in words as well', async () => {
  renderDashboard('/', {
    'GET /overview': overview({
      health: { status: 'error', database: 'disconnected', phase: 'serving', degraded: ['redis'], components: {} },
      feed: { role: 'away', freshnessMs: null, problem: 'the slot is lost', followers: 0 },
      cache: null,
      alerts: null,
      redis: { state: 'down', driver: 'tcp' },
      requests: {
        ...overview().requests,
        buckets: overview().requests.buckets.map((one) => ({ ...one, errors: 1 })),
        errors: 30,
      },
      postgres: { version: '18.4', maxConnections: 100, pools: [{ name: 'primary', total: 4, idle: 0, waiting: 2 }] },
      moves: [{ path: '/srv/a.db', state: 'copying', tables: 2, rows: 200, copied: 50, differences: 1 }],
    }),
  })
  const flow = await screen.findByRole('list', { name: 'How data flows' })
  expect(flow.textContent).toMatch(/4 errors.*away.*2 waiting.*in trouble.*the slot is lost.*none configured.*Redis down.*off/)
  screen.getByText('not serving')
  expect(screen.getByRole('progressbar', { name: 'Copied of /srv/a.db' }).getAttribute('aria-valuenow')).toBe('25')
  expect(screen.getByRole('link', { name: '/srv/a.db' }).getAttribute('href')).toBe('/move?file=%2Fsrv%2Fa.db')
})

test('an error stands where the figures would be, with its code and what to do, and is tried again', async () => {
  let isDown = true
  renderDashboard('/', {
    'GET /overview': () => (isDown ? failing(503, 'TM_SERVER_STARTING', 'The server is still starting.', 'Wait.') : overview()),
  })
  const alert = await screen.findByRole('alert')
  expect(alert.textContent).toContain('The server is still starting.Wait.TM_SERVER_STARTING')
  isDown = false
  fireEvent.click(screen.getByRole('button', { name: 'Try again' }))
  await screen.findByText('4,350')
  await waitFor(() => expect(screen.queryByRole('alert')).toBeNull())
})

test('what is shown can be copied as a command and as curl, without a token in it', async () => {
  renderDashboard('/', { 'GET /overview': overview() })
  await screen.findByText('4,350')
  const writeText = vi.spyOn(navigator.clipboard, 'writeText').mockResolvedValue()
  for (const [item, text] of [
    ['Copy as CLI', 'npx tidemark status'],
    ['Copy as curl', /^curl -H "Authorization: Bearer \$TIDEMARK_ADMIN_TOKEN" \S+\/admin\/v1\/overview$/],
  ] as const) {
    fireEvent.pointerDown(screen.getByRole('button', { name: 'Copy as command' }), {
      button: 0,
      ctrlKey: false,
      pointerType: 'mouse',
    })
    fireEvent.click(await screen.findByRole('menuitem', { name: item }))
    await waitFor(() => expect(writeText).toHaveBeenLastCalledWith(typeof text === 'string' ? text : expect.stringMatching(text)))
    await waitFor(() => expect(screen.queryByRole('menu')).toBeNull())
  }
})
