import { describe, expect, it } from 'vitest'
import { parsePosition } from '../../position.js'
import { recordEnd } from './primary.js'
import { newIncarnation, parseWalEpoch, resetReason, walEpoch } from './wal-epoch.js'

const history = { systemId: '7710526043788282172', timeline: 2, databaseOid: 16734, incarnation: '23eadf357a1b' }
const epoch = walEpoch(history)

describe('the epoch of the WAL', () => {
  it('S3 names system, timeline, database and incarnation, and is a part of positions', () => {
    expect(epoch).toBe('wal-7710526043788282172-2-16734-23eadf357a1b')
    expect(parseWalEpoch(epoch)).toEqual(history)
    expect(parsePosition(`${epoch}:ff`).number).toBe(255n)
    expect(parseWalEpoch('outbox-1-2-3-aa')).toBeUndefined()
    expect(newIncarnation()).toMatch(/^[0-9a-f]{12}$/)
    expect(newIncarnation()).not.toBe(newIncarnation())
  })

  it('S3 tells a slot made anew from a database that is another one', () => {
    expect(resetReason(undefined, epoch)).toBe('start')
    expect(resetReason(walEpoch({ ...history, incarnation: 'aa' }), epoch)).toBe('slotLost')
    expect(resetReason(walEpoch({ ...history, timeline: 1 }), epoch)).toBe('newHistory')
    expect(resetReason(walEpoch({ ...history, systemId: '1' }), epoch)).toBe('newHistory')
    expect(resetReason(walEpoch({ ...history, databaseOid: 1 }), epoch)).toBe('newHistory')
    expect(resetReason('outbox-x', epoch)).toBe('newHistory')
  })
})

describe('the end of the last record', () => {
  const sizes = { segmentBytes: 16 * 1024 * 1024, blockBytes: 8192 }
  it('S14 is before the header of a page on which nothing stands', () => {
    expect(recordEnd(8192n * 3n + 24n, sizes)).toBe(8192n * 3n)
    expect(recordEnd(16n * 1024n * 1024n + 40n, sizes)).toBe(16n * 1024n * 1024n)
    expect(recordEnd(8192n * 3n + 40n, sizes)).toBe(8192n * 3n + 40n)
    expect(recordEnd(8192n * 3n + 48n, sizes)).toBe(8192n * 3n + 48n)
    expect(recordEnd(8192n * 3n, sizes)).toBe(8192n * 3n)
  })
})
