import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Overlay } from '../mutations/overlay.js'
import { createFakeServer, type FakeServer } from '../testing/fake-server.js'
import { LiveQuery, type LiveSettings } from './live-query.js'
import { type LiveSpec, resolveSpec } from './live-spec.js'

const settings: LiveSettings = { pollMs: 30_000, graceMs: 5_000, paceMs: 16, maxRows: 3 }

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const open = (server: FakeServer, spec: LiveSpec = {}) => {
  const { readPage, openFeed } = server
  return new LiveQuery({ spec: resolveSpec('notes', spec), readPage, openFeed, settings })
}
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)
const idsOf = (query: LiveQuery) => query.snapshot.rows.map(({ id }) => id)

const overlay = (kind: Overlay['kind'], row: Overlay['row']): Overlay => ({
  id: 'c1',
  table: 'notes',
  kind,
  row,
  isHidden: false,
  outcome: undefined,
})

describe('a live query', () => {
  test('reads once, goes on behind that, and follows', async () => {
    const server = createFakeServer()
    server.put({ id: 1 })
    const query = open(server)
    const states: string[] = []
    query.onChange(() => void states.push(query.state))
    query.start()
    await pass(100)
    server.put({ id: 2 })
    await pass(100)
    expect([query.state, idsOf(query), server.reads]).toEqual(['live', [1, 2], 1])
    expect(states.at(-1)).toBe('live')
  })

  test('RT-2: after a lost connection it goes on behind its last position, and reads nothing anew', async () => {
    const server = createFakeServer()
    const query = open(server)
    query.start()
    await pass(100)
    server.realtime = false
    server.cut()
    expect(query.state).toBe('connecting')
    server.put({ id: 1 })
    server.put({ id: 2 })
    server.remove(1)
    server.realtime = true
    server.cut()
    await pass(100)
    expect([query.state, idsOf(query), server.reads]).toEqual(['live', [2], 1])
  })

  test('while it catches up nothing of before is shown: rows stay, and then everything is there', async () => {
    const server = createFakeServer()
    server.put({ id: 1, text: 'a' })
    const query = open(server)
    query.start()
    await pass(100)
    server.realtime = false
    server.cut()
    for (const text of ['b', 'c', 'd']) server.put({ id: 1, text })
    server.delayMs = 50
    const shown = new Set<unknown>()
    query.onChange(() => void shown.add(query.snapshot.rows[0]?.['text']))
    server.realtime = true
    server.cut()
    await pass(120)
    expect(query.state).toBe('catching-up')
    await pass(500)
    expect([query.state, [...shown]]).toEqual(['live', ['a', 'd']])
  })

  test('a window of which rows go all the time is read twice in a second, not all the time', async () => {
    const server = createFakeServer()
    for (let id = 1; id <= 400; id += 1) server.put({ id })
    const query = open(server, { limit: 3 })
    query.start()
    await pass(100)
    for (let id = 1; id <= 200; id += 1) {
      server.remove(id)
      await pass(10)
    }
    expect(server.reads).toBeLessThan(8)
    await pass(1_000)
    expect([query.state, idsOf(query)]).toEqual(['live', [201, 202, 203]])
  })

  test('who asks while it reads gets another reading, of now', async () => {
    const server = createFakeServer()
    server.delayMs = 20
    const query = open(server)
    query.start()
    const first = query.refresh()
    void query.refresh()
    await pass(200)
    await first
    expect(server.reads).toBe(2)
  })

  test('what is kept no more is read anew', async () => {
    const server = createFakeServer()
    const query = open(server)
    query.start()
    await pass(100)
    server.realtime = false
    server.cut()
    server.put({ id: 1 })
    server.forget()
    server.realtime = true
    server.cut()
    await pass(100)
    expect([query.state, idsOf(query), server.reads]).toEqual(['live', [1], 2])
  })

  test('without a channel it polls every 30 seconds, and says so; with nobody there it is offline', async () => {
    const server = createFakeServer()
    server.realtime = false
    const query = open(server)
    query.start()
    await pass(100)
    expect(query.state).toBe('connecting')
    await pass(5_000)
    expect([query.state, server.reads]).toEqual(['polling', 2])
    server.put({ id: 1 })
    await pass(30_000)
    expect([query.state, idsOf(query), server.reads]).toEqual(['polling', [1], 3])
    server.http = false
    await pass(30_000)
    expect([query.state, query.snapshot.error?.message, idsOf(query)]).toEqual(['offline', 'nobody answers', [1]])
    server.http = true
    await pass(30_000)
    expect([query.state, query.snapshot.error]).toEqual(['polling', undefined])
    server.realtime = true
    server.cut()
    await pass(100)
    expect(query.state).toBe('live')
  })

  test('servers that tell no positions are read once more when the channel is joined, each time', async () => {
    const server = createFakeServer({ positions: false })
    const query = open(server)
    query.start()
    await pass(100)
    expect([query.state, server.reads]).toEqual(['live', 2])
    server.put({ id: 1 })
    await pass(100)
    server.cut()
    await pass(100)
    expect([query.state, idsOf(query), server.reads]).toEqual(['live', [1], 3])
  })

  test('more rows than one answer holds come in several; a window tells that there are more, and shows them', async () => {
    const server = createFakeServer()
    for (let id = 1; id <= 10; id += 1) server.put({ id, rank: id % 3 === 0 ? null : id % 2 })
    const all = open(server, { order: { rank: 'desc' } })
    const some = open(server, { limit: 4 })
    all.start()
    some.start()
    await pass(100)
    expect(all.snapshot.rows).toEqual(server.rows(all.spec))
    expect([idsOf(some), some.snapshot.hasMore]).toEqual([[1, 2, 3, 4], true])
    void some.loadMore(4)
    server.put({ id: 11 })
    server.remove(2)
    await pass(600)
    expect([idsOf(some), some.snapshot.hasMore]).toEqual([[1, 3, 4, 5, 6, 7, 8, 9], true])
    void some.loadMore(4)
    await pass(100)
    expect([idsOf(some), some.snapshot.hasMore]).toEqual([[1, 3, 4, 5, 6, 7, 8, 9, 10, 11], false])
  })

  test('while it is paused it asks nothing and is told nothing, and then goes on where it was', async () => {
    const server = createFakeServer()
    const query = open(server)
    query.start()
    await pass(100)
    query.pause()
    server.put({ id: 1 })
    await pass(120_000)
    expect([server.joined, server.reads, vi.getTimerCount()]).toEqual([0, 1, 0])
    query.start()
    await pass(100)
    expect([query.state, idsOf(query), server.reads]).toEqual(['live', [1], 1])
  })

  test('who is refused is told why, and asks again less and less often', async () => {
    const server = createFakeServer()
    server.refuses = true
    const query = open(server)
    query.start()
    await pass(60_000)
    expect(query.snapshot.error?.message).toBe('permission denied')
    expect(server.reads).toBeLessThan(12)
    server.refuses = false
    await pass(60_000)
    expect([query.state, query.snapshot.error]).toEqual(['live', undefined])
  })

  test('what another user had is shown no more', async () => {
    const server = createFakeServer()
    server.put({ id: 1 })
    const query = open(server)
    query.start()
    await pass(100)
    server.remove(1)
    query.reset()
    expect([idsOf(query), query.snapshot.isLoading]).toEqual([[], true])
    await pass(100)
    expect([query.state, idsOf(query)]).toEqual(['live', []])
  })

  test('nor is what another user was about to write', async () => {
    const query = open(createFakeServer())
    query.start()
    await pass(100)
    const made = overlay('insert', { text: 'mine' })
    query.show(made)
    query.reset()
    expect(query.snapshot.rows).toEqual([])
    made.outcome = { row: { id: 1, text: 'mine' }, position: undefined }
    query.committed(made)
    await pass(100)
    expect([query.state, query.snapshot.rows]).toEqual(['live', []])
  })
})

