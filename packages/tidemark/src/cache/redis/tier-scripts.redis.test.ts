import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isVisible, parseSnapshot, type Snapshot } from '../../feed/sources/wal/snapshot.js'
import { createRedis } from '../../redis/create-redis.js'
import { defineScript } from '../../redis/lua-script.js'
import type { Redis } from '../../redis/redis.js'
import { sharedRedisUrl } from '../../testing/redis/redis-setup.js'
import { createRedisTier } from './create-redis-tier.js'
import type { LoadStamp, RedisTier } from './redis-tier.js'
import { visibilityLua } from './tier-scripts.js'

const url = sharedRedisUrl()
const epoch = 'e'

/** Ids where a number would go wrong: 32 bits, 53 bits and 63 bits are full, or a digit is added. */
const turns = [3n, 10n ** 9n, 2n ** 32n, 2n ** 53n, 10n ** 16n, 2n ** 63n, 10n ** 19n]
const nearTurn = fc
  .tuple(fc.constantFrom(...turns), fc.integer({ min: -3, max: 12 }))
  .map(([turn, offset]) => turn + BigInt(offset))

/** Asks the Lua of the fill, for many cases at once: fence, xmin, xmax, running, 'standby' or ''. */
const seesScript = defineScript(
  'test.sees',
  `${visibilityLua}
local answers = {}
for i = 1, #ARGV, 5 do
  answers[#answers + 1] = sees(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4] == 'standby') and 1 or 0
end
return answers`,
)

const argumentsOf = (fence: string, { xmin, xmax, inProgress }: Snapshot, whose: 'standby' | ''): string[] => [
  fence,
  String(xmin),
  String(xmax),
  `,${[...inProgress].join(',')},`,
  whose,
]

interface Loader {
  readonly token: string
  stamp: LoadStamp | null | undefined
  sees: readonly string[]
}

/** A database of which only the ids of its transactions are looked at, with a standby that lags. */
class Transactions {
  readonly all: bigint[] = []
  #next: bigint
  #running = new Set<bigint>()
  #standby: { readonly snapshot: string; readonly sees: readonly string[] }

  constructor(first: bigint) {
    this.#next = first
    this.#standby = this.primary()
  }

