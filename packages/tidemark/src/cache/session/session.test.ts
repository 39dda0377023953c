import { describe, expect, it } from 'vitest'
import type { Position } from '../../feed/position.js'
import { systemClock } from '../../time/clock.js'
import type { LoadClient } from '../cache.js'
import type { FeedState } from '../follow/feed-state.js'
import { Sessions } from './session.js'

const at = (number: bigint, epoch = 'wal-1'): Position => ({ epoch, number })

const make = (own: Position | null) => {
  const feed = { position: own, freshnessMs: Number.POSITIVE_INFINITY }
  return { feed, sessions: new Sessions(feed as unknown as FeedState, systemClock) }
}

describe('reads in a session', () => {
  it('wait for what is not applied yet, and for nothing that is', () => {
    const { sessions } = make(at(10n))
    expect(sessions.isUsed).toBe(false)
    sessions.run(at(11n), () => expect(sessions.optionsOf(undefined)).toEqual({ after: at(11n) }))
    sessions.run(at(10n), () => expect(sessions.optionsOf(undefined)).toBeUndefined())
    sessions.run(undefined, () => expect(sessions.isReached).toBe(true))
    expect([sessions.isUsed, sessions.optionsOf(undefined)]).toEqual([true, undefined])
  })

  it('keep what else they were asked for, and the later of two positions', () => {
    const { sessions } = make(at(10n))
    const signal = new AbortController().signal
    const tx = {} as LoadClient
    sessions.run(at(20n), () => {
      expect(sessions.optionsOf({ signal })).toEqual({ signal, after: at(20n) })
      expect(sessions.optionsOf({ after: at(30n) })).toEqual({ after: at(30n) })
      expect(sessions.optionsOf({ after: at(15n) })).toEqual({ after: at(20n) })
      expect(sessions.optionsOf({ tx })).toEqual({ tx })
    })
  })

  it('of another history go past what is applied here, whatever the number', () => {
    const { sessions } = make(at(10n))
    sessions.run(at(1n, 'wal-0'), () => {
      expect(sessions.optionsOf(undefined)).toEqual({ after: at(1n, 'wal-0') })
      expect(sessions.optionsOf({ after: at(99n) })).toEqual({ after: at(1n, 'wal-0') })
      expect(sessions.isReached).toBe(false)
    })
  })

  it('over the outbox wait for one proof, not for one each', () => {
    const { feed, sessions } = make(at(10n, 'outbox-1'))
    sessions.run(at(3n, 'outbox-1'), () => {
      expect(sessions.optionsOf(undefined)).toEqual({ after: at(3n, 'outbox-1') })
      feed.freshnessMs = 0
      expect(sessions.optionsOf(undefined)).toBeUndefined()
    })
  })

  it('see each write of the session from then on, across what is asynchronous; other sessions do not', async () => {
    const { sessions } = make(at(10n))
    await Promise.all([
      sessions.run(undefined, async (session) => {
        await null
        sessions.wrote(at(12n))
        await null
        expect(sessions.optionsOf(undefined)).toEqual({ after: at(12n) })
        expect([session.hasWritten, session.position]).toEqual([true, at(12n)])
      }),
      sessions.run(undefined, async (session) => {
        await null
        await null
        await null
        expect([sessions.optionsOf(undefined), session.hasWritten]).toEqual([undefined, false])
      }),
    ])
  })
})