describe('an overlay', () => {
  test('is shown at once under the client’s id, and is the row’s from then on', async () => {
    const server = createFakeServer()
    server.put({ id: 1, text: 'a' })
    const query = open(server)
    query.start()
    await pass(100)
    const made = overlay('insert', { text: 'b' })
    query.show(made)
    const [, shown] = query.snapshot.rows
    expect([shown, query.snapshot.isPending(shown!), query.snapshot.idOf(shown!)]).toEqual([{ text: 'b' }, true, 'c1'])
    made.outcome = { row: { id: 2, text: 'b' }, position: 'wal-1:12' }
    query.committed(made)
    const answered = query.snapshot.rows[1]!
    expect([answered, query.snapshot.isPending(answered), query.snapshot.idOf(answered)]).toEqual([
      { id: 2, text: 'b' },
      false,
      'c1',
    ])
    server.put({ id: 2, text: 'b' })
    await pass(100)
    expect([idsOf(query), query.snapshot.idOf(query.snapshot.rows[1]!)]).toEqual([[1, 2], 'c1'])
  })

  test('gives way to what somebody wrote afterwards, and is not shown beside what the feed told first', async () => {
    const server = createFakeServer()
    const query = open(server)
    query.start()
    await pass(100)
    const made = overlay('insert', { id: 7, text: 'mine' })
    query.show(made)
    server.put({ id: 7, text: 'mine' })
    server.put({ id: 7, text: 'theirs' })
    await pass(100)
    expect(query.snapshot.rows).toEqual([{ id: 7, text: 'theirs' }])
    made.outcome = { row: { id: 7, text: 'mine' }, position: 'wal-1:ff' }
    query.committed(made)
    expect(query.snapshot.rows).toEqual([{ id: 7, text: 'theirs' }])
  })

  test('is dropped when the feed passes its position, whatever the row is by then', async () => {
    const server = createFakeServer()
    server.put({ id: 1, text: 'a' })
    const query = open(server)
    query.start()
    await pass(100)
    const made = overlay('update', { id: 1, text: 'b' })
    query.show(made)
    expect(query.snapshot.rows).toEqual([{ id: 1, text: 'b' }])
    made.outcome = { row: { id: 1, text: 'b', touched: true }, position: 'wal-1:12' }
    query.committed(made)
    expect(query.snapshot.rows).toEqual([{ id: 1, text: 'b', touched: true }])
    server.put({ id: 1, text: 'c' })
    await pass(100)
    expect(query.snapshot.rows).toEqual([{ id: 1, text: 'c' }])
  })

  test('that was refused leaves no trace', async () => {
    const server = createFakeServer()
    server.put({ id: 1, text: 'a' })
    const query = open(server)
    query.start()
    await pass(100)
    const made = overlay('delete', { id: 1 })
    query.show(made)
    expect(query.snapshot.rows).toEqual([])
    query.withdraw(made)
    expect(query.snapshot.rows).toEqual([{ id: 1, text: 'a' }])
  })

  test('without a channel is dropped by a reading that began after the commit', async () => {
    const server = createFakeServer()
    server.realtime = false
    const query = open(server)
    query.start()
    await pass(6_000)
    const made = overlay('insert', { id: 5 })
    query.show(made)
    server.put({ id: 5, by: 'a trigger' })
    made.outcome = { row: { id: 5 }, position: undefined }
    query.committed(made)
    await pass(100)
    expect([query.state, query.snapshot.rows]).toEqual(['polling', [{ id: 5, by: 'a trigger' }]])
    const changed = overlay('update', { id: 5, text: 'b' })
    query.show(changed)
    server.put({ id: 5, text: 'c' })
    changed.outcome = { row: { id: 5, text: 'b' }, position: undefined }
    query.committed(changed)
    await pass(100)
    expect(query.snapshot.rows).toEqual([{ id: 5, text: 'c' }])
  })

  test('of an update gives way when the feed has told that very row, though its position is still to come', async () => {
    const server = createFakeServer()
    server.put({ id: 1, text: 'a' })
    const query = open(server)
    query.start()
    await pass(100)
    const made = overlay('update', { id: 1, text: 'b' })
    query.show(made)
    server.put({ id: 1, text: 'b' })
    server.put({ id: 1, text: 'c' })
    await pass(100)
    expect(query.snapshot.rows).toEqual([{ id: 1, text: 'b' }])
    made.outcome = { row: { id: 1, text: 'b' }, position: 'wal-1:ff' }
    query.committed(made)
    expect(query.snapshot.rows).toEqual([{ id: 1, text: 'c' }])
  })

  test('that is not to be seen before the answer hides nothing that came before it', async () => {
    const server = createFakeServer()
    server.put({ id: 1, text: 'a' })
    const query = open(server)
    query.start()
    await pass(100)
    const made = { ...overlay('update', { id: 1, text: 'b' }), isHidden: true }
    query.show(made)
    expect(query.snapshot.rows).toEqual([{ id: 1, text: 'a' }])
    made.isHidden = false
    made.outcome = { row: { id: 1, text: 'b' }, position: 'wal-1:ff' }
    query.committed(made)
    expect(query.snapshot.rows).toEqual([{ id: 1, text: 'b' }])
  })
})

