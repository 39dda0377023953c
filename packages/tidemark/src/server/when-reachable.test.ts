import { describe, expect, test } from 'vitest'
import { TidemarkError } from '../errors.js'
import { silentLogger } from '../observability/observability.js'
import { createFakeClock } from '../testing/fake-clock.js'
import { createWhenReachable } from './when-reachable.js'

const refused = () => Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:5432'), { code: 'ECONNREFUSED' })
const starting = () => Object.assign(new Error('the database system is starting up'), { code: '57P03', severity: 'FATAL' })
const wrongPassword = () => Object.assign(new Error('password authentication failed'), { code: '28P01', severity: 'FATAL' })
const brokenOff = () =>
  new TidemarkError(
    'TM_SCHEMA_FAILED',
    { version: '1', where: '', sqlstate: '57P01', reason: 'terminated', state: 'nothing of it was applied' },
    { cause: Object.assign(new Error('terminating connection'), { code: '57P01', severity: 'FATAL' }) },
  )

/** Work that fails with each of these and then succeeds. */
const work = (failures: readonly (() => Error)[]) => {
  let calls = 0
  return {
    run: async () => {
      const failure = failures[calls++]
      if (failure) throw failure()
      return 'done'
    },
    calls: () => calls,
  }
}

describe('a start', () => {
  const reachable = (timeoutMs: number, isUnwanted?: () => boolean) => {
    const clock = createFakeClock()
    const whenReachable = createWhenReachable({ timeoutMs, log: silentLogger, clock, ...(isUnwanted && { isUnwanted }) })
    return { clock, whenReachable }
  }

  test('goes on when Postgres comes, however it was away', async () => {
    const { clock, whenReachable } = reachable(30_000)
    const { run, calls } = work([refused, starting, brokenOff, refused])
    const done = whenReachable(run)
    while (calls() < 5) await clock.advance(1_000)
    expect(await done).toBe('done')
  })

  test('ends with why Postgres cannot be reached when its time is up, and at once where it has none', async () => {
    const { clock, whenReachable } = reachable(5_000)
    const always = work(Array.from({ length: 1_000 }, () => refused))
    const outcome = expect(whenReachable(always.run)).rejects.toMatchObject({ code: 'TM_POSTGRES_UNREACHABLE', exitCode: 4 })
    for (let ms = 0; ms < 6_000; ms += 500) await clock.advance(500)
    await outcome
    expect(always.calls()).toBeGreaterThan(4)
    const once = work([refused, refused])
    await expect(reachable(0).whenReachable(once.run)).rejects.toMatchObject({ code: 'TM_POSTGRES_UNREACHABLE' })
    expect(once.calls()).toBe(1)
  })

  test('does not wait for what will not pass, and not where nobody wants it any more', async () => {
    const wrong = work([wrongPassword])
    await expect(reachable(30_000).whenReachable(wrong.run)).rejects.toMatchObject({ code: '28P01' })
    const unwanted = work([refused, refused])
    await expect(reachable(30_000, () => true).whenReachable(unwanted.run)).rejects.toMatchObject({
      code: 'TM_POSTGRES_UNREACHABLE',
    })
    expect([wrong.calls(), unwanted.calls()]).toEqual([1, 1])
  })
})
