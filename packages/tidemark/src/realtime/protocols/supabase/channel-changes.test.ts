import { expect, test } from 'vitest'
import type { Position } from '../../../feed/position.js'
import type { VisibleChange } from '../../realtime.js'
import { withIds } from './change-bindings.js'
import { ChannelChanges } from './channel-changes.js'
import type { ChannelContext } from './channel-context.js'
import { readJoin } from './join-request.js'

const now: Position = { epoch: 'wal-1', number: 0x100n }

/** What a client that joins with this position is told of positions. */
const toldTo = async (position: string | true, beginsWithGap = false): Promise<readonly string[]> => {
  const told: string[] = []
  const listen = async ({ from = now }: { readonly from?: Position }) => ({
    start: from,
    beginsWithGap,
    close: () => undefined,
  })
  const channel = {
    version: '2.0.0',
    topic: 'realtime:room',
    sent: 0,
    isJoining: false,
    services: { parts: () => ({ changes: { listen } }) },
    system: (extension: string, _status: string, message: string) => {
      if (extension === 'tidemark') told.push(message)
    },
  } as unknown as ChannelContext
  const bindings = withIds([{ event: '*', schema: 'public', table: 'todos' }])
  const changes = new ChannelChanges(channel, bindings, readJoin({ config: { broadcast: { position } } }, 'room'))
  await changes.listen({ role: 'anon', claims: {} }, { name: 'room', returning: undefined, number: undefined })
  changes.joined()
  return told
}

test('RT-2: a client that keeps its position is not sent back before a transaction of which it has a part', async () => {
  const told: string[] = []
  const channel = {
    version: '2.0.0',
    topic: 'realtime:room',
    sent: 0,
    isJoining: false,
    isConnected: true,
    send: () => void told.push('change'),
    system: (_extension: string, _status: string, message: string) => void told.push(message),
  } as unknown as ChannelContext
  const bindings = withIds([{ event: '*', schema: 'public', table: 'todos' }])
  const changes = new ChannelChanges(channel, bindings, readJoin({ config: { broadcast: { position: true } } }, 'room'))
  const change = { position: now, ordinal: 2, event: 'DELETE', schema: 'public', table: 'todos', committedAt: new Date(0) }
  const texts = { columns: [], columnsJson: '[]', oldRecordJson: '{}', errors: null }
  changes.change({ ...change, ...texts } as unknown as VisibleChange, [0])
  changes.passed({ ...now, number: now.number - 1n })
  changes.passed(now)
  changes.passed({ epoch: 'wal-2', number: 1n })
  expect(told).toEqual(['change', 'wal-1:100', 'wal-2:1'])
})

test('RT-2: a client in the middle of a transaction is not told that it has the whole of it', async () => {
  expect(await toldTo('wal-1:64/4')).toEqual([])
  expect(await toldTo('wal-1:64')).toEqual(['wal-1:64'])
  expect(await toldTo(true)).toEqual(['wal-1:100'])
})

test('RT-2: a client that comes back is told how far there is to go, since nothing more may come where it missed nothing', async () => {
  const told: object[] = []
  const channel = {
    services: { parts: () => ({ changes: { listen: async () => ({ start: now, head: { ...now, number: 0x1ffn } }) } }) },
    system: (extension: string, _status: string, _message: string, more: object) =>
      void (extension === 'tidemark' && told.push(more)),
  } as unknown as ChannelContext
  const request = readJoin({ config: { broadcast: { position: 'wal-1:100' } } }, 'room')
  const changes = new ChannelChanges(channel, withIds([{ event: '*', schema: 'public', table: 'todos' }]), request)
  await changes.listen({ role: 'anon', claims: {} }, { name: 'room', returning: undefined, number: undefined })
  changes.joined()
  expect(told).toEqual([{ position: 'wal-1:100', until: 'wal-1:1ff' }])
})

test('RT-2: a client that is to hear of a gap is given no position before that: its line may break in between', async () => {
  expect(await toldTo('wal-1:64', true)).toEqual([])
})