type Walk =
  | 'put'
  | 'remove'
  | 'cut'
  | 'forget'
  | 'realtime'
  | 'http'
  | 'refuses'
  | 'network'
  | 'pause'
  | 'time'
  | 'more'
  | 'refresh'
  | 'slow'
  | 'write'
const walks: readonly Walk[] = [
  'put',
  'put',
  'put',
  'remove',
  'cut',
  'forget',
  'realtime',
  'http',
  'refuses',
  'network',
  'pause',
  'time',
  'time',
  'more',
  'refresh',
  'slow',
  'write',
]

describe('a random walk', () => {
  test('wherever it leads: once everything is well again the query is live and shows what there is', async () => {
    const steps = fc.array(fc.tuple(fc.constantFrom(...walks), fc.integer({ min: 0, max: 9 })), { maxLength: 40 })
    const spec = fc.constantFrom<LiveSpec>({}, { limit: 3 }, { where: { done: false }, order: { rank: 'desc' }, limit: 4 })
    await fc.assert(
      fc.asyncProperty(fc.boolean(), spec, steps, async (positions, given, taken) => {
        const server = createFakeServer({ positions })
        const query = open(server, given)
        query.start()
        let networkIsUp = true
        for (const [step, n] of taken) {
          if (step === 'put') server.put({ id: n, done: n % 2 === 0, rank: (n * 7) % 5, text: String(Math.floor(n / 3)) })
          else if (step === 'remove') server.remove(n)
          else if (step === 'cut') server.cut()
          else if (step === 'forget') server.forget()
          else if (step === 'realtime' || step === 'http' || step === 'refuses') server[step] = !server[step]
          else if (step === 'network') {
            networkIsUp = !networkIsUp
            query.network(networkIsUp ? 'networkUp' : 'networkDown')
          } else if (step === 'pause') {
            query.pause()
            if (n > 2) query.start()
          } else if (step === 'more') void query.loadMore(2)
          else if (step === 'refresh') void query.refresh()
          else if (step === 'slow') server.delayMs = n
          else if (step === 'write') {
            const overlay: Overlay = {
              id: `c${n}`,
              table: 'notes',
              kind: 'insert',
              row: { id: n + 100 },
              isHidden: false,
              outcome: undefined,
            }
            query.show(overlay)
            if (n > 4) query.withdraw(overlay)
            else {
              const row = { id: n + 100, done: false, rank: n, text: '' }
              server.put(row)
              overlay.outcome = { row, position: positions ? server.position : undefined }
              query.committed(overlay)
            }
          }
          await pass(step === 'time' ? n * 4_000 : n)
        }
        Object.assign(server, { http: true, realtime: true, refuses: false, delayMs: 1 })
        query.network('networkUp')
        query.start()
        server.cut()
        await pass(61_000)
        const limit = given.limit === undefined ? undefined : given.limit + 2 * taken.filter(([step]) => step === 'more').length
        const there = server.rows({ ...query.spec, limit: undefined })
        expect(query.state).toBe('live')
        expect(query.snapshot.error).toBeUndefined()
        expect(query.snapshot.rows).toEqual(there.slice(0, query.snapshot.rows.length))
        expect(query.snapshot.rows.length).toBeGreaterThanOrEqual(Math.min(there.length, given.limit ?? there.length))
        if (limit !== undefined) expect(query.snapshot.rows.length).toBeLessThanOrEqual(limit)
        query.pause()
        expect(vi.getTimerCount()).toBe(0)
      }),
      {
        numRuns: 150,
        examples: [
          [
            true,
            {},
            [
              ['slow', 3],
              ['put', 3],
              ['put', 1],
              ['put', 0],
              ['time', 1],
            ],
          ],
        ],
      },
    )
  })
})
