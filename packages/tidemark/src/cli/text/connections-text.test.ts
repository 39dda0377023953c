import { expect, test } from 'vitest'
import type { ConnectionPage } from '../../realtime/connections/connections.js'
import { closedText, connectionsText } from './connections-text.js'

const connection = {
  id: '0123456789ab.1',
  node: 'host:1:0123456789ab',
  protocol: 'supabase',
  since: '2026-11-22T10:00:00.000Z',
  user: 'ann',
  role: 'authenticated',
  channels: ['a', 'b', 'c', 'd'],
  channelCount: 9,
  told: 7,
  waitingBytes: 12,
  unconfirmedMs: null,
  silentMs: 1,
}
const node = { node: connection.node, connections: 3 }
const page: ConnectionPage = { connections: [connection], next: connection.id, nodes: [node], silent: 1 }

test('connections are listed with how many there are, where the next page begins, and who did not answer', () => {
  const lines = connectionsText(page).split('\n')
  expect(lines[0]).toBe('3 connections on one server.')
  expect(lines.find((line) => line.startsWith(connection.id))).toMatch(/ann +authenticated +a, b, c and 6 more +7 +12 B +host:1/)
  expect(lines).toContain('There are more: --after 0123456789ab.1')
  expect(lines).toContain('One other server does not answer: theirs are missing.')
  const empty = { ...page, connections: [], next: null, silent: 0 }
  expect(connectionsText(empty)).toBe('3 connections on one server.\nNone of them is like that.')
  expect(connectionsText({ ...empty, nodes: [node, { ...node, connections: 0 }] })).toMatch(/^3 connections on 2 servers/)
})

test('who closes one is told with which code, and what its client does', () => {
  const plain = new Proxy({}, { get: () => (text: string) => text }) as Parameters<typeof closedText>[1]
  const ended = { id: 'x.1', node: 'n', protocol: 'pusher', code: 4100, reason: 'Closed by an operator', next: 'It comes back.' }
  expect(closedText(ended, plain)).toBe('✓ x.1 on n is closed: 4100, Closed by an operator.\nIt comes back.')
})
