import { afterEach, describe, expect, it } from 'vitest'
import { TidemarkError } from '../../errors.js'
import { createMetrics } from '../../observability/metrics.js'
import { createFakeClock } from '../../testing/fake-clock.js'
import { until } from '../../time/until.js'
import { type FeedEvent, type FeedReset, type Follower, type FreshnessProof, ordinalOf } from '../feed.js'
import type { Position } from '../position.js'
import { createFeed } from './create-feed.js'
import type { Feed, FeedOptions } from './follow.js'
import { at, createScriptedSource, epoch, piece, start, textsOf } from './testing/scripted-source.js'

interface Recorded extends Follower {
  readonly seen: string[]
  readonly resets: FeedReset[]
  readonly proofs: FreshnessProof[]
}

const feeds: Feed[] = []
const releases: (() => void)[] = []
afterEach(async () => {
  for (const release of releases.splice(0)) release()
  await Promise.all(feeds.splice(0).map((feed) => feed.stop()))
})

const recorder = (name: string, more: Partial<Follower> = {}): Recorded => {
  const seen: string[] = []
  const resets: FeedReset[] = []
  const proofs: FreshnessProof[] = []
  return {
    name,
    tables: 'all',
    apply: async (given) => void seen.push(...textsOf(given)),
    reset: async (reset) => void resets.push(reset),
    fresh: (proof) => void proofs.push(proof),
    ...more,
    seen,
    resets,
    proofs,
  }
}

/** A follower whose first piece takes until it is released. */
const slowly = () => {
  let release = (): void => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  releases.push(release)
  return { slow: recorder('slow', { apply: () => released }), release }
}

const run = async (followers: readonly Follower[], options: Partial<FeedOptions> = {}) => {
  const source = createScriptedSource()
  const clock = createFakeClock()
  const feed = createFeed({ source, followers, clock, random: () => 1, ...options })
  feeds.push(feed)
  await feed.start()
  return { source, clock, feed }
}

/** Nothing but its turn is waited for. */
const settle = async () => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

