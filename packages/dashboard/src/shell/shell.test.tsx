// @vitest-environment happy-dom
import { onlineManager } from '@tanstack/react-query'
import { act, fireEvent, screen, waitFor, within } from '@testing-library/react'
import { Gauge } from 'lucide-react'
import { describe, expect, onTestFinished, test } from 'vitest'
import { overview } from '../testing/answers.ts'
import { failing, renderDashboard, session } from '../testing/render-dashboard.tsx'
import { findCommands, fits } from './command-palette.tsx'

const press = (key: string, more: object = {}): void => void fireEvent.keyDown(window, { key, ...more })

describe('signing in', () => {
  test('who is not signed in is asked for the token, and lands where they wanted to go', async () => {
    let isIn = false
    const { askedFor, address } = renderDashboard('/?x=1', {
      'GET /session': () => (isIn ? session : failing(401, 'TM_SERVER_UNAUTHORIZED', 'no')),
      'GET /overview': () => (isIn ? overview() : failing(401, 'TM_SERVER_UNAUTHORIZED', 'no')),
      'POST /session': ({ body }) => {
        if ((body as { token: string }).token !== 'right')
          return failing(401, 'TM_SERVER_SIGN_IN', 'Signing in failed: wrong token', 'Look at status --show-keys')
        isIn = true
        return session
      },
    })
    const field = await screen.findByLabelText('Admin token', { selector: 'input' })
    expect(document.activeElement).toBe(field)
    fireEvent.change(field, { target: { value: 'wrong' } })
    fireEvent.click(screen.getByRole('button', { name: 'Sign in' }))
    expect((await screen.findByRole('alert')).textContent).toContain('Signing in failed: wrong token')
    fireEvent.change(field, { target: { value: ' right ' } })
    fireEvent.click(screen.getByRole('button', { name: 'Sign in' }))
    await screen.findByText('4,350')
    expect(address()).toBe('/?x=1')
    expect(askedFor('POST /session').map(({ body }) => body)).toEqual([{ token: 'wrong' }, { token: 'right' }])
  })

  test('C2: a user signs in with an address and a password', async () => {
    const { askedFor } = renderDashboard('/', {
      'GET /session': () => failing(401, 'TM_SERVER_UNAUTHORIZED', 'no'),
      'POST /session': session,
      'GET /overview': overview(),
    })
    const tab = await screen.findByRole('tab', { name: 'User' })
    fireEvent.mouseDown(tab, { button: 0 })
    fireEvent.change(await screen.findByLabelText('Email'), { target: { value: 'ann@example.com' } })
    fireEvent.change(screen.getByLabelText('Password'), { target: { value: 'secret' } })
    fireEvent.click(screen.getByRole('button', { name: 'Sign in' }))
    await waitFor(() => expect(askedFor('POST /session')[0]?.body).toEqual({ email: 'ann@example.com', password: 'secret' }))
    await screen.findByRole('navigation')
  })

  test('a session that ends while one works brings the way in, not an error', async () => {
    let isIn = true
    renderDashboard('/', { 'GET /overview': () => (isIn ? overview() : failing(401, 'TM_SERVER_UNAUTHORIZED', 'no')) })
    await screen.findByText('4,350')
    isIn = false
    await screen.findByLabelText('Admin token', { selector: 'input' }, { timeout: 4_000 })
    expect(screen.queryByText('4,350')).toBeNull()
  })

  test('signing out forgets what was seen', async () => {
    const { askedFor } = renderDashboard('/', { 'GET /overview': overview(), 'DELETE /session': { signedOut: true } })
    await screen.findByText('4,350')
    const trigger = screen.getByRole('button', { name: 'Operator' })
    fireEvent.pointerDown(trigger, { button: 0, ctrlKey: false, pointerType: 'mouse' })
    expect((await screen.findByText(/ann@example.com/)).textContent).toContain('Role: admin')
    fireEvent.click(screen.getByRole('menuitem', { name: 'Sign out' }))
    await screen.findByLabelText('Admin token', { selector: 'input' })
    expect(askedFor('DELETE /session')[0]?.headers['x-tidemark-csrf']).toBe('proof')
  })
})

