import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as frames from '../../../testing/feed/pgoutput-frames.js'
import type { TransactionPiece } from '../../feed.js'
import { FrameQueue } from './frame-queue.js'
import { parseSnapshot } from './snapshot.js'
import { type Partial, type Step, TransactionReader } from './transaction-reader.js'

const epoch = 'wal-1-1-1-aa'
const relation = frames.relation(7, 'public', 't', 'd', [{ name: 'id', key: true }])

const readerOf = ({
  maxPieceBytes = Infinity,
  partial,
  startLsn = 1n,
}: {
  maxPieceBytes?: number
  partial?: Partial
  startLsn?: bigint
} = {}) => {
  const queue = new FrameQueue({ maxBytes: Infinity, pause: () => undefined, resume: () => undefined })
  const reader = new TransactionReader({ epoch, queue, maxPieceBytes, startLsn, partial })
  const push = (...messages: Buffer[]) => {
    for (const message of messages) queue.push(frames.walData(message))
  }
  const alive = (walEnd: bigint) => queue.push(frames.keepalive(walEnd))
  const pushRaw = (frame: Buffer) => queue.push(frame)
  const all = (): Step[] => {
    const steps: Step[] = []
    for (;;) {
      const step = reader.read()
      steps.push(step)
      if (typeof step === 'string') return steps
    }
  }
  return { reader, push, alive, pushRaw, all }
}

const seeAll = parseSnapshot('1000:1000:')
const transaction = (lsn: bigint, xid: number, ids: readonly string[]): Buffer[] => [
  frames.begin(lsn, xid),
  ...ids.map((id) => frames.insert(7, [id])),
  frames.commit(lsn, lsn + 8n),
]
const pieces = (steps: readonly Step[]): TransactionPiece[] =>
  steps.filter((step): step is TransactionPiece => typeof step === 'object' && step.type === 'transaction')
const ids = ({ changes }: TransactionPiece) => changes.map((change) => change.new?.[0])

