import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createRedis } from '../../redis/create-redis.js'
import type { Redis } from '../../redis/redis.js'
import { createFakeClock } from '../../testing/fake-clock.js'
import { sharedRedisUrl } from '../../testing/redis/redis-setup.js'
import { startUpstashFacade, type UpstashFacade } from '../../testing/redis/upstash-facade.js'
import { until } from '../../time/until.js'
import { companionKeys } from './companion-keys.js'
import { createRedisTier } from './create-redis-tier.js'
import type { LeaseAnswer, LoadStamp, NewValue, RedisTier } from './redis-tier.js'

const url = sharedRedisUrl()
// The machine may be busy, and only tests that say so are about time.
const commandTimeoutMs = 20_000
const leaseMs = 600_000
const epoch = 'system-1/timeline-1'
const newValue = (value: unknown, rest: Partial<NewValue> = {}): NewValue => ({
  value,
  plain: true,
  freshForMs: 30_000,
  keptForMs: 60_000,
  asOf: 7n,
  tags: [],
  ...rest,
})
const primary = (snapshot: string): LoadStamp => ({ snapshot, standby: false })
const standby = (snapshot: string): LoadStamp => ({ snapshot, standby: true })
const granted = (answer: LeaseAnswer): string => {
  if (answer.state !== 'granted') throw new Error(`the lease is ${answer.state}`)
  return answer.token
}

