import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { silentLogger } from '../observability/observability.js'
import { createRedis } from '../redis/create-redis.js'
import { findRedisServer } from '../redis/embedded/find-server.js'
import { startTestRedis } from '../testing/redis/redis-server.js'
import { systemClock } from '../time/clock.js'
import { until } from '../time/until.js'
import type { LoadClient } from './cache.js'
import { cached } from './cached.js'
import type { Definitions } from './create-cache.js'
import { type OpenCache, openCache } from './open-cache.js'
import { Gate } from './testing/gate.js'
import { openHoldingProxy } from './testing/holding-proxy.js'
import { type NodeOptions, untilUp } from './testing/use-nodes.js'
import { useStage } from './testing/use-stage.js'
import { Intents } from './write/intents.js'

const program = await findRedisServer()

const numberOf = async (db: LoadClient, id: unknown) =>
  (await db.query<{ n: number }>('select n from things where id = $1', [id])).rows[0]?.n ?? null

class Money {
  readonly cents = 1
}

const makeValue: Readonly<Record<string, () => unknown>> = {
  cycle: () => {
    const self: { me?: unknown } = {}
    self.me = self
    return self
  },
  class: () => ({ price: new Money() }),
  function: () => [() => 1],
  nothing: () => undefined,
  large: () => 'x'.repeat(50 * 2 ** 20),
}

const definitions = (gate: Gate, linearizable: boolean) => ({
  thing: cached('thing:{id}', {
    ttl: '5m',
    from: { things: 'id' },
    linearizable,
    load: async ({ id }, db: LoadClient) => {
      const n = await numberOf(db, id)
      await gate.pass()
      return n
    },
  }),
  brief: cached('brief:{id}', {
    ttl: 200,
    from: { things: 'id' },
    load: async ({ id }, db: LoadClient) => {
      const n = await numberOf(db, id)
      await gate.pass()
      return n
    },
  }),
  twice: cached('twice:{id}', {
    ttl: '5m',
    from: { things: 'id' },
    load: async ({ id }, db: LoadClient) => {
      const first = await numberOf(db, id)
      await gate.pass()
      return [first, await numberOf(db, id)]
    },
  }),
  odd: cached('odd:{kind}', {
    ttl: '5m',
    load: async ({ kind }) => (String(kind) in makeValue ? makeValue[String(kind)]!() : kind),
  }),
  named: cached('named:{name}', {
    ttl: '5m',
    from: { named: 'name' },
    load: async ({ name }, db: LoadClient) =>
      (await db.query<{ n: number }>('select n from named where name = $1', [name])).rows[0]?.n ?? null,
  }),
})

type Node = OpenCache<ReturnType<typeof definitions>> & { readonly gate: Gate }

