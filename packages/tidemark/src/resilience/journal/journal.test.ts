import { appendFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../../testing/fake-clock.js'
import { propertyRuns } from '../../testing/property-runs.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { useFolder } from '../../testing/use-folder.js'
import { until } from '../../time/until.js'
import type { JournalEntry } from './journal.js'
import { encodeLine, readLines } from './journal-line.js'
import { type JournalOptions, openJournal } from './open-journal.js'

const root = useFolder('journal')
const cleanups = useCleanups()
let folders = 0

const freshFolder = (): string => {
  folders += 1
  return join(root, String(folders))
}

const away = async (): Promise<void> => {
  throw new Error('the store is away')
}

/** What the store has: each id once, in the order in which it first came. */
const createStore = () => {
  const rows = new Map<string, number>()
  let calls = 0
  return {
    rows,
    numbers: () => [...rows.values()],
    get calls() {
      return calls
    },
    write: async (entries: readonly JournalEntry<number>[]): Promise<void> => {
      calls += 1
      for (const { id, data } of entries) if (!rows.has(id)) rows.set(id, data)
    },
  }
}

const open = async (options: Partial<JournalOptions<number>> & Pick<JournalOptions<number>, 'folder' | 'write'>) => {
  const journal = await openJournal<number>({ name: 'test', ...options })
  cleanups.push(() => journal.stop())
  return journal
}

describe('the journal', () => {
  it('C61: writes on in order, and holds nothing then', async () => {
    const store = createStore()
    const journal = await open({ folder: freshFolder(), write: store.write })
    await Promise.all(Array.from({ length: 500 }, (_, n) => journal.append(n)))
    await journal.drained()
    expect(store.numbers()).toEqual(Array.from({ length: 500 }, (_, n) => n))
    expect(journal.backlog()).toMatchObject({ entries: 0, bytes: 0, oldestAt: null, refused: 0 })
  })

  it('C61: keeps what comes while the store is away, tells of it on /health, and writes it once when the store is back', async () => {
    const folder = freshFolder()
    const clock = createFakeClock()
    const store = createStore()
    let isAway = true
    const write = async (entries: readonly JournalEntry<number>[]) => (isAway ? away() : store.write(entries))
    const journal = await openJournal<number>({ name: 'test', folder, write, clock, random: () => 1 })
    for (let n = 0; n < 5; n++) await journal.append(n)
    await clock.advance(20_000)
    expect(journal.backlog()).toMatchObject({ entries: 5, oldestAt: clock.now() - 20_000 })
    expect(await journal.healthCheck.check(AbortSignal.timeout(1000))).toEqual({
      status: 'degraded',
      detail: '5 entries wait, the oldest for 20.0 s',
    })
    isAway = false
    await clock.advance(10_000)
    await until(() => store.rows.size === 5)
    expect(await journal.healthCheck.check(AbortSignal.timeout(1000))).toEqual({ status: 'up', detail: 'nothing waits' })
    await journal.stop()
  })

  it('C61: goes on with what a dead process left, whatever its end looks like', async () => {
    const folder = freshFolder()
    await mkdir(join(folder, 'test'), { recursive: true })
    const line = (n: number) => encodeLine({ id: `id-${n}`, at: n, data: n })
    const dead = `999999-1.deadbeef-1`
    // A later file, a damaged line in the middle, a torn one at the end; and an earlier file with an entry that was written on already.
    const later = Buffer.concat([line(3), Buffer.from('00000000 {"id":"x"}\n'), line(4), line(5).subarray(0, 20)])
    await writeFile(join(folder, 'test', `000000000000002-000001-00000000.${dead}.log`), later)
    await writeFile(join(folder, 'test', `000000000000001-000001-00000000.${dead}.log`), Buffer.concat([line(1), line(2)]))
    await writeFile(join(folder, 'test', 'something else'), 'x')
    const store = createStore()
    await store.write([{ id: 'id-1', at: 1, data: 1 }])
    const journal = await open({ folder, write: store.write })
    await journal.append(6)
    await journal.drained()
    expect(store.numbers()).toEqual([1, 2, 3, 4, 6])
    await journal.stop()
    expect(await readdir(join(folder, 'test'))).toEqual(['something else'])
  })

  it('C61: leaves to the next process what it could not write on, and takes nothing from one that lives', async () => {
    const folder = freshFolder()
    const first = await open({ folder, write: away })
    const store = createStore()
    await first.append(1)
    const second = await open({ folder, write: store.write })
    await second.append(2)
    await second.drained()
    expect(store.numbers()).toEqual([2])
    await first.stop()
    const third = await open({ folder, write: store.write })
    await third.drained()
    expect(store.numbers()).toEqual([2, 1])
    await expect(first.append(3)).rejects.toMatchObject({ code: 'TM_SERVER_STOPPING' })
  })

  it('is bounded: what does not fit is refused to its face, and fits again when there is room', async () => {
    const store = createStore()
    let isAway = true
    const write = async (entries: readonly JournalEntry<number>[]) => (isAway ? away() : store.write(entries))
    const journal = await open({ folder: freshFolder(), write, maxBytes: 500 })
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => journal.append(n)))
    const kept = outcomes.filter(({ status }) => status === 'fulfilled').length
    expect(kept).toBeGreaterThan(2)
    expect(kept).toBeLessThan(10)
    expect(outcomes.at(-1)).toMatchObject({ reason: { code: 'TM_RESILIENCE_JOURNAL_FULL' } })
    expect(journal.backlog().bytes).toBeLessThanOrEqual(500)
    isAway = false
    journal.wake()
    await journal.drained()
    await journal.append(99)
    await journal.drained()
    expect(store.numbers()).toEqual([...Array(kept).keys(), 99])
  })

  it('puts aside what the store refuses for ever, and that alone', async () => {
    const folder = freshFolder()
    const store = createStore()
    const write = async (entries: readonly JournalEntry<number>[]) => {
      if (entries.some(({ data }) => data === 3)) throw new Error('no such value')
      return store.write(entries)
    }
    const journal = await open({
      folder,
      write,
      isRefused: (error) => error instanceof Error && error.message === 'no such value',
    })
    await Promise.all([1, 2, 3, 4].map((n) => journal.append(n, `id-${n}`)))
    await journal.drained()
    expect(store.numbers()).toEqual([1, 2, 4])
    expect(journal.backlog()).toMatchObject({ entries: 0, refused: 1 })
    const [refused] = (await readFile(join(folder, 'test', 'refused.jsonl'), 'utf8')).trim().split('\n')
    expect(JSON.parse(refused ?? '')).toMatchObject({ id: 'id-3', data: 3, reason: 'no such value' })
  })

  it('flushes many entries of one moment together', async () => {
    const folder = freshFolder()
    const journal = await open({ folder, write: away })
    await Promise.all(Array.from({ length: 1000 }, (_, n) => journal.append(n)))
    expect(journal.backlog().entries).toBe(1000)
  })

  it('reads of a torn or damaged piece every line that is whole, and nothing else', () => {
    const property = fc.property(fc.array(fc.string(), { maxLength: 8 }), fc.nat(), fc.option(fc.nat()), (texts, cut, flip) => {
      const lines = texts.map((data, n) => encodeLine({ id: String(n), at: n, data }))
      const whole = Buffer.concat(lines)
      const piece = Buffer.from(whole.subarray(0, whole.length - (whole.length === 0 ? 0 : cut % whole.length)))
      const at = flip === null || piece.length === 0 ? undefined : flip % piece.length
      if (at !== undefined) piece[at] = piece[at]! ^ 0x01
      const read = readLines<string>(piece).flatMap(({ entry }) => (entry ? [entry] : []))
      let end = 0
      const expected = lines.flatMap((line, n) => {
        const start = end
        end += line.length
        const isHit = at !== undefined && at >= start && at < end
        // A newline that is hit joins two lines; the second is lost with the first.
        const isJoined = at !== undefined && n > 0 && at === start - 1
        return end <= piece.length && !isHit && !isJoined ? [{ id: String(n), at: n, data: texts[n] }] : []
      })
      expect(read).toEqual(expected)
    })
    fc.assert(property, propertyRuns(300))
  })

  it('refuses a name that is no folder', async () => {
    await appendFile(join(root, 'x'), '')
    await expect(open({ folder: root, write: away, name: '../x' })).rejects.toMatchObject({ code: 'TM_RESILIENCE_BAD_OPTION' })
    await expect(open({ folder: join(root, 'x'), write: away })).rejects.toMatchObject({ code: 'TM_STATE_FOLDER_UNUSABLE' })
  })
})