describe('the frame', () => {
  test('Ctrl K finds a screen by some of its letters and goes there', async () => {
    const { address } = renderDashboard('/', { 'GET /overview': overview(), 'GET /cache': { scope: 'nothing', nodes: [] } })
    await screen.findByText('4,350')
    press('k', { ctrlKey: true })
    const field = await screen.findByRole('combobox', { name: 'Command' })
    fireEvent.change(field, { target: { value: 'gcache' } })
    expect(screen.getAllByRole('option').map(({ textContent }) => textContent)).toEqual(['Go to Cacheg c'])
    fireEvent.change(field, { target: { value: 'zzzz' } })
    screen.getByText('Nothing is called that.')
    fireEvent.change(field, { target: { value: 'go to' } })
    for (const key of ['ArrowDown', 'ArrowDown', 'ArrowDown', 'ArrowDown', 'ArrowUp', 'ArrowDown'])
      fireEvent.keyDown(field, { key })
    fireEvent.keyDown(field, { key: 'Enter' })
    await waitFor(() => expect(address()).toBe('/cache'))
    await waitFor(() => expect(document.title).toBe('Cache · Tidemark'))
  })

  test('Ctrl K finds parts of screens, too: first what is called as it was typed', async () => {
    const { address } = renderDashboard('/', { 'GET /overview': overview(), 'GET /audit': { entries: [] } })
    await screen.findByText('4,350')
    press('k', { ctrlKey: true })
    const field = await screen.findByRole('combobox', { name: 'Command' })
    fireEvent.change(field, { target: { value: 'audit' } })
    fireEvent.keyDown(field, { key: 'Enter' })
    await waitFor(() => expect(address()).toBe('/settings?tab=audit'))
    await screen.findByText('Nothing was done that fits')
  })

  test('a dialog gives the keyboard back to where it was', async () => {
    renderDashboard('/', { 'GET /overview': overview() })
    await screen.findByText('4,350')
    const link = screen.getAllByRole('link', { name: 'Feed' })[0]!
    link.focus()
    for (const open of [() => press('k', { ctrlKey: true }), () => press('?')]) {
      open()
      const dialog = await screen.findByRole('dialog')
      await waitFor(() => expect(dialog.contains(document.activeElement)).toBe(true))
      fireEvent.keyDown(document.activeElement!, { key: 'Escape' })
      await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
      await waitFor(() => expect(document.activeElement).toBe(link))
    }
  })

  test('a machine without a network reaches its own server', async () => {
    onlineManager.setOnline(false)
    onTestFinished(() => onlineManager.setOnline(true))
    renderDashboard('/', { 'GET /overview': overview() })
    await screen.findByText('4,350')
  })

  test('a server that does not answer is said where it said live, and so is that it answers again', async () => {
    let isAway = false
    const answer = () => {
      if (isAway) throw new TypeError('refused')
      return overview()
    }
    renderDashboard('/', { 'GET /overview': answer })
    await screen.findByText('Live')
    isAway = true
    await screen.findByText('No answer')
    screen.getByText('4,350')
    isAway = false
    await screen.findByText('Live')
  })

  test('g and a letter goes to a screen, not while one types', async () => {
    const { address } = renderDashboard('/', { 'GET /overview': overview(), 'GET /cache': { scope: 'nothing', nodes: [] } })
    await screen.findByText('4,350')
    press('g')
    press('c')
    await waitFor(() => expect(address()).toBe('/cache'))
    const field = await screen.findByLabelText('Key')
    fireEvent.keyDown(field, { key: 'g' })
    fireEvent.keyDown(field, { key: 'o' })
    expect(address()).toBe('/cache')
  })

  test('p pauses: nothing is asked for by itself until it is live again', async () => {
    const { askedFor } = renderDashboard('/', { 'GET /overview': overview() })
    await screen.findByText('4,350')
    press('p')
    await screen.findByText('Paused')
    const before = askedFor('GET /overview').length
    await new Promise((resolve) => setTimeout(resolve, 2_300))
    expect(askedFor('GET /overview')).toHaveLength(before)
    fireEvent.click(screen.getByRole('button', { name: 'Paused' }))
    await waitFor(() => expect(askedFor('GET /overview').length).toBeGreaterThan(before))
  })

  test('t switches the theme, and it is kept', async () => {
    renderDashboard('/', { 'GET /overview': overview() })
    await screen.findByText('4,350')
    const dataset = document.documentElement.dataset
    const before = dataset['theme']
    act(() => press('t'))
    expect(dataset['theme']).not.toBe(before)
    act(() => press('t'))
    expect(dataset['theme']).toBe(before)
  })

  test('? shows all shortcuts', async () => {
    renderDashboard('/', { 'GET /overview': overview() })
    await screen.findByText('4,350')
    press('?')
    const dialog = await screen.findByRole('dialog', { name: 'Keyboard shortcuts' })
    within(dialog).getByText('Go to Move')
    fireEvent.click(within(dialog).getByRole('button', { name: 'Close' }))
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  })

  test('an address without a screen says so, and the frame stays', async () => {
    renderDashboard('/nowhere', {})
    await screen.findByText('There is no such screen')
    screen.getByRole('navigation', { name: 'Screens' })
  })

  test('the screens open from a drawer where there is no room', async () => {
    renderDashboard('/', { 'GET /overview': overview() })
    await screen.findByText('4,350')
    fireEvent.click(screen.getByRole('button', { name: 'Screens' }))
    const drawer = await screen.findByRole('dialog', { name: 'Screens' })
    fireEvent.click(within(drawer).getByRole('link', { name: 'Overview' }))
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  })
})

test('the palette puts first what is called as it was typed', () => {
  const commands = ['Data and schema: Drift', 'Go to Data and schema', 'Sign out'].map((title) => ({
    title,
    icon: Gauge,
    run() {},
  }))
  expect(findCommands(commands, 'to d').map(({ title }) => title)).toEqual(['Go to Data and schema'])
  expect(findCommands(commands, 'dft').map(({ title }) => title)).toEqual(['Data and schema: Drift'])
  expect(findCommands(commands, 'a ').map(({ title }) => title)).toEqual(['Data and schema: Drift', 'Go to Data and schema'])
})

test('the palette takes letters in their order, and no others', () => {
  expect(fits('Go to Move', 'gmv')).toBe(true)
  expect(fits('Go to Move', 'vmg')).toBe(false)
  expect(fits('Go to Move', 'GO MOVE')).toBe(true)
})