describe.skipIf(url === undefined).each(['TCP', 'Upstash REST'])('The tier in Redis over %s', (driver) => {
  let facade: UpstashFacade | undefined
  let redis: Redis
  let tier: RedisTier
  let key: string

  beforeAll(async () => {
    if (driver === 'TCP') redis = await createRedis({ url: url!, commandTimeoutMs })
    else {
      facade = await startUpstashFacade({ redisUrl: url!, token: 'a-token' })
      redis = await createRedis({ restUrl: facade.url, restToken: 'a-token', commandTimeoutMs })
    }
    tier = createRedisTier({ redis, leaseMs })
  })
  afterAll(async () => {
    await redis.stop()
    await facade?.stop()
  })
  beforeEach(() => {
    key = `test:${randomBytes(6).toString('hex')}`
  })

  const store = async (name: string, value: unknown, rest?: Partial<NewValue>, into = tier): Promise<void> => {
    const token = granted(await into.lease(name, epoch))
    expect(await into.fill(name, epoch, token, newValue(value, rest), null)).toBe('stored')
  }

  it('gives what was stored, with its age, its position and its tags', async () => {
    await store(key, { text: 'grüße', n: 5 }, { ageMs: 100, tags: ['user:5', 'grüße'] })
    const found = await tier.get(key, epoch)
    expect(found).toMatchObject({ value: { text: 'grüße', n: 5 }, asOf: 7n, tags: ['user:5', 'grüße'] })
    expect(found!.ageMs).toBeGreaterThanOrEqual(100)
    expect(found!.ageMs + found!.freshForMs).toBe(30_100)
    expect(found!.ageMs + found!.keptForMs).toBe(60_100)
    expect(await redis.command(['STRLEN', key])).toBe(found!.bytes)
    const left = await redis.command<number>(['PTTL', key])
    expect(left > 0 && left <= 60_000).toBe(true)
  })

  it('gives dates, big integers, bytes and maps as they were', async () => {
    const value = { at: new Date(5), n: 2n ** 65n, bytes: Buffer.from([255, 0, 254]), map: new Map([[1, new Set(['x'])]]) }
    await store(key, value, { plain: false })
    expect((await tier.get(key, epoch))?.value).toEqual(value)
  })

  it('has nothing for a key it never saw, for one of another epoch, and for what others wrote', async () => {
    expect(await tier.get(key, epoch)).toBeUndefined()
    await store(key, 'x')
    expect(await tier.get(key, 'another')).toBeUndefined()
    expect(await tier.get(key, epoch)).toBeDefined()
    await redis.command(['SET', key, 'not ours'])
    expect(await tier.get(key, epoch)).toBeUndefined()
    await redis.command(['DEL', key])
    await redis.command(['RPUSH', key, 'a', 'list'])
    expect(await tier.get(key, epoch)).toBeUndefined()
    await store(key, 'ours')
    expect((await tier.get(key, epoch))?.value).toBe('ours')
  })

  it('gives many in the order of the keys, also twice, with gaps, and what is asked for at once', async () => {
    const names = Array.from({ length: 600 }, (_none, n) => `${key}:${n}`)
    await Promise.all(names.filter((_name, n) => n % 30 === 0).map((name) => store(name, name)))
    await redis.command(['RPUSH', names[1]!, 'a list'])
    const asked = [...names, ...names.slice(0, 10)]
    const expected = asked.map((name) => (Number(name.split(':')[2]) % 30 === 0 ? name : undefined))
    expect((await tier.getMany(asked, epoch)).map((found) => found?.value)).toEqual(expected)
    const single = await Promise.all(asked.map((name) => tier.get(name, epoch)))
    expect(single.map((found) => found?.value)).toEqual(expected)
    expect(await tier.getMany([], epoch)).toEqual([])
  })

  it('lets one of many load, and the others find what it stored', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => tier.lease(key, epoch)))
    const tokens = answers.filter((answer) => answer.state === 'granted')
    expect(tokens).toHaveLength(1)
    expect(answers.filter((answer) => answer.state === 'taken')).toHaveLength(19)
    expect(await tier.fill(key, epoch, granted(tokens[0]!), newValue('x'), null)).toBe('stored')
    expect(await tier.lease(key, epoch)).toMatchObject({ state: 'found', found: { value: 'x', asOf: 7n } })
    expect(await redis.command(['EXISTS', companionKeys(key).lease])).toBe(0)
  })

  it('lets who has seen a value load it again, unless another has done so', async () => {
    await store(key, 'old')
    const { id } = (await tier.get(key, epoch))!
    const token = granted(await tier.lease(key, epoch, id))
    expect(await tier.lease(key, epoch, id)).toEqual({ state: 'taken' })
    expect((await tier.get(key, epoch))?.value).toBe('old')
    await tier.fill(key, epoch, token, newValue('new'), null)
    expect(await tier.lease(key, epoch, id)).toMatchObject({ state: 'found', found: { value: 'new' } })
  })

  it('grants a lease over what nobody can read: damaged, of another epoch, past its time', async () => {
    await store(key, 'x')
    granted(await tier.lease(key, 'another'))
    await tier.purge([{ key, xid: null }])
    await store(key, 'x')
    const length = await redis.command<number>(['STRLEN', key])
    await redis.command(['SETRANGE', key, length - 1, '~'])
    expect(await tier.get(key, epoch)).toBeUndefined()
    const token = granted(await tier.lease(key, epoch))
    expect(await tier.fill(key, epoch, token, newValue('whole'), null)).toBe('stored')
    expect((await tier.get(key, epoch))?.value).toBe('whole')
    const clock = createFakeClock(Date.now() + 61_000)
    const ahead = createRedisTier({ redis, clock })
    expect(await ahead.get(key, epoch)).toBeUndefined()
    granted(await ahead.lease(key, epoch))
  })

  it('CACHE-1 refuses what was loaded before a change that came in between', async () => {
    const token = granted(await tier.lease(key, epoch))
    await tier.purge([{ key, xid: '100' }])
    expect(await tier.fill(key, epoch, token, newValue('old'), primary('90:95:'))).toBe('refused')
    expect(await tier.fill(key, epoch, token, newValue('old'), primary('200:200:'))).toBe('refused')
    expect(await tier.get(key, epoch)).toBeUndefined()
  })

  it('CACHE-1 refuses it too where no change but an eviction came in between', async () => {
    const token = granted(await tier.lease(key, epoch))
    await tier.purge([{ key, xid: null }])
    expect(await tier.fill(key, epoch, token, newValue('old'), null)).toBe('refused')
    expect(await tier.lease(key, epoch)).toMatchObject({ state: 'granted', fences: [] })
  })

  it('CACHE-1 refuses who lost the lease to another, and leaves that one its own', async () => {
    const first = granted(await tier.lease(key, epoch))
    await tier.release(key, first)
    const second = granted(await tier.lease(key, epoch))
    expect(await tier.fill(key, epoch, first, newValue('late'), null)).toBe('refused')
    expect(await tier.fill(key, epoch, 'made-up', newValue('late'), null)).toBe('refused')
    await tier.release(key, first)
    expect(await tier.lease(key, epoch)).toEqual({ state: 'taken' })
    expect(await tier.fill(key, epoch, second, newValue('x'), null)).toBe('stored')
  })

  it('CACHE-1 refuses who took longer than the lease stands', async () => {
    const hasty = createRedisTier({ redis, leaseMs: 20 })
    expect(hasty.leaseMs).toBe(20)
    const token = granted(await hasty.lease(key, epoch))
    await until(async () => (await redis.command(['EXISTS', companionKeys(key).lease])) === 0)
    expect(await hasty.fill(key, epoch, token, newValue('late'), null)).toBe('refused')
    expect(await tier.get(key, epoch)).toBeUndefined()
  })

  it('CACHE-1 stores only what has seen each fenced change, and tells of them with the lease', async () => {
    await tier.purge([
      { key, xid: '100' },
      { key, xid: '98' },
    ])
    const attempt = async (stamp: LoadStamp | null) => {
      const answer = await tier.lease(key, epoch)
      expect(answer.state === 'granted' && [...answer.fences].sort()).toEqual(['100', '98'])
      const outcome = await tier.fill(key, epoch, granted(answer), newValue('x'), stamp)
      expect((await tier.get(key, epoch)) === undefined).toBe(outcome !== 'stored')
      return outcome
    }
    expect(await attempt(null)).toBe('refused')
    expect(await attempt(primary('99:99:'))).toBe('refused')
    expect(await attempt(primary('90:100:95'))).toBe('refused')
    expect(await attempt(primary('90:101:95,100'))).toBe('refused')
    expect(await attempt(primary('90:101:98'))).toBe('refused')
    // soundness 11: a running transaction counts as over there.
    expect(await attempt(standby('99:101:'))).toBe('refused')
    expect(await attempt(standby('100:101:'))).toBe('refused')
    expect(await attempt(primary('90:101:95,99,1000,10,9'))).toBe('stored')
  })

  it('CACHE-1 takes what a standby has seen for sure, and asks it also where the primary has stored since', async () => {
    await tier.purge([{ key, xid: '100' }])
    expect(await tier.fill(key, epoch, granted(await tier.lease(key, epoch)), newValue('x'), standby('101:101:'))).toBe('stored')
    await tier.purge([{ key, xid: '103' }])
    expect(await tier.fill(key, epoch, granted(await tier.lease(key, epoch)), newValue('y'), primary('102:105:102'))).toBe(
      'stored',
    )
    await tier.purge([{ key, xid: null }])
    expect(await tier.fill(key, epoch, granted(await tier.lease(key, epoch)), newValue('x'), standby('103:104:'))).toBe('refused')
    expect(await tier.fill(key, epoch, granted(await tier.lease(key, epoch)), newValue('x'), null)).toBe('refused')
    // What one snapshot of the primary saw, all later ones see.
    expect(await tier.fill(key, epoch, granted(await tier.lease(key, epoch)), newValue('y'), primary('102:105:102'))).toBe(
      'stored',
    )
  })

  it('CACHE-1 asks a standby for the highest of the changes, where as numbers they would be one', async () => {
    const [low, high, next] = [10n ** 16n - 1n, 10n ** 16n, 10n ** 16n + 1n].map(String)
    expect(Number(low)).toBe(Number(high))
    await tier.purge([low!, high!].map((xid) => ({ key, xid })))
    const load = async (stamp: LoadStamp) => tier.fill(key, epoch, granted(await tier.lease(key, epoch)), newValue('x'), stamp)
    expect(await load(primary(`${next}:${next}:`))).toBe('stored')
    await tier.purge([{ key, xid: null }])
    expect(await load(standby(`${high}:${next}:`))).toBe('refused')
    expect(await load(standby(`${next}:${next}:`))).toBe('stored')
  })

  it('forgets a change after its time, and not before', async () => {
    const brief = createRedisTier({ redis, leaseMs: 20_000, fenceMs: 5000 })
    await brief.purge([{ key, xid: '100' }])
    const left = await redis.command<number>(['PTTL', companionKeys(key).fence])
    expect(left).toBeGreaterThan(20_000)
    expect(left).toBeLessThanOrEqual(40_000)
    await tier.purge([{ key, xid: '100' }])
    expect(await redis.command(['PTTL', companionKeys(key).fence])).toBeGreaterThan(55_000)
  })

  it('keeps no more than a few changes of a key one by one, and loses none of them', async () => {
    const ids = Array.from({ length: 500 }, (_none, n) => String(2n ** 53n + BigInt(n)))
    for (let from = 0; from < ids.length; from += 50) await tier.purge(ids.slice(from, from + 50).map((xid) => ({ key, xid })))
    expect(await redis.command(['ZCARD', companionKeys(key).fence])).toBeLessThanOrEqual(64)
    const attempt = async (snapshot: string) =>
      tier.fill(key, epoch, granted(await tier.lease(key, epoch)), newValue('x'), primary(snapshot))
    const after = String(2n ** 53n + 1000n)
    for (const running of [ids[0]!, ids[3]!, ids[250]!, ids[499]!]) {
      expect(await attempt(`${running}:${after}:${running}`)).toBe('refused')
    }
    expect(await attempt(`${after}:${after}:`)).toBe('stored')
    expect(await redis.command(['ZCARD', companionKeys(key).fence])).toBe(1)
  })

  it('purges thousands at once, and leaves others alone', async () => {
    await store(`${key}:other`, 'stays')
    const names = Array.from({ length: 5000 }, (_none, n) => `${key}:${n}`)
    await Promise.all([0, 1, 2500, 4999].map((n) => store(names[n]!, n)))
    await redis.command(['SCRIPT', 'FLUSH'])
    await tier.purge(names.map((name) => ({ key: name, xid: '100' })))
    expect((await tier.getMany(names, epoch)).every((found) => found === undefined)).toBe(true)
    expect((await tier.get(`${key}:other`, epoch))?.value).toBe('stays')
    const fences = await redis.command<number>(['EXISTS', ...names.map((name) => companionKeys(name).fence)])
    expect(fences).toBe(5000)
    await tier.purge([])
  })

  it('purges a key whose fence is somebody else’s, and refuses an id that is none', async () => {
    await store(key, 'x')
    await redis.command(['SET', companionKeys(key).fence, 'not ours'])
    await tier.purge([{ key, xid: '100' }])
    expect(await tier.lease(key, epoch)).toMatchObject({ state: 'granted', fences: ['100'] })
    for (const xid of ['', '-1', '007', '1e3', ' 5', '123456789012345678901']) {
      await expect(tier.purge([{ key, xid }])).rejects.toMatchObject({ code: 'TM_INTERNAL' })
    }
    await expect(tier.fill(key, epoch, 't', newValue('x'), primary('no snapshot'))).rejects.toMatchObject({
      code: 'TM_FEED_PROTOCOL',
    })
  })

  it('does not store what is too large, past its time, or cannot be written down, and gives the lease back', async () => {
    const small = createRedisTier({ redis, maxValueBytes: 1000 })
    const cases: NewValue[] = [
      newValue('x'.repeat(1000)),
      newValue('x', { keptForMs: 0.5 }),
      newValue(() => 1, { plain: false }),
      newValue({ big: 1n }),
    ]
    for (const value of cases) {
      const token = granted(await small.lease(key, epoch))
      expect(await small.fill(key, epoch, token, value, null)).toBe('unfit')
    }
    granted(await small.lease(key, epoch))
    expect(await small.get(key, epoch)).toBeUndefined()
  })

  it('carries a value of megabytes', async () => {
    const value = { text: 'größe '.repeat(300_000) }
    await store(key, value)
    expect((await tier.get(key, epoch))?.value).toEqual(value)
  })

  it('R126, C58: keeps sealed values from whoever has no key, and from standing under another key', async () => {
    const [k1, k2] = [randomBytes(32).toString('base64'), randomBytes(32).toString('hex')]
    const before = createRedisTier({ redis, encryption: { keys: { k1 }, current: 'k1' } })
    const rotated = createRedisTier({ redis, encryption: { keys: { k1, k2 }, current: 'k2' } })
    const after = createRedisTier({ redis, encryption: { keys: { k2 }, current: 'k2' } })
    const value = { text: 'a private word' }
    await store(key, value, { tags: ['user:4711'] }, before)
    const raw = await redis.command<Buffer>(['GET', key], { buffers: true })
    expect(raw.includes('private') || raw.includes('4711')).toBe(false)
    expect(await rotated.get(key, epoch)).toMatchObject({ value, tags: ['user:4711'] })
    expect([await after.get(key, epoch), await tier.get(key, epoch)]).toEqual([undefined, undefined])
    await redis.command(['SET', `${key}:moved`, raw])
    expect(await before.get(`${key}:moved`, epoch)).toBeUndefined()
    // A value under a lost key does not keep its Redis key from being loaded.
    await store(key, 'anew', {}, after)
    expect((await rotated.get(key, epoch))?.value).toBe('anew')
  })
})