  begin(): void {
    this.all.push(this.#next)
    this.#running.add(this.#next++)
  }

  commit(choice: number): void {
    const running = [...this.#running]
    if (running.length > 0) this.#running.delete(running[choice % running.length]!)
  }

  commitAll(): void {
    this.#running.clear()
  }

  replicate(): void {
    this.#standby = this.primary()
  }

  primary(): { readonly snapshot: string; readonly sees: readonly string[] } {
    const running = [...this.#running]
    const sees = this.all.filter((xid) => !this.#running.has(xid)).map(String)
    return { snapshot: `${running[0] ?? this.#next}:${this.#next}:${running.join(',')}`, sees }
  }

  standby(): { readonly snapshot: string; readonly sees: readonly string[] } {
    // It does not tell who runs.
    return { snapshot: this.#standby.snapshot.replace(/[^:]*$/, ''), sees: this.#standby.sees }
  }
}

type Step = readonly [
  kind: 'begin' | 'commit' | 'replicate' | 'purge' | 'burst' | 'evict' | 'lease' | 'primary' | 'standby' | 'fill' | 'read',
  choice: number,
]

const kinds: readonly Step[0][] = [
  ...(['begin', 'begin', 'commit', 'commit', 'commit', 'replicate', 'purge', 'purge', 'burst', 'evict'] as const),
  ...(['lease', 'lease', 'primary', 'primary', 'standby', 'fill', 'fill', 'fill', 'read', 'read', 'read', 'read'] as const),
]
const steps = fc.array(fc.tuple(fc.constantFrom(...kinds), fc.nat(1000)), { minLength: 20, maxLength: 60, size: 'max' })

/** One key, read and changed by many; at any time what it holds has seen every change that was purged. */
class History {
  readonly #tier: RedisTier
  readonly #key = `test:${randomBytes(8).toString('hex')}`
  readonly #transactions: Transactions
  readonly #purged = new Set<string>()
  readonly #loaders: Loader[] = []
  stored = 0

  constructor(tier: RedisTier, first: bigint) {
    this.#tier = tier
    this.#transactions = new Transactions(first)
  }

  async play([kind, choice]: Step): Promise<void> {
    const transactions = this.#transactions
    if (kind === 'begin' || kind === 'replicate') transactions[kind]()
    else if (kind === 'commit') transactions.commit(choice)
    else if (kind === 'purge') await this.#purge([transactions.all[choice % transactions.all.length]])
    else if (kind === 'burst') await this.#burst(choice % 100)
    else if (kind === 'evict') await this.#tier.purge([{ key: this.#key, xid: null }])
    else if (kind === 'lease') await this.#lease()
    else if (kind === 'read') await this.#read(choice % 3 === 0 ? 'standby' : 'primary')
    else await this.#load(kind, this.#loaders.at(-1 - Math.min(choice % 4, this.#loaders.length - 1)))
    await this.check()
  }

  async check(): Promise<void> {
    const sees = (await this.#tier.get(this.#key, epoch))?.value as readonly string[] | undefined
    if (sees) expect([...this.#purged].filter((xid) => !sees.includes(xid))).toEqual([])
  }

  /** When all is over, nothing keeps a value out. */
  async settle(): Promise<void> {
    this.#transactions.commitAll()
    await this.#tier.purge([{ key: this.#key, xid: null }])
    const stored = this.stored
    await this.#read('primary')
    expect(this.stored).toBe(stored + 1)
    await this.check()
  }

  /** A load without anything in between, as most are. */
  async #read(kind: 'primary' | 'standby'): Promise<void> {
    if (!(await this.#lease())) return
    await this.#load(kind, this.#loaders.at(-1))
    await this.#load('fill', this.#loaders.at(-1))
  }

  async #purge(ids: readonly (bigint | undefined)[]): Promise<void> {
    const purges = ids.filter((xid) => xid !== undefined).map((xid) => ({ key: this.#key, xid: String(xid) }))
    await this.#tier.purge(purges)
    for (const { xid } of purges) this.#purged.add(xid)
  }

  async #burst(count: number): Promise<void> {
    for (let n = 0; n < count; n++) this.#transactions.begin()
    await this.#purge(this.#transactions.all.slice(-count - 1))
  }

  async #lease(): Promise<boolean> {
    const answer = await this.#tier.lease(this.#key, epoch)
    if (answer.state !== 'granted') return false
    const { sees } = this.#transactions.primary()
    this.#loaders.push({ token: answer.token, stamp: answer.fences.length === 0 ? null : undefined, sees })
    return true
  }

  async #load(kind: 'primary' | 'standby' | 'fill', loader: Loader | undefined): Promise<void> {
    if (loader === undefined) return
    if (kind !== 'fill') {
      const { snapshot, sees } = this.#transactions[kind]()
      loader.stamp = { snapshot, standby: kind === 'standby' }
      loader.sees = sees
    } else if (loader.stamp !== undefined) {
      const value = { value: loader.sees, plain: true, freshForMs: 60_000, keptForMs: 60_000, asOf: 0n, tags: [] }
      const answer = await this.#tier.fill(this.#key, epoch, loader.token, value, loader.stamp)
      if (answer === 'stored') this.stored++
    }
  }
}

describe.skipIf(url === undefined)('The scripts of the tier in Redis', () => {
  let redis: Redis
  beforeAll(async () => {
    redis = await createRedis({ url: url!, commandTimeoutMs: 20_000 })
  })
  afterAll(() => redis.stop())

  it('CACHE-1 see in a snapshot what the feed sees in it, where ids have 32, 53 and 63 bits as well', async () => {
    const scene = fc.record({
      xid: nearTurn,
      bounds: fc.tuple(nearTurn, nearTurn).map(([one, other]) => (one < other ? [one, other] : [other, one])),
      running: fc.uniqueArray(nearTurn, { maxLength: 20 }),
    })
    const cases = fc.array(scene, { minLength: 200, maxLength: 200, size: 'max' })
    let seen = 0
    await fc.assert(
      fc.asyncProperty(cases, async (list) => {
        const asked = list.map(({ xid, bounds: [xmin, xmax], running }) => {
          const inside = running.filter((id) => id >= xmin! && id < xmax!)
          return { xid, snapshot: parseSnapshot(`${xmin}:${xmax}:${inside.join(',')}`) }
        })
        const args = asked.flatMap(({ xid, snapshot }) => [
          ...argumentsOf(String(xid), snapshot, ''),
          ...argumentsOf(String(xid), snapshot, 'standby'),
          ...argumentsOf(`<${xid}`, snapshot, ''),
          ...argumentsOf(`s${xid}`, snapshot, 'standby'),
        ])
        const answers = await redis.script<number[]>(seesScript, [], args)
        for (const [index, { xid, snapshot }] of asked.entries()) {
          const over = xid < snapshot.xmin ? 1 : 0
          const expected = [isVisible(xid, snapshot) ? 1 : 0, over, over, over]
          expect(answers.slice(4 * index, 4 * index + 4), `${xid} in ${JSON.stringify(String(snapshot.xmin))}`).toEqual(expected)
          seen += expected[0]! - over
        }
      }),
      { numRuns: 50 },
    )
    // Also between xmin and xmax, where the list decides.
    expect(seen).toBeGreaterThan(100)
  })

  it('CACHE-1 keep a value only while it has seen each change that was purged, in any order of leases, loads and purges', async () => {
    const tier = createRedisTier({ redis, leaseMs: 600_000 })
    let stored = 0
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...turns), steps, async (first, list) => {
        const history = new History(tier, first - 2n)
        for (const step of list) await history.play(step)
        stored += history.stored
        await history.settle()
      }),
      { numRuns: 150 },
    )
    expect(stored).toBeGreaterThan(50)
  })
})
