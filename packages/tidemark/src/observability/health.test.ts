import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../testing/fake-clock.js'
import { createHealth } from './health.js'
import type { HealthCheck, HealthFinding } from './observability.js'

const component = (name: string, critical: boolean, find: HealthCheck['check'] = () => ({ status: 'up' })): HealthCheck => ({
  name,
  critical,
  check: find,
})

describe('/health', () => {
  it('R111: begins with the two documented keys while the database answers', async () => {
    const health = createHealth()
    health.register(component('postgres', true))
    const { httpStatus, body } = await health.report()
    expect(httpStatus).toBe(200)
    expect(JSON.stringify(body)).toMatch(/^\{"status":"ok","database":"connected",/)
  })

  it('R111: answers 503 with the documented body while the database does not', async () => {
    const health = createHealth()
    health.register(
      component('postgres', true, () => {
        throw new Error('connect ECONNREFUSED postgres://u:hunter2@h/db')
      }),
    )
    const { httpStatus, body } = await health.report()
    expect(httpStatus).toBe(503)
    expect(JSON.stringify(body)).toMatch(/^\{"status":"error","database":"disconnected",/)
    expect(JSON.stringify(body)).not.toContain('hunter2')
    expect((await createHealth().report()).body.database).toBe('disconnected')
  })

  it('stays ok without Redis, and says so', async () => {
    const health = createHealth()
    health.register(component('postgres', true))
    health.register(component('redis', false, () => ({ status: 'down', detail: 'there is no Redis' })))
    health.register(component('feed', false, () => ({ status: 'degraded' })))
    const { httpStatus, body } = await health.report()
    expect(httpStatus).toBe(200)
    expect(body).toMatchObject({
      status: 'ok',
      degraded: ['redis', 'feed'],
      components: { redis: { detail: 'there is no Redis' } },
    })
  })

  it('is an error where another critical component is down, the database being connected', async () => {
    const health = createHealth()
    health.register(component('postgres', true, () => ({ status: 'degraded', detail: 'slow' })))
    health.register(component('feed', true, () => ({ status: 'down' })))
    expect(await health.report()).toMatchObject({ httpStatus: 503, body: { status: 'error', database: 'connected' } })
  })

  it('C45: takes a component that does not answer in time for down, and aborts its check', async () => {
    const clock = createFakeClock()
    const health = createHealth({ clock })
    let aborted = false
    const hangs = (signal: AbortSignal) =>
      new Promise<HealthFinding>(() => signal.addEventListener('abort', () => (aborted = true)))
    health.register({ ...component('postgres', true, hangs), timeoutMs: 300 })
    const report = health.report()
    await clock.advance(300)
    expect((await report).body.components.postgres).toEqual({
      status: 'down',
      critical: true,
      detail: 'no answer within 300 ms',
      ageMs: 0,
    })
    expect(aborted).toBe(true)
    expect(clock.sleeping).toBe(0)
  })

  it('asks a component once for many askers, and not again while the finding is fresh', async () => {
    const clock = createFakeClock()
    const health = createHealth({ clock })
    let asked = 0
    const slow = async (): Promise<HealthFinding> => {
      asked++
      await clock.sleep(50)
      return { status: 'up' }
    }
    health.register({ ...component('postgres', true, slow), freshForMs: 500 })
    health.setPhase('serving')
    const answers = Promise.all([health.report(), health.report(), health.ready()])
    await clock.advance(50)
    await answers
    await clock.advance(499)
    expect((await health.report()).body.components.postgres?.ageMs).toBe(499)
    expect(asked).toBe(1)
    await clock.advance(1)
    const again = health.report()
    await clock.advance(50)
    await again
    expect(asked).toBe(2)
  })

  it('forgets a component that left, and refuses two of one name', async () => {
    const health = createHealth()
    const leave = health.register(component('postgres', true))
    expect(() => health.register(component('postgres', true))).toThrow(/two health checks/)
    leave()
    expect((await health.report()).body.components).toEqual({})
  })
})

describe('/livez and /readyz', () => {
  it('is ready only while serving with every critical component up, and alive throughout', async () => {
    const clock = createFakeClock()
    const health = createHealth({ clock })
    let status: HealthFinding['status'] = 'up'
    health.register(component('postgres', true, () => ({ status })))
    health.register(component('redis', false, () => ({ status: 'down' })))
    expect(await health.ready()).toEqual({ httpStatus: 503, body: { status: 'error', reason: 'starting' } })
    health.setPhase('serving')
    expect(await health.ready()).toEqual({ httpStatus: 200, body: { status: 'ok' } })
    status = 'down'
    await clock.advance(1000)
    expect(await health.ready()).toEqual({ httpStatus: 503, body: { status: 'error', reason: 'postgres is down' } })
    health.setPhase('draining')
    expect(await health.ready()).toEqual({ httpStatus: 503, body: { status: 'error', reason: 'draining' } })
    expect(health.live()).toEqual({ httpStatus: 200, body: { status: 'ok' } })
  })
})