describe('a feed', () => {
  it('gives each follower the changes of its tables, in order', async () => {
    const [all, users] = [recorder('all'), recorder('users', { tables: ['public.users'] })]
    const { source, feed } = await run([all, users])
    source.give(start(), piece(1, ['users 1', 'orders 1']), piece(2, ['orders 2']), piece(3, ['orders 3', 'users 2']))
    await feed.waitFor(at(3))
    expect(all.seen).toEqual(['users 1', 'orders 1', 'orders 2', 'orders 3', 'users 2'])
    expect(users.seen).toEqual(['users 1', 'users 2'])
    expect(feed.position()).toEqual(at(3))
    expect(users.resets).toEqual([start()])
  })

  it('C60: tells the number of each change within its transaction, whatever is left out and however it is cut', async () => {
    const numbered: string[] = []
    const users = recorder('users', {
      tables: ['public.users'],
      apply: async (given) => void numbered.push(...textsOf(given).map((text, index) => `${text} is ${ordinalOf(given, index)}`)),
    })
    const { source } = await run([users])
    const first = piece(1, ['users 1', 'posts 1', 'users 2'], { last: false })
    source.give(start(), first, piece(1, ['posts 2', 'users 3'], { firstOrdinal: 3 }))
    source.give(piece(2, ['users 4', 'users 5']))
    await until(() => numbered.length === 5)
    expect(numbered).toEqual(['users 1 is 0', 'users 2 is 2', 'users 3 is 4', 'users 4 is 0', 'users 5 is 1'])
  })

  it('ends a transaction for whoever has seen part of it, and only for those', async () => {
    const pieces: string[] = []
    const keep: Follower['apply'] = async (given) => void pieces.push(`${textsOf(given).join('+')}${given.last ? ' last' : ''}`)
    const users = recorder('users', { tables: ['public.users'], apply: keep })
    const { source, feed } = await run([users])
    source.give(
      start(),
      piece(1, ['users 1', 'orders 1'], { last: false }),
      piece(1, ['orders 2'], { firstOrdinal: 2, last: false }),
    )
    source.give(
      piece(1, ['orders 3'], { firstOrdinal: 3 }),
      piece(2, ['orders 4'], { last: false }),
      piece(2, ['orders 5'], { firstOrdinal: 1 }),
    )
    await feed.waitFor(at(2))
    expect(pieces).toEqual(['users 1', ' last'])
  })

  it('FEED-1: gives a failing follower the same piece again until it works, and the others go on', async () => {
    const attempts: string[][] = []
    let broken = true
    const failing = recorder('failing', {
      apply: async (given) => {
        attempts.push(textsOf(given))
        if (broken) throw new Error('no')
      },
    })
    const fine = recorder('fine')
    const { source, clock, feed } = await run([failing, fine], { retryBaseMs: 100, retryMaxMs: 400 })
    source.give(start(), piece(1, ['users 1']), piece(2, ['users 2']))
    await feed.waitFor(at(2), { follower: 'fine' })
    await clock.advance(1_000)
    // After 100, 300 and 700 ms.
    expect(attempts).toEqual([['users 1'], ['users 1'], ['users 1'], ['users 1']])
    expect(feed.health().followers[0]).toMatchObject({
      name: 'failing',
      state: 'failing',
      failures: 4,
      lastError: 'no',
      failingSince: clock.now() - 1_000,
    })
    broken = false
    await clock.advance(400)
    expect(attempts.slice(4)).toEqual([['users 1'], ['users 2']])
    expect(feed.health().followers[0]).toMatchObject({ state: 'running', failures: 0, lastError: null, failingSince: null })
  })

  it('holds the source back when the slowest follower has enough', async () => {
    const { slow, release } = slowly()
    const fast = recorder('fast')
    const { source } = await run([slow, fast], { maxQueuedChanges: 4 })
    source.give(start(), ...[1, 2, 3, 4, 5, 6].map((number) => piece(number, [`a ${number}`, `b ${number}`])))
    await settle()
    // Two pieces wait (one of them at work); the third is in the hand of the feed.
    expect(source.taken).toBe(4)
    expect(fast.seen).toHaveLength(6)
    release()
    await settle()
    expect(source.taken).toBe(7)
  })

  it('keeps little of what passes a follower that is at work for long, and tells it the last of it', async () => {
    const { slow, release } = slowly()
    const proofs: FreshnessProof[] = []
    const follower = { ...slow, tables: ['public.users'], fresh: (proof: FreshnessProof) => void proofs.push(proof) }
    const { source, feed } = await run([follower])
    source.give(start(), piece(1, ['users 1']))
    const rounds = 500
    for (let n = 2; n < 2 + rounds; n++) source.give(piece(n, ['others 1']), { type: 'fresh', position: at(n), asOf: n })
    source.give(piece(2 + rounds, ['others 1']))
    await until(() => source.taken === 3 + 2 * rounds)
    release()
    await feed.waitFor(at(2 + rounds))
    expect(proofs.map(({ asOf }) => asOf)).toEqual([1 + rounds])
  })

  it('takes a piece that is larger than the bound, alone', async () => {
    const one = recorder('one')
    const { source, feed } = await run([one], { maxQueuedBytes: 1 })
    source.give(start(), piece(1, ['users 1', 'users 2']), piece(2, ['users 3']))
    await feed.waitFor(at(2))
    expect(one.seen).toHaveLength(3)
  })

  it('FEED-1: leaves out what a follower has had, also in the middle of a transaction', async () => {
    const one = recorder('one')
    const { source, feed } = await run([one])
    source.give(start(), piece(1, ['a 1']), piece(2, ['a 2', 'a 3'], { last: false }))
    // The source lost its connection and begins where it was confirmed.
    source.give(
      piece(1, ['a 1']),
      piece(2, ['a 2'], { last: false }),
      piece(2, ['a 3', 'a 4'], { firstOrdinal: 1 }),
      piece(3, ['a 5']),
    )
    await feed.waitFor(at(3))
    expect(one.seen).toEqual(['a 1', 'a 2', 'a 3', 'a 4', 'a 5'])
  })

  it('S5: is as fresh as the follower that is furthest behind', async () => {
    const { slow, release } = slowly()
    const fast = recorder('fast')
    const { source, clock, feed } = await run([slow, fast])
    expect(feed.freshness()).toBe(Infinity)
    await clock.advance(100)
    source.give(start(), piece(1, ['a 1']), { type: 'fresh', position: at(5), asOf: 90 })
    await settle()
    expect(fast.proofs).toHaveLength(1)
    expect(slow.proofs).toHaveLength(0)
    expect(feed.freshness('fast')).toBe(10)
    expect(feed.freshness()).toBe(Infinity)
    release()
    await settle()
    expect(feed.freshness()).toBe(10)
    await clock.advance(1_000)
    expect(feed.freshness()).toBe(1_010)
    // A proof also says that nothing is missing up to its position.
    await feed.waitFor(at(5))
    source.give({ type: 'reset', epoch, reason: 'gap', position: at(9) })
    await settle()
    expect(feed.freshness()).toBe(Infinity)
  })

  it('confirms what all followers have applied', async () => {
    let broken = true
    const failing = recorder('failing', {
      apply: async () => {
        if (broken) throw new Error('no')
      },
    })
    const { source, clock } = await run([failing, recorder('fine')])
    source.give(start(), piece(1, ['a 1']), piece(2, ['a 2']))
    await clock.advance(10_000)
    expect(source.confirmed.at(-1)).toEqual(at(0))
    broken = false
    await clock.advance(20_000)
    expect(source.confirmed.at(-1)).toEqual(at(2))
  })

  it('S4: confirms nothing that a durable follower has not stored', async () => {
    let stored: Position | null = null
    const durable = recorder('durable', { stored: async () => stored })
    const { source, clock, feed } = await run([durable, recorder('fine')])
    source.give(start(), piece(1, ['a 1']), piece(2, ['a 2']))
    await feed.waitFor(at(2))
    await clock.advance(2_000)
    expect(source.confirmed).toEqual([])
    stored = at(1)
    await clock.advance(1_000)
    expect(source.confirmed.at(-1)).toEqual(at(1))
    stored = at(2)
    await feed.stop()
    expect(source.confirmed.at(-1)).toEqual(at(2))
    expect(source.stopped).toBe(true)
  })

  it('S4: holds back also what a durable follower needs that is not here for now', async () => {
    let absent: readonly Position[] | Error = [at(1), at(7, 'test-0')]
    const storedPositions = async () => {
      if (absent instanceof Error) throw absent
      return absent
    }
    const { source, clock } = await run([recorder('fine')], { storedPositions })
    source.give(start(), piece(1, ['a 1']), piece(2, ['a 2']))
    await clock.advance(1_000)
    expect(source.confirmed.at(-1)).toEqual(at(1))
    absent = new Error('away')
    await clock.advance(1_000)
    expect(source.confirmed.at(-1)).toEqual(at(1))
    absent = []
    await clock.advance(1_000)
    expect(source.confirmed.at(-1)).toEqual(at(2))
  })

  it('lets a durable follower of quiet tables store how far it is', async () => {
    let stored: Position | null = at(1)
    const quiet = recorder('quiet', {
      tables: ['public.quiet'],
      stored: async () => stored,
      passed: async (position) => {
        stored = position
      },
    })
    const { source, clock } = await run([quiet])
    source.give(start(1), piece(2, ['a 1']), piece(3, ['a 2']))
    await clock.advance(6_000)
    expect(stored).toEqual(at(3))
    await clock.advance(1_000)
    expect(source.confirmed.at(-1)).toEqual(at(3))
  })

  describe('for a durable follower that comes back', () => {
    const comeBack = async (stored: Position | null, ...given: readonly FeedEvent[]) => {
      const durable = recorder('durable', { stored: async () => stored })
      const { source, feed } = await run([durable])
      source.give(...given)
      await feed.waitFor(at(4))
      return durable
    }

    it('leaves out what it has stored, without a reset', async () => {
      const durable = await comeBack(at(2), start(1), piece(2, ['a 2']), piece(3, ['a 3']), piece(4, ['a 4']))
      expect(durable.seen).toEqual(['a 3', 'a 4'])
      expect(durable.resets).toEqual([])
    })

    it('needs no reset where the source has moved on by itself, since nothing was in between', async () => {
      const durable = await comeBack(at(2), start(3), piece(4, ['a 4']))
      expect(durable.resets).toEqual([])
      expect(durable.seen).toEqual(['a 4'])
    })

    it('tells of another history', async () => {
      const durable = await comeBack(at(9, 'test-0'), start(3), piece(4, ['a 4']))
      expect(durable.resets.map(({ reason }) => reason)).toEqual(['newHistory'])
      expect(durable.seen).toEqual(['a 4'])
    })

    it('begins with a reset where it has never read, also where the source gives none', async () => {
      const durable = await comeBack(null, piece(4, ['a 4']))
      expect(durable.resets).toEqual([start(3)])
    })

    it('asks until it tells where it is', async () => {
      let asked = 0
      const durable = recorder('durable', {
        stored: async () => {
          asked += 1
          if (asked < 3) throw new Error('away')
          return at(1)
        },
      })
      const { source, clock, feed } = await run([durable])
      source.give(start(1), piece(2, ['a 2']))
      await clock.advance(60_000)
      await feed.waitFor(at(2))
      expect(durable.seen).toEqual(['a 2'])
    })
  })

  it('retries a reset as it retries a piece, and gives nothing before it worked', async () => {
    let broken = true
    const order: string[] = []
    const one = recorder('one', {
      apply: async () => void order.push('piece'),
      reset: async () => {
        if (broken) throw new Error('no')
        order.push('reset')
      },
    })
    const { source, clock } = await run([one])
    source.give(start(), piece(1, ['a 1']))
    await clock.advance(1_000)
    expect(order).toEqual([])
    broken = false
    await clock.advance(60_000)
    expect(order).toEqual(['reset', 'piece'])
  })

  describe('waiting for a position', () => {
    it('ends in time, and says who is behind', async () => {
      const { source, clock, feed } = await run([recorder('one')])
      source.give(start())
      const waiting = feed.waitFor(at(7), { timeoutMs: 500 })
      const caught = expect(waiting).rejects.toMatchObject({ code: 'TM_FEED_TIMEOUT', message: /one is at test-1:0/ })
      await clock.advance(500)
      await caught
    })

    it('ends where the feed goes on in another history', async () => {
      const { source, feed } = await run([recorder('one')])
      source.give(start())
      const waiting = feed.waitFor(at(7))
      source.give({ type: 'reset', epoch: 'test-2', reason: 'newHistory', position: at(0, 'test-2') })
      await expect(waiting).rejects.toMatchObject({ code: 'TM_FEED_EPOCH' })
    })

    it('ends with the signal, and with the feed', async () => {
      const { feed } = await run([recorder('one')])
      const abort = new AbortController()
      const first = feed.waitFor(at(1), { signal: abort.signal })
      const second = feed.waitFor(at(1))
      abort.abort(new Error('enough'))
      await expect(first).rejects.toThrow('enough')
      const stopped = expect(second).rejects.toMatchObject({ code: 'TM_FEED_STOPPED' })
      await feed.stop()
      await stopped
      await expect(feed.waitFor(at(1))).rejects.toMatchObject({ code: 'TM_FEED_STOPPED' })
    })

    it('knows its followers', async () => {
      const { feed } = await run([recorder('one')])
      await expect(feed.waitFor(at(1), { follower: 'two' })).rejects.toThrow('two')
    })
  })

  it('ends with what the source raised', async () => {
    const { source, feed } = await run([recorder('one')])
    source.give(start(), piece(1, ['a 1']))
    await feed.waitFor(at(1))
    source.raise(new TidemarkError('TM_FEED_SLOT_MISSING', { slot: 's' }))
    await expect(feed.done).rejects.toMatchObject({ code: 'TM_FEED_SLOT_MISSING' })
    expect(feed.health()).toMatchObject({ state: 'failed', lastError: /slot s/ })
    await until(() => source.confirmed.length > 0)
    expect(source.confirmed).toEqual([at(1)])
  })

  it('finishes what is being applied when it is stopped by its signal, and begins nothing more', async () => {
    let release = (): void => {}
    const finished: string[] = []
    const slow = recorder('slow', {
      apply: async (given) => {
        await new Promise<void>((resolve) => {
          release = resolve
        })
        finished.push(...textsOf(given))
      },
    })
    const source = createScriptedSource()
    const feed = createFeed({ source, followers: [slow], clock: createFakeClock() })
    const abort = new AbortController()
    await feed.start(abort.signal)
    source.give(start(), piece(1, ['a 1']), piece(2, ['a 2']))
    await settle()
    abort.abort()
    await settle()
    expect(source.stopped).toBe(false)
    release()
    await feed.done
    expect(finished).toEqual(['a 1'])
    await feed.stop()
    expect(source.confirmed).toEqual([at(1)])
    expect(feed.health().state).toBe('stopped')
  })

  it('is stopped although it was never started, and started once', async () => {
    const source = createScriptedSource()
    const idle = createFeed({ source, followers: [recorder('one')] })
    await idle.stop()
    await idle.done
    const { feed } = await run([recorder('one')])
    await expect(feed.start()).rejects.toThrow('once')
  })

  it('refuses two followers of one name, and none at all', () => {
    const source = createScriptedSource()
    expect(() => createFeed({ source, followers: [recorder('a'), recorder('a')] })).toThrow('"a"')
    expect(() => createFeed({ source, followers: [] })).toThrow('follower')
  })

  it('measures', async () => {
    const metrics = createMetrics()
    const { source, clock, feed } = await run([recorder('one')], { metrics })
    source.give(start(), piece(1, ['a 1', 'a 2'], { committedAt: new Date(clock.now() - 30) }), {
      type: 'fresh',
      position: at(1),
      asOf: 0,
    })
    await feed.waitFor(at(1))
    await clock.advance(1_000)
    const text = await metrics.render()
    expect(text).toContain('tidemark_feed_pieces_total{follower="one"} 1')
    expect(text).toContain('tidemark_feed_changes_total{follower="one"} 2')
    expect(text).toContain('tidemark_feed_resets_total{follower="one",reason="start"} 1')
    expect(text).toContain('tidemark_feed_lag_seconds_sum{follower="one"} 0.03')
    expect(text).toContain('tidemark_feed_freshness_seconds{follower="one"} 1')
  })
})

