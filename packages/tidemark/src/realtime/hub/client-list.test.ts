import { expect, test } from 'vitest'
import { type ListedSocket, listClients, mostChannels } from './client-list.js'

const socket = (n: number, given: Partial<ListedSocket> = {}, channels: readonly string[] = []): ListedSocket => ({
  id: String(n),
  protocol: n % 2 === 0 ? 'supabase' : 'pusher',
  openedAtMs: n,
  heardMs: 40,
  sent: n,
  bufferedBytes: 0,
  isOpen: true,
  view: { user: `u${n % 10}`, role: 'authenticated', channels: { size: channels.length, names: () => channels } },
  unconfirmedMs: () => null,
  ...given,
})

const many = (count: number): readonly ListedSocket[] => Array.from({ length: count }, (_each, at) => socket(at + 1))
const ids = async (sockets: Iterable<ListedSocket>, query: Parameters<typeof listClients>[1]) => {
  const { clients, more } = await listClients(sockets, query, () => 100)
  return [clients.map(({ id }) => Number(id)), more]
}

test('of ten thousand a page is given in their order, and others have their turn meanwhile', async () => {
  let turns = 0
  let isOver = false
  const turn = (): void => {
    turns++
    if (!isOver) setImmediate(turn)
  }
  setImmediate(turn)
  const sockets = many(10_000)
  // Nobody is called so: all are looked at.
  expect(await ids(sockets, { user: 'nobody', limit: 10 })).toEqual([[], false])
  isOver = true
  expect(turns).toBeGreaterThan(20)
  expect(await ids(sockets, { limit: 3 })).toEqual([[1, 2, 3], true])
  expect(await ids(sockets, { limit: 2, after: '9998' })).toEqual([[9_999, 10_000], false])
  expect(await ids(sockets, { limit: 2, user: 'u4', protocol: 'supabase', after: '4' })).toEqual([[14, 24], true])
})

test('those that come and go while it is looked are no trouble', async () => {
  const sockets = new Set(many(600))
  const listed = ids(sockets, { limit: 1_000, after: '590' })
  const [, second] = sockets
  sockets.delete(second!)
  for (const each of sockets) if (each.id === '595') sockets.delete(each)
  sockets.add(socket(601))
  expect(await listed).toEqual([[591, 592, 593, 594, 596, 597, 598, 599, 600, 601], false])
})

test('what is told of one is bounded; who has ended, or is not signed in, is known', async () => {
  const names = Array.from({ length: 50 }, (_each, n) => `room:${n} ${'x'.repeat(300)}`)
  const busy = socket(1, { bufferedBytes: 7, unconfirmedMs: (now) => now - 90 }, names)
  const { clients } = await listClients(
    [busy, socket(2, { isOpen: false }), socket(3, { view: undefined })],
    { limit: 9 },
    () => 100,
  )
  expect(clients).toMatchObject([
    { id: '1', channelCount: 50, waitingBytes: 7, unconfirmedMs: 10, silentMs: 60, since: '1970-01-01T00:00:00.001Z', told: 1 },
    { id: '3', user: null, role: null, channels: [], channelCount: 0, unconfirmedMs: null },
  ])
  expect(clients[0]!.channels).toHaveLength(mostChannels)
  expect(clients[0]!.channels.every((name) => name.length <= 200)).toBe(true)
  expect(await ids([busy, socket(2, {}, ['other'])], { channel: names[49]!, limit: 9 })).toEqual([[1], false])
})
