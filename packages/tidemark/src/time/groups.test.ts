import { describe, expect, it } from 'vitest'
import { createGroups } from './groups.js'

const turn = () => new Promise((resolve) => setImmediate(resolve))

const openGroups = (maxRunning: number, maxItems = 100, maxBytes = 100) => {
  const written: (readonly number[])[] = []
  const releases: (() => void)[] = []
  const groups = createGroups<number>({
    write: async (items) => {
      written.push(items)
      await new Promise<void>((resolve) => releases.push(resolve))
      if (items.includes(13)) throw new Error('thirteen')
    },
    bytesOf: (item) => item,
    maxRunning,
    maxItems,
    maxBytes,
  })
  return { groups, written, release: () => releases.shift()!() }
}

describe('groups', () => {
  it('leave nothing behind that comes at the very moment when the last was written', async () => {
    for (let later = 0; later < 10; later++) {
      const written: number[] = []
      const groups = createGroups<number>({ write: async (items) => void written.push(...items), maxRunning: 1, maxItems: 100 })
      await groups.add(1)
      for (let turns = 0; turns < later; turns++) await Promise.resolve()
      await groups.add(2)
      expect(written).toEqual([1, 2])
    }
  })

  it('hold what came in one turn of the event loop, and then what came while one was written', async () => {
    const { groups, written, release } = openGroups(1)
    const first = [groups.add(1), groups.add(2)]
    await turn()
    const second = [groups.add(3), groups.add(4)]
    await turn()
    expect(written).toEqual([[1, 2]])
    release()
    await Promise.all(first)
    expect(written).toEqual([
      [1, 2],
      [3, 4],
    ])
    release()
    await Promise.all(second)
    await groups.idle()
  })

  it('are written several at a time where that may be', async () => {
    const { groups, written, release } = openGroups(2)
    const all = [1, 2, 3].map(async (n) => {
      for (let each = 0; each < n; each++) await turn()
      return groups.add(n)
    })
    for (let each = 0; each < 6; each++) await turn()
    expect(written).toEqual([[1], [2]])
    release()
    release()
    await turn()
    release()
    await Promise.all(all)
    expect(written).toEqual([[1], [2], [3]])
  })

  it('are bounded by their number and their bytes, but one item is always a group', async () => {
    const { groups, written, release } = openGroups(1, 2, 50)
    const all = [200, 10, 20, 30, 5].map((item) => groups.add(item))
    for (let each = 0; each < 3; each++) {
      await turn()
      release()
    }
    await Promise.all(all)
    expect(written).toEqual([[200], [10, 20], [30, 5]].slice(0, written.length))
    expect(written).toHaveLength(3)
  })

  it('that fail fail for those in them alone', async () => {
    const { groups, release } = openGroups(1, 1)
    const [good, bad] = [groups.add(1), groups.add(13)]
    const refused = expect(bad).rejects.toThrow('thirteen')
    await turn()
    release()
    await good
    await turn()
    release()
    await refused
  })
})