describe.skipIf(program === undefined)('a cache under attack', () => {
  const { database, client, redis, cleanups, name, open } = useStage({
    things: 'id bigint primary key, n integer not null',
    named: 'name text primary key, n integer not null',
  })

  interface Given extends NodeOptions {
    readonly linearizable?: boolean
  }

  const nodes = async (...given: readonly Given[]): Promise<readonly [Node, Node]> => {
    const opened: Node[] = []
    for (const { linearizable = false, ...options } of given) {
      const gate = new Gate()
      // Waits end by what they wait for, however slow the machine is.
      const cache = await open(definitions(gate, linearizable), { waitMs: 10_000, maxSilenceMs: 2000, ...options })
      cleanups.push(() => gate.open())
      opened.push({ ...cache, gate })
    }
    return opened as unknown as readonly [Node, Node]
  }

  const set = (id: number, n: number) =>
    client.query('insert into things values ($1, $2) on conflict (id) do update set n = excluded.n', [id, n])
  const change = (n: number) => (tx: LoadClient) => tx.query('update things set n = $1 where id = 1', [n])

  /** Every node answers so, now and from what it keeps. */
  const allGive = async (all: readonly Node[], n: number | null) => {
    for (const { entries } of all)
      await until(async () => (await entries.thing.get({ id: 1 })) === n, { what: `The number ${n}` })
    for (let time = 0; time < 3; time++) for (const { entries } of all) expect(await entries.thing.get({ id: 1 })).toBe(n)
  }

  it('CACHE-2: does not keep what Redis gave before a change and told after it', async () => {
    const proxy = await openHoldingProxy(redis.url)
    cleanups.push(() => proxy.stop())
    await set(1, 1)
    const [a, b] = await nodes({}, { redis: proxy.url })
    await allGive([a], 1)
    await until(async () => (await a.entries.thing.lookup({ id: 1 })).source === 'memory')
    proxy.hold(/thing:1/)
    const old = b.entries.thing.get({ id: 1 })
    await until(() => proxy.held() === 1, { what: 'A question to Redis' })
    const { position } = await a.write(change(2))
    await until(() => b.position()!.number >= position.number, { what: 'The change on the other node' })
    proxy.release()
    // Where the machine is so slow that Redis counts as away by then, Postgres was asked, and gives the new one.
    if ((await old) === 1) expect(b.entries.thing.peek({ id: 1 })).toBeUndefined()
    await allGive([a, b], 2)
  })

  it('CACHE-1: does not keep what was read before a change, where the value had just expired', async () => {
    await set(1, 1)
    const [a, b] = await nodes({}, {})
    expect(await a.entries.brief.get({ id: 1 })).toBe(1)
    await until(() => a.entries.brief.peek({ id: 1 }) === undefined, { what: 'The end of its time' })
    a.gate.close()
    const old = a.entries.brief.get({ id: 1 })
    await until(() => a.gate.waiting === 1)
    const { position } = await b.write(change(2))
    await until(() => a.position()!.number >= position.number)
    a.gate.open()
    expect(await old).toBe(1)
    for (const { entries } of [a, b]) expect(await entries.brief.get({ id: 1 }, { after: position })).toBe(2)
    for (const { entries } of [a, b]) expect(await entries.brief.get({ id: 1 })).toBe(2)
  })

  it('CACHE-5: two writers of one key each see their own write, and the last one stays', async () => {
    await set(1, 0)
    const [a, b] = await nodes({}, {})
    const writer = async (own: Node, other: Node) => {
      for (let time = 0; time < 15; time++) {
        const { result, position } = await own.write(async (tx) =>
          Number((await tx.query<{ n: number }>('update things set n = n + 1 where id = 1 returning n')).rows[0]!.n),
        )
        const seen = await Promise.all([own, other].map(({ entries }) => entries.thing.get({ id: 1 }, { after: position })))
        for (const n of seen) expect(n).toBeGreaterThanOrEqual(result)
      }
    }
    await Promise.all([writer(a, b), writer(b, a)])
    await allGive([a, b], 30)
  })

  it('S13: a linearizable write that is rolled back is as if it had never been announced', async () => {
    await set(1, 1)
    const [a, b] = await nodes({ linearizable: true }, { linearizable: true })
    const inMemory = async () => {
      for (const { entries } of [a, b]) if ((await entries.thing.lookup({ id: 1 })).source !== 'memory') return false
      return true
    }
    await until(inMemory, { what: 'Values in memory' })
    const failing = async (tx: LoadClient) => {
      await change(2)(tx)
      expect(await b.entries.thing.lookup({ id: 1 })).toMatchObject({ value: 1, source: 'load' })
      throw new RangeError('no')
    }
    await expect(a.write(failing, { touches: ['things'] })).rejects.toThrow(RangeError)
    await until(inMemory, { what: 'Values in memory again' })
    await allGive([a, b], 1)
  })

  it('S10: hears of what was changed in subtransactions, and of what of it stayed', async () => {
    await set(1, 1)
    const [a, b] = await nodes({}, {})
    a.gate.close()
    const old = a.entries.thing.get({ id: 1 })
    await until(() => a.gate.waiting === 1)
    const text = ['begin', 'savepoint one', 'update things set n = 2 where id = 1', 'release one', 'savepoint two']
    for (const each of [...text, 'update things set n = 3 where id = 1', 'rollback to two', 'commit']) await client.query(each)
    await until(async () => (await b.entries.thing.get({ id: 1 })) === 2, { what: 'The number 2' })
    a.gate.open()
    await old
    await allGive([a, b], 2)
  })

  it('S15: does not keep what a loader read partly before a change and partly after it', async () => {
    await set(1, 1)
    const [a, b] = await nodes({}, {})
    a.gate.close()
    const torn = a.entries.twice.get({ id: 1 })
    await until(() => a.gate.waiting === 1)
    const { position } = await b.write(change(2))
    await until(() => a.position()!.number >= position.number)
    a.gate.open()
    expect(await torn).toEqual([1, 2])
    for (const { entries } of [a, b]) expect(await entries.twice.get({ id: 1 })).toEqual([2, 2])
  })

  it('S15: a read in a transaction sees what that one wrote, and nobody else does', async () => {
    await set(1, 1)
    const [a, b] = await nodes({}, {})
    await allGive([a, b], 1)
    const reading = async (tx: LoadClient) => {
      await change(2)(tx)
      expect(await a.entries.thing.lookup({ id: 1 }, { tx })).toEqual({ value: 2, source: 'load', ageMs: 0 })
      expect(await a.entries.thing.getMany([{ id: 1 }, { id: 2 }], { tx })).toEqual([2, null])
      for (const { entries } of [a, b]) expect(await entries.thing.get({ id: 1 })).toBe(1)
      throw new RangeError('no')
    }
    await expect(a.write(reading)).rejects.toThrow(RangeError)
    await allGive([a, b], 1)
  })

  it('S13: a linearizable write returns while Redis is frozen, and while it is gone', { timeout: 120_000 }, async () => {
    const own = await startTestRedis()
    cleanups.push(() => own.stop())
    await set(1, 0)
    const given = { linearizable: true, redis: own.url, maxSilenceMs: 1000 }
    const [a, b] = await nodes(given, given)
    const writes = async (from: number, to: number) => {
      for (let n = from; n <= to; n++) {
        const began = performance.now()
        await (n % 2 === 0 ? a : b).write(change(n))
        expect(performance.now() - began).toBeLessThan(20_000)
        expect(await Promise.all([a, b].map(({ entries }) => entries.thing.get({ id: 1 })))).toEqual([n, n])
      }
    }
    // By each of them.
    await writes(1, 2)
    own.signal('SIGSTOP')
    await writes(3, 4)
    own.signal('SIGKILL')
    own.signal('SIGCONT')
    await writes(5, 6)
  })

  it('S12: a Redis that comes back with what it had before answers nothing of it', { timeout: 120_000 }, async () => {
    const dir = await mkdtemp(join(tmpdir(), 'tidemark-old-redis-'))
    const args = ['--dir', dir, '--dbfilename', 'old.rdb']
    let own = await startTestRedis({ args })
    cleanups.push(async () => {
      await own.stop()
      await rm(dir, { recursive: true, force: true })
    })
    await set(1, 1)
    const [a, b] = await nodes({ redis: own.url, maxSilenceMs: 1000 }, { redis: own.url, maxSilenceMs: 1000 })
    await allGive([a, b], 1)
    const knife = await createRedis({ url: own.url })
    await until(async () => (await knife.command(['EXISTS', `${name()}:thing:1`])) === 1, { what: 'The value in Redis' })
    await knife.command(['SAVE'])
    await knife.stop()
    const { position } = await a.write(change(2))
    await allGive([a, b], 2)
    for (const { entries } of [a, b]) await entries.thing.get({ id: 1 }, { after: position })
    own.signal('SIGKILL')
    await until(() => [a, b].every(({ pools, node }) => pools && node.state().redisEpoch === null), {
      what: 'Nodes without Redis',
    })
    own = await startTestRedis({ port: own.port, args })
    const wanted = [a, b].map(({ entries }) => entries.thing)
    let back = false
    const reading = (async () => {
      while (!back) for (const thing of wanted) expect(await thing.get({ id: 1 }, { after: position })).toBe(2)
    })()
    for (const each of [a, b]) await untilUp(each, 2000)
    back = true
    await reading
    for (const { entries } of [a, b]) entries.thing.evict({ id: 1 }).catch(() => undefined)
    await allGive([a, b], 2)
  })

  it('names what cannot be kept and where it is, answers what is too large, and harms no other key', async () => {
    const [a] = await nodes({})
    const failure = async (kind: string) => a.entries.odd.get({ kind }).catch((error: unknown) => error)
    expect(await failure('cycle')).toMatchObject({
      code: 'TM_CACHE_VALUE',
      parameters: { path: expect.stringContaining('odd:cycle.me') },
    })
    expect(await failure('class')).toMatchObject({ code: 'TM_CACHE_VALUE', parameters: { what: 'an instance of Money' } })
    expect(await failure('function')).toMatchObject({ code: 'TM_CACHE_VALUE', parameters: { what: 'a function' } })
    expect(await failure('nothing')).toMatchObject({ code: 'TM_CACHE_VALUE', parameters: { what: 'undefined' } })
    expect(await a.entries.odd.get({ kind: 'plain' })).toBe('plain')
    expect(String(await a.entries.odd.get({ kind: 'large' }))).toHaveLength(50 * 2 ** 20)
    expect([a.entries.odd.peek({ kind: 'large' }), a.entries.odd.peek({ kind: 'plain' })]).toEqual([undefined, 'plain'])
    expect(a.stats()['odd']).toMatchObject({ tooLarge: 1 })
    const knife = await createRedis({ url: redis.url })
    cleanups.push(() => knife.stop())
    const stands = () =>
      knife.command<number>([
        'EXISTS',
        ...['cycle', 'class', 'function', 'nothing', 'large'].map((kind) => `${name()}:odd:${kind}`),
      ])
    await until(async () => (await knife.command(['EXISTS', `${name()}:odd:plain`])) === 1)
    expect(await stands()).toBe(0)
    expect(await knife.command(['KEYS', `*${name()}:odd:*:lease`])).toEqual([])
  })

  it('R39: keys of any text are those of their rows, and no two are one', async () => {
    const [a, b] = await nodes({}, {})
    const names = [
      'a:b',
      'a%3Ab',
      '{x}',
      '}{',
      '%',
      ' ',
      '',
      'ü',
      '😀',
      "it's",
      'back\\slash',
      'a\nb',
      '{x}:lease',
      '*',
      'x'.repeat(300),
    ]
    expect(new Set(names.map((name) => a.entries.named.key({ name }))).size).toBe(names.length)
    for (const [i, name] of names.entries()) await client.query('insert into named values ($1, $2)', [name, i])
    const all = names.map((name) => ({ name }))
    for (const { entries } of [a, b])
      await until(async () => (await entries.named.getMany(all)).every((n, i) => n === i), { what: 'All rows' })
    for (const name of names) await client.query('update named set n = n + 100 where name = $1', [name])
    for (const { entries } of [a, b])
      await until(async () => (await entries.named.getMany(all)).every((n, i) => n === i + 100), { what: 'All changes' })
    for (const name of ['\0', '\ud800', 'x'.repeat(2000), undefined as unknown as string])
      await expect(a.entries.named.get({ name })).rejects.toMatchObject({ code: 'TM_CACHE_KEY' })
    await expect(a.entries.thing.get({ id: 1.5 })).rejects.toMatchObject({ code: 'TM_CACHE_KEY' })
    expect(await b.entries.named.get({ name: '{x}' })).toBe(102)
  })

  it.each<readonly [what: string, code: string, entry: Definitions[string]]>([
    ['a template without a name of its own', 'TM_CACHE_TEMPLATE', cached('{id}', { ttl: 1, load: async () => 1 })],
    ['a template with an open brace', 'TM_CACHE_TEMPLATE', cached('a:{id', { ttl: 1, load: async () => 1 })],
    ['two names side by side', 'TM_CACHE_TEMPLATE', cached('a:{x}{y}', { ttl: 1, load: async () => 1 })],
    ['a table that is not there', 'TM_CACHE_RULE', cached('a:{id}', { ttl: 1, from: { nowhere: 'id' }, load: async () => 1 })],
    [
      'a column that is not there',
      'TM_CACHE_RULE',
      cached('a:{id}', { ttl: 1, from: { things: 'nothing' }, load: async () => 1 }),
    ],
    ['one column for two names', 'TM_CACHE_RULE', cached('a:{x}:{y}', { ttl: 1, from: { things: 'id' }, load: async () => 1 })],
    ['a time that is none', 'TM_CACHE_OPTION', cached('a:{id}', { ttl: 'soon', load: async () => 1 })],
    ['a time of nothing', 'TM_CACHE_OPTION', cached('a:{id}', { ttl: 0, load: async () => 1 })],
    ['bytes below zero', 'TM_CACHE_OPTION', cached('a:{id}', { ttl: 1, maxBytes: -1, load: async () => 1 })],
    [
      'an order of eviction that is none',
      'TM_CACHE_OPTION',
      cached('a:{id}', { ttl: 1, eviction: 'fifo' as never, load: async () => 1 }),
    ],
    ['no loader', 'TM_CACHE_OPTION', cached('a:{id}', { ttl: 1, load: undefined as never })],
    ['encryption without keys', 'TM_CACHE_OPTION', cached('a:{id}', { ttl: 1, encrypted: true, load: async () => 1 })],
  ])('is not opened with %s, and leaves nothing open', async (_what, code, entry) => {
    const opening = openCache({ entries: { entry }, database: database.url, redis: redis.url, name: 'never' })
    cleanups.push(async () => (await opening.catch(() => undefined))?.stop())
    await expect(opening).rejects.toMatchObject({ code })
  })

  it('S13: what a dead node announced is ended once its lease is over, and what a live one did is not', async () => {
    const [a] = await nodes({ linearizable: true })
    const [dead, live] = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002']
    await client.query(`insert into tidemark.cache_nodes values ('alive', now() + interval '1 hour') on conflict do nothing`)
    for (const [id, node] of [
      [dead, 'gone'],
      [live, 'alive'],
    ])
      await client.query(`insert into tidemark.cache_intents values ($1, $2, '{public.things}', now() - interval '20 s')`, [
        id,
        node,
      ])
    const intents = new Intents({
      node: 'other',
      pool: a.pools.primary,
      redis: null,
      channel: '',
      maxSilenceMs: 1000,
      clock: systemClock,
      log: silentLogger,
      onHeld: () => undefined,
    })
    await intents.tidy()
    const { rows } = await client.query('select intent from tidemark.cache_ends where intent = any ($1)', [[dead, live]])
    expect(rows).toEqual([{ intent: dead }])
    await client.query(`delete from tidemark.cache_nodes where node = 'alive'`)
  })
})
