import fastify from 'fastify'
import { describe, expect, it } from 'vitest'
import { createLimiter } from '../../resilience/limiter.js'
import { createFakeClock } from '../../testing/fake-clock.js'
import { rateLimit } from './rate-limit.js'

describe('limits of routes', () => {
  it('tell what is left with each answer, and when to come back with a refusal', async () => {
    const clock = createFakeClock()
    const limiter = createLimiter({ name: 'api', limit: 2, windowMs: 60_000, clock })
    const app = fastify()
    app.get('/tours', { onRequest: rateLimit({ limiter, key: ({ headers }) => String(headers['x-user']) }) }, async () => 'fine')
    app.get('/free', async () => 'fine')
    const get = (user: string) => app.inject({ url: '/tours', headers: { 'x-user': user } })
    const first = await get('a')
    expect(first.headers).toMatchObject({
      'ratelimit-limit': '2',
      'ratelimit-remaining': '1',
      'ratelimit-reset': '60',
      'ratelimit-policy': '2;w=60',
    })
    expect(first.headers['retry-after']).toBeUndefined()
    await clock.advance(10_500)
    await get('a')
    const refused = await get('a')
    expect(refused.statusCode).toBe(429)
    expect(refused.headers).toMatchObject({ 'ratelimit-remaining': '0', 'ratelimit-reset': '50', 'retry-after': '50' })
    expect(refused.json()).toMatchObject({ error: { code: 'TM_RESILIENCE_RATE_LIMITED', retryable: true } })
    expect((await get('b')).statusCode).toBe(200)
    expect((await app.inject('/free')).headers['ratelimit-limit']).toBeUndefined()
    await clock.advance(49_500)
    expect((await get('a')).statusCode).toBe(200)
    await app.close()
  })

  it('answer in words of the app where it has some', async () => {
    const app = fastify()
    const limiter = createLimiter({ name: 'api', limit: 1, windowMs: 60_000 })
    app.addHook('onRequest', rateLimit({ limiter, answer: (_decision, _request, reply) => reply.send({ error: 'Slow down.' }) }))
    app.get('/', async () => 'fine')
    await app.inject('/')
    const refused = await app.inject('/')
    expect([refused.statusCode, refused.json()]).toEqual([429, { error: 'Slow down.' }])
    await app.close()
  })
})
