import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { isTidemarkError } from '../../errors.js'
import { defineScript } from '../../redis/lua-script.js'
import type { PipelineResult, Redis, RedisReply } from '../../redis/redis.js'

/** One requirement on a driver, to be run by any test runner. */
export interface ConformanceCase {
  readonly name: string
  run(): Promise<void>
}

interface Scene {
  readonly redis: Redis
  /** A key that nobody else uses. */
  key(name?: string): string
}

type Check = (scene: Scene) => Promise<void>

const refusedWith = (pattern: RegExp) => (error: unknown) =>
  isTidemarkError(error, 'TM_REDIS_COMMAND') && pattern.test(String(error.parameters.reason))

const values = (results: readonly PipelineResult[]): RedisReply[] =>
  results.map((result) => {
    if (!result.ok) throw result.error
    return result.value
  })

const allBytes = Buffer.from(Array.from({ length: 256 }, (_none, byte) => byte))

const checks: Readonly<Record<string, Check>> = {
  'is up, names its target without secrets, and measures a round trip': async ({ redis }) => {
    assert.equal(redis.state, 'up')
    assert.match(redis.target, /^(?:rediss?|https?):\/\/[^@]+$/)
    assert.ok((await redis.ping()) >= 0)
  },
  'gives text, integers, null and status as they are, also text that looks like JSON or base64': async ({ redis, key }) => {
    const k = key()
    assert.equal(await redis.command(['GET', k]), null)
    for (const text of ['{"a":1}', '12', 'true', 'null', 'OK', 'T0s=', '', 'grüße 🌊', 'two\nlines', ' ']) {
      assert.equal(await redis.command(['SET', k, text]), 'OK')
      assert.equal(await redis.command(['GET', k]), text)
    }
    assert.equal(await redis.command(['DEL', k]), 1)
    assert.equal(await redis.command(['SET', k, 7, 'PX', 60_000, 'NX']), 'OK')
    assert.equal(await redis.command(['SET', k, 8, 'NX']), null)
    assert.equal(await redis.command(['INCRBY', k, 35]), 42)
  },
  'gives maps as flat lists, floating numbers as text, and lists within lists': async ({ redis, key }) => {
    const [h, z, s] = [key('h'), key('z'), key('s')]
    await redis.command(['HSET', h, 'a', '1', 'b', '2'])
    assert.deepEqual(await redis.command(['hgetall', h]), ['a', '1', 'b', '2'])
    assert.deepEqual(await redis.command(['HMGET', h, 'a', 'x']), ['1', null])
    await redis.command(['ZADD', z, 1.5, 'm'])
    assert.equal(await redis.command(['ZSCORE', z, 'm']), '1.5')
    assert.deepEqual(await redis.command(['ZRANGE', z, 0, -1, 'WITHSCORES']), ['m', '1.5'])
    await redis.command(['XADD', s, '1-1', 'f', 'v'])
    assert.deepEqual(await redis.command(['XRANGE', s, '-', '+']), [['1-1', ['f', 'v']]])
  },
  'carries any bytes, in keys, values and replies': async ({ redis, key }) => {
    const k = Buffer.concat([Buffer.from(key()), allBytes])
    assert.deepEqual(await redis.command(['SET', k, allBytes], { buffers: true }), Buffer.from('OK'))
    assert.deepEqual(await redis.command(['GET', k], { buffers: true }), allBytes)
    assert.equal(await redis.command(['STRLEN', k]), 256)
    const [only] = await redis.pipeline([['GETRANGE', k, 128, 130]], { buffers: true })
    assert.deepEqual(only, { ok: true, value: allBytes.subarray(128, 131) })
    const h = key('h')
    await redis.command(['HSET', h, 'f', new Uint8Array([255, 0, 254])])
    assert.deepEqual(await redis.command(['HGETALL', h], { buffers: true }), [Buffer.from('f'), Buffer.from([255, 0, 254])])
    await redis.command(['DEL', k])
  },
  'rejects a command that the server refuses, without repeating its arguments': async ({ redis, key }) => {
    const k = key()
    await redis.command(['SET', k, 'text'])
    await assert.rejects(redis.command(['LPUSH', k, 'hunter2']), refusedWith(/^WRONGTYPE/))
    await assert.rejects(redis.command(['NOSUCH', 'hunter2', 'hunter3']), (error: Error) => {
      assert.doesNotMatch(`${error.message} ${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`, /hunter/)
      return refusedWith(/unknown command/i)(error)
    })
    assert.equal(redis.state, 'up')
  },
  'refuses what would change a shared connection, and arguments that are none': async ({ redis }) => {
    for (const name of ['SUBSCRIBE', 'select', 'MULTI', 'Monitor', 'QUIT']) {
      await assert.rejects(redis.command([name, 'x']), refusedWith(/change the connection/))
    }
    await assert.rejects(redis.command(['SET', 'k', undefined as never]), refusedWith(/argument 2 of SET is undefined/))
    await assert.rejects(redis.command(['SET', 'k', Number.NaN]), refusedWith(/argument 2/))
    await assert.rejects(redis.pipeline([['GET', {} as never]]), refusedWith(/argument 1/))
    await assert.rejects(redis.command(['not a name']), refusedWith(/not a word/))
  },
  'sends many commands at once, and lets one that fails fail alone': async ({ redis, key }) => {
    const k = key()
    const results = await redis.pipeline([
      ['SET', k, '1'],
      ['LPUSH', k, 'x'],
      ['INCR', k],
    ])
    assert.deepEqual(
      [results[0], results[2]],
      [
        { ok: true, value: 'OK' },
        { ok: true, value: 2 },
      ],
    )
    assert.ok(results[1] && !results[1].ok && refusedWith(/^WRONGTYPE/)(results[1].error))
    assert.deepEqual(await redis.pipeline([]), [])
    const many = await redis.pipeline(Array.from({ length: 500 }, () => ['INCR', k] as const))
    assert.equal(values(many).at(-1), 502)
  },
  'does an atomic pipeline as a whole or not at all': async ({ redis, key }) => {
    const k = key()
    const done = await redis.pipeline(
      [
        ['SET', k, '5'],
        ['LPUSH', k, 'x'],
        ['INCR', k],
      ],
      { atomic: true },
    )
    assert.deepEqual(
      [done[0], done[2]],
      [
        { ok: true, value: 'OK' },
        { ok: true, value: 6 },
      ],
    )
    assert.ok(done[1] && !done[1].ok && refusedWith(/^WRONGTYPE/)(done[1].error))
    await assert.rejects(redis.pipeline([['SET', k, 'lost'], ['GET'] as never], { atomic: true }), refusedWith(/^ERR/))
    assert.equal(await redis.command(['GET', k]), '6')
    const both = await Promise.all(
      [0, 1].map(() =>
        redis.pipeline(
          [
            ['INCR', k],
            ['INCR', k],
          ],
          { atomic: true },
        ),
      ),
    )
    assert.deepEqual(both.flatMap(values), [7, 8, 9, 10])
  },
  'runs a script by its digest, and teaches it to a server that forgot it': async ({ redis, key }) => {
    const k = key()
    const script = defineScript('double', `local n = redis.call('INCRBY', KEYS[1], ARGV[1]) return {n, ARGV[2], false} -- ${k}`)
    for (let run = 1; run <= 2; run++) assert.deepEqual(await redis.script(script, [k], [2, 'grüße']), [2 * run, 'grüße', null])
    await redis.command(['SCRIPT', 'FLUSH'])
    assert.deepEqual(await redis.script(script, [k], [2, 'x']), [6, 'x', null])
    assert.equal(await redis.script(defineScript('none', 'return #KEYS + #ARGV'), []), 0)
    await assert.rejects(redis.script(defineScript('bad', 'this is no lua'), []), refusedWith(/^ERR/))
  },
  'hands bytes to a script and takes them back': async ({ redis, key }) => {
    const script = defineScript('keep', "redis.call('SET', KEYS[1], ARGV[1]) return {redis.call('GET', KEYS[1]), ARGV[2]}")
    const reply = await redis.script(script, [key()], [allBytes, 'text'], { buffers: true })
    assert.deepEqual(reply, [allBytes, Buffer.from('text')])
  },
  'gives up waiting when told to, before and during a command': async ({ redis }) => {
    const gone = AbortSignal.abort(new Error('gone'))
    await assert.rejects(redis.command(['GET', 'x'], { signal: gone }), /gone/)
    const controller = new AbortController()
    const waiting = redis.command(['GET', 'x'], { signal: controller.signal })
    controller.abort(new Error('gone'))
    await assert.rejects(waiting, /gone/)
    assert.equal(redis.state, 'up')
  },
}

/**
 * What every driver of {@link Redis} must do, each a case of its own. `open` gives a connection to a running server; its keys
 * are left to expire with the server.
 */
export const redisConformance = (open: () => Redis): readonly ConformanceCase[] =>
  Object.entries(checks).map(([name, check]) => ({
    name,
    run: async () => {
      const prefix = `conformance:${randomBytes(6).toString('hex')}`
      await check({ redis: open(), key: (part = 'key') => `{${prefix}}:${part}` })
    },
  }))
