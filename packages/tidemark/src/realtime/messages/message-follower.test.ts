import { describe, expect, it } from 'vitest'
import type { Change, Relation, TransactionPiece } from '../../feed/feed.js'
import { systemClock } from '../../time/clock.js'
import { createMessageFollower } from './message-follower.js'
import type { DatabaseMessage } from './messages.js'

const names = ['topic', 'extension', 'payload', 'event', 'private', 'id', 'binary_payload'] as const

const relation: Relation = {
  oid: 1,
  schema: 'realtime',
  table: 'messages',
  identity: 'default',
  columns: names.map((name) => ({ name, typeOid: 25, typeModifier: -1, isKey: name === 'id' })),
}

const insert = (row: Partial<Record<(typeof names)[number], string | null>>): Change => ({
  kind: 'insert',
  relation,
  old: null,
  new: names.map(
    (name) =>
      ({ topic: 'room', extension: 'broadcast', payload: '{}', event: 'e', private: 't', id: 'i', binary_payload: null, ...row })[
        name
      ] ?? null,
  ),
})

const piece = (
  number: number,
  changes: readonly Change[],
  firstOrdinal = 0,
  epoch = 'one',
  committedAt = 2_000,
): TransactionPiece => ({
  type: 'transaction',
  position: { epoch, number: BigInt(number) },
  xid: 1n,
  committedAt: new Date(committedAt),
  firstOrdinal,
  changes,
  last: true,
})

const listening = () => {
  const follower = createMessageFollower({ clock: { ...systemClock, now: () => 1_000 } })
  const told: (DatabaseMessage | 'gap')[] = []
  const end = follower.listen({ message: (message) => told.push(message), gap: () => told.push('gap') })
  return { follower, told, end }
}

const ids = (told: readonly (DatabaseMessage | 'gap')[]) => told.map((one) => (one === 'gap' ? one : one.id))

describe('messages of the database', () => {
  it('are told as they were written', async () => {
    const { follower, told } = listening()
    await follower.apply(
      piece(1, [insert({ payload: '{"a": 1.10}', private: 'f' }), insert({ id: 'j', payload: null, binary_payload: '\\x00ff' })]),
    )
    expect(told).toEqual([
      { id: 'i', topic: 'room', event: 'e', private: false, payload: { kind: 'json', text: '{"a": 1.10}' } },
      { id: 'j', topic: 'room', event: 'e', private: true, payload: { kind: 'binary', bytes: Buffer.from([0, 255]) } },
    ])
  })

  it('are not rows of presence, probes, updates and deletes', async () => {
    const { follower, told } = listening()
    const row = (insert({}).new ?? []) as readonly string[]
    await follower.apply(
      piece(1, [
        insert({ extension: 'presence' }),
        insert({ event: null }),
        { kind: 'update', relation, old: null, new: row },
        { kind: 'delete', relation, old: row, new: null },
      ]),
    )
    expect(told).toEqual([])
  })

  it('are told once, however often the feed gives them', async () => {
    const { follower, told } = listening()
    await follower.apply(piece(1, [insert({ id: 'a' }), insert({ id: 'b' })]))
    await follower.apply(piece(1, [insert({ id: 'a' }), insert({ id: 'b' })]))
    await follower.apply(piece(1, [insert({ id: 'b' }), insert({ id: 'c' })], 1))
    await follower.apply(piece(3, [insert({ id: 'd' })]))
    await follower.apply(piece(2, [insert({ id: 'x' })]))
    await follower.apply(piece(1, [insert({ id: 'e' })], 0, 'two'))
    expect(ids(told)).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  it('may be missing after a reset, and where only the fact is told', async () => {
    const { follower, told, end } = listening()
    await follower.reset?.({ type: 'reset', epoch: 'one', reason: 'start', position: { epoch: 'one', number: 0n } })
    await follower.apply(piece(1, [{ kind: 'changed', relation, old: null, new: null }]))
    await follower.reset?.({ type: 'reset', epoch: 'two', reason: 'slotLost', position: { epoch: 'two', number: 0n } })
    expect(told).toEqual(['gap', 'gap'])
    end()
    await follower.apply(piece(5, [insert({})], 0, 'two'))
    expect(told).toHaveLength(2)
  })

  it('are not missing where only Redis has lost its state', async () => {
    const { follower, told } = listening()
    const lost = { type: 'reset', epoch: 'one', reason: 'streamLost', position: { epoch: 'one', number: 3n } } as const
    await follower.apply(piece(3, [insert({ id: 'a' })]))
    await follower.reset?.(lost)
    expect(ids(told)).toEqual(['a'])
    await follower.reset?.({ ...lost, position: { epoch: 'one', number: 4n } })
    expect(ids(told)).toEqual(['a', 'gap'])
  })

  it('are not told again by a process that came after them', async () => {
    const { follower, told } = listening()
    await follower.apply(piece(1, [insert({ id: 'old' })], 0, 'one', 999))
    await follower.apply(piece(2, [insert({ id: 'new' })], 0, 'one', 1_000))
    follower.fresh?.({ type: 'fresh', position: { epoch: 'one', number: 2n }, asOf: 0 })
    // From here on the clock of another machine is no reason to keep anything back.
    await follower.apply(piece(3, [insert({ id: 'late' })], 0, 'one', 500))
    expect(ids(told)).toEqual(['new', 'late'])
  })

  it('a listener that fails keeps nothing from the others', async () => {
    const follower = createMessageFollower({ clock: { ...systemClock, now: () => 1_000 } })
    const told: string[] = []
    follower.listen({
      message: () => {
        throw new Error('broken')
      },
    })
    follower.listen({ message: ({ id }) => told.push(id) })
    await follower.apply(piece(1, [insert({})]))
    expect(told).toEqual(['i'])
  })
})