describe('the reader of transactions', () => {
  it('gives a transaction when it is whole', () => {
    const { reader, push, all } = readerOf()
    reader.see(seeAll)
    push(relation, frames.begin(100n, 5), frames.insert(7, ['1']))
    expect(all()).toEqual(['empty'])
    push(frames.insert(7, ['2']), frames.commit(100n, 108n))
    const [piece] = pieces(all())
    expect(piece).toMatchObject({ position: { epoch, number: 100n }, xid: 5n, firstOrdinal: 0, last: true })
    expect(ids(piece!)).toEqual(['1', '2'])
    expect(reader.passedLsn).toBe(108n)
    expect(reader.partial).toBeUndefined()
  })

  it('S1 gives nothing before it is visible, nor anything that comes behind it', () => {
    const { reader, push, all } = readerOf()
    push(relation, ...transaction(100n, 5, ['1']), ...transaction(200n, 3, ['2']))
    expect(all()).toEqual(['unseen'])
    reader.see(parseSnapshot('3:7:5'))
    expect(all()).toEqual(['unseen'])
    reader.see(parseSnapshot('6:7:'))
    expect(pieces(all()).map(ids)).toEqual([['1'], ['2']])
  })

  it('S10 widens the id by the snapshot, across the turn of the counter', () => {
    const { reader, push, all } = readerOf()
    reader.see(parseSnapshot(`${2n ** 32n + 10n}:${2n ** 32n + 10n}:`))
    push(relation, ...transaction(100n, 4_294_967_290, ['1']), ...transaction(200n, 4, ['2']))
    expect(pieces(all()).map(({ xid }) => xid)).toEqual([4_294_967_290n, 2n ** 32n + 4n])
  })

  it('gives a large one in pieces, the last one flagged even where it is empty', () => {
    const { reader, push, all } = readerOf({ maxPieceBytes: 400 })
    reader.see(seeAll)
    push(relation, frames.begin(100n, 5))
    for (let id = 0; id < 6; id++) push(frames.insert(7, [String(id)]))
    const first = pieces(all())
    expect(first.map(ids)).toEqual([
      ['0', '1', '2'],
      ['3', '4', '5'],
    ])
    expect(reader.partial).toEqual({ lsn: 100n, nextOrdinal: 6 })
    expect(reader.passedLsn).toBe(100n)
    push(frames.commit(100n, 108n))
    expect(pieces(all())).toMatchObject([{ changes: [], firstOrdinal: 6, last: true }])
    expect(first.map(({ last, firstOrdinal }) => [last, firstOrdinal])).toEqual([
      [false, 0],
      [false, 3],
    ])
  })

  it('S6 goes on after the ordinal that was given before the connection was lost', () => {
    const { reader, push, all } = readerOf({ partial: { lsn: 100n, nextOrdinal: 2 }, startLsn: 100n })
    reader.see(seeAll)
    expect(reader.partial).toEqual({ lsn: 100n, nextOrdinal: 2 })
    push(relation, ...transaction(100n, 5, ['0', '1', '2']), ...transaction(200n, 6, ['3']))
    const given = pieces(all())
    expect(given.map(ids)).toEqual([['2'], ['3']])
    expect(given.map(({ firstOrdinal }) => firstOrdinal)).toEqual([2, 0])
  })

  it('says nothing of a transaction without anything of ours', () => {
    const { reader, push, all } = readerOf()
    reader.see(seeAll)
    push(frames.begin(100n, 5), frames.logicalMessage(90n, 'x', Buffer.alloc(0)), frames.commit(100n, 108n))
    expect(all()).toEqual(['empty'])
    expect(reader.passedLsn).toBe(108n)
  })

  it('S5 proves freshness when everything before was given, the latest moment only', () => {
    const { reader, push, alive, all } = readerOf()
    reader.see(seeAll)
    reader.ask({ asOf: 10, lsn: 50n })
    reader.ask({ asOf: 20, lsn: 150n })
    reader.ask({ asOf: 30, lsn: 300n })
    expect(all()).toEqual(['empty'])
    push(relation, ...transaction(140n, 5, ['1']))
    // The commit at 140 passes 50 when it begins and not 150 when it ends.
    expect(all().map((step) => (typeof step === 'object' ? [step.type, step.type === 'fresh' && step.asOf] : step))).toEqual([
      ['fresh', 10],
      ['transaction', false],
      'empty',
    ])
    alive(299n)
    expect(all()).toMatchObject([{ type: 'fresh', asOf: 20, position: { epoch, number: 298n } }, 'empty'])
    alive(400n)
    expect(all()).toMatchObject([{ type: 'fresh', asOf: 30, position: { epoch, number: 399n } }, 'empty'])
    // With nothing new in the log, the next moment is proven at once.
    reader.ask({ asOf: 40, lsn: 400n })
    expect(all()).toMatchObject([{ type: 'fresh', asOf: 40 }, 'empty'])
  })

  it('S5 proves nothing past a transaction that is not visible, nor within one', () => {
    const { reader, push, alive, all } = readerOf({ maxPieceBytes: 1 })
    reader.ask({ asOf: 10, lsn: 300n })
    push(relation, ...transaction(200n, 5, ['1']))
    alive(400n)
    expect(all()).toEqual(['unseen'])
    reader.see(seeAll)
    const steps = all()
    expect(steps.map((step) => (typeof step === 'object' ? step.type : step))).toEqual([
      'transaction',
      'transaction',
      'fresh',
      'empty',
    ])
  })

  it('keeps few questions where nobody takes the proofs', () => {
    const { reader, alive, all } = readerOf()
    for (let n = 0; n < 1_000; n++) reader.ask({ asOf: n, lsn: BigInt(n + 2) })
    alive(2_000n)
    expect(all()).toMatchObject([{ type: 'fresh', asOf: 999 }, 'empty'])
  })

  it.each([
    ['a change outside of a transaction', frames.walData(frames.truncate([]))],
    ['a frame of another kind', Buffer.from('x')],
    ['a cut header', frames.walData(frames.begin(1n, 1)).subarray(0, 20)],
    ['a cut keepalive', frames.keepalive(1n).subarray(0, 9)],
    ['a commit of nothing', frames.walData(frames.commit(1n, 2n))],
    ['a row of nothing', frames.walData(frames.insert(7, ['1']))],
  ])('refuses %s', (what, frame) => {
    const { reader, push, pushRaw, all } = readerOf()
    reader.see(seeAll)
    if (what === 'a change outside of a transaction') push(relation, frames.truncate([7]))
    else pushRaw(frame)
    if (what === 'a row of nothing') push(relation)
    expect(all).toThrowError(expect.objectContaining({ code: 'TM_FEED_PROTOCOL' }))
  })

  it('refuses a transaction within another', () => {
    const { reader, push, all } = readerOf()
    reader.see(seeAll)
    push(frames.begin(1n, 1), frames.begin(2n, 2))
    expect(all).toThrowError(expect.objectContaining({ code: 'TM_FEED_PROTOCOL' }))
  })

  it('S6 gives the same changes once each, wherever the connection is lost', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(sizes, fc.nat(), fc.integer({ min: 100, max: 1_000 }), (counts, cut, maxPieceBytes) => {
        const log = counts.map((count, index) => ({
          lsn: BigInt(index + 1) * 100n,
          messages: transaction(
            BigInt(index + 1) * 100n,
            index + 1,
            Array.from({ length: count }, (_none, each) => `${index}.${each}`),
          ),
        }))
        const messages = log.flatMap((each) => each.messages)
        const first = readerOf({ maxPieceBytes })
        first.reader.see(seeAll)
        first.push(relation, ...messages.slice(0, cut % (messages.length + 1)))
        const before = pieces(first.all())
        const { passedLsn, partial } = first.reader
        const second = readerOf({ maxPieceBytes, startLsn: passedLsn, ...(partial && { partial }) })
        second.reader.see(seeAll)
        // The server leaves out what was committed before the start.
        second.push(relation, ...log.filter(({ lsn }) => lsn >= passedLsn).flatMap((each) => each.messages))
        const given = [...before, ...pieces(second.all())].flatMap(ids)
        expect(given).toEqual(
          counts.flatMap((count, index) => Array.from({ length: count }, (_none, each) => `${index}.${each}`)),
        )
      }),
    )
  })
})