describe('a follower that hangs', () => {
  it('is named as the one that holds the feed up, until it goes on', async () => {
    const { slow, release } = slowly()
    const quick = recorder('quick')
    const metrics = createMetrics()
    const { source, clock, feed } = await run([slow, quick], { maxQueuedChanges: 2, metrics })
    source.give(start(0), piece(1, ['a']), piece(2, ['b']), piece(3, ['c']), piece(4, ['d']))
    const holding = () => feed.health().followers.filter(({ holdsUp }) => holdsUp)
    await until(() => holding().length === 1)
    await clock.advance(7_000)
    expect(holding()).toMatchObject([{ name: 'slow', state: 'running', failures: 0, queuedChanges: 2 }])
    expect(holding()[0]!.workingMs).toBeGreaterThanOrEqual(7_000)
    await until(async () => (await metrics.render()).includes('tidemark_feed_holding_state{follower="slow"} 1'))
    expect(await metrics.render()).toMatch(/tidemark_feed_working_seconds\{follower="slow"\} 7/)
    expect(await metrics.render()).toContain('tidemark_feed_holding_state{follower="quick"} 0')
    expect(quick.seen.length).toBeLessThan(4)
    release()
    await until(() => quick.seen.length === 4)
    expect(feed.health().followers).toMatchObject([
      { holdsUp: false, workingMs: 0 },
      { holdsUp: false, workingMs: 0 },
    ])
  })
})
