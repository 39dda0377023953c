import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { breakerRules } from '../resilience/breaker/breaker-rules.js'
import {
  type Circuit,
  endProbe,
  leaseProbe,
  newCircuit,
  openCircuit,
  operateCircuit,
  type StepInput,
  withoutExpired,
} from '../resilience/breaker/circuit.js'
import { type Breakers, type BreakersOptions, createBreakers } from '../resilience/breaker/create-breakers.js'
import type { CircuitReport, CircuitTransition } from '../resilience/breaker/shared-circuits.js'
import { propertyRuns } from '../testing/property-runs.js'
import { sharedRedisUrl } from '../testing/redis/redis-setup.js'
import { useRedis } from '../testing/redis/use-redis.js'
import { useCleanups } from '../testing/use-cleanups.js'
import { until } from '../time/until.js'
import { createSharedCircuits } from './breakers.js'
import { createRedis } from './create-redis.js'

const cleanups = useCleanups()
let services = 0
const newService = (): string => {
  services += 1
  return `crm-${process.pid}-${services}`
}

const sick = async (): Promise<never> => {
  throw new Error('connect ECONNREFUSED')
}
const well = async () => 'fine'

/** What a table with unique (service, epoch, instance) would hold. */
const createRows = () => {
  const rows = new Map<string, CircuitTransition>()
  return {
    list: () => [...rows.values()].map(({ from, to, instance }) => `${from}>${to}${instance === '' ? '' : ' own'}`),
    all: rows,
    add: async (row: CircuitTransition) => void rows.set(`${row.service} ${row.epoch} ${row.instance}`, row),
    lastEpoch: async () => 0,
  }
}

const join = async (url: string, options: Partial<BreakersOptions> = {}) => {
  const redis = await createRedis({ url, retryMaxMs: 50, commandTimeoutMs: 500 })
  const shared = createSharedCircuits({ redis })
  const breakers = createBreakers({ shared, random: () => 0, ...options })
  cleanups.push(() => redis.stop())
  cleanups.push(() => shared.stop())
  cleanups.push(() => breakers.stop())
  return { redis, shared, breakers }
}

const quick = { recoveryTimeoutMs: 300, minCalls: 10 } as const

const fail = async (breakers: Breakers, service: string, times: number) => {
  for (let n = 0; n < times; n++)
    await breakers
      .breaker(service)
      .run(sick)
      .catch(() => {})
}
const stateOf = (breakers: Breakers, service: string) => breakers.breaker(service).read().state

describe.skipIf(sharedRedisUrl() === undefined)('the circuit in Redis', () => {
  const url = sharedRedisUrl()!

  it('takes the same steps as the one in memory', async () => {
    const redis = await createRedis({ url })
    cleanups.push(() => redis.stop())
    let now = 0
    const shared = createSharedCircuits({ redis, instance: 'only', now: () => now })
    const rules = breakerRules({
      failureThreshold: 3,
      recoveryTimeoutMs: 100,
      maxRecoveryTimeoutMs: 350,
      probeLeaseMs: 50,
      successesToClose: 2,
    })
    const step = fc.oneof(
      fc.record({ op: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 400 }) }),
      fc.record({ op: fc.constant('sick' as const), bad: fc.integer({ min: 0, max: 4 }) }),
      fc.record({ op: fc.constant('lease' as const), token: fc.constantFrom('a', 'b') }),
      fc.record({
        op: fc.constant('end' as const),
        token: fc.constantFrom('a', 'b'),
        outcome: fc.constantFrom('good' as const, 'bad' as const, 'gone' as const),
      }),
      fc.record({
        op: fc.constant('operate' as const),
        act: fc.constantFrom('open' as const, 'close' as const, 'reset' as const),
        forMs: fc.constantFrom(0, 150),
      }),
    )
    const comparable = ({ lastFailureAt, lastSuccessAt, failureCount, probeUntil, probe, ...rest }: Circuit) => ({
      ...rest,
      ...(rest.state === 'HALF_OPEN' && { probe, probeUntil }),
    })
    const property = fc.asyncProperty(
      fc.array(step, { maxLength: 25 }),
      fc.double({ min: 0, max: 0.99, noNaN: true }),
      async (steps, random) => {
        const service = newService()
        now = Date.now()
        let model = newCircuit
        for (const each of steps) {
          if (each.op === 'wait') now += each.ms
          const input: StepInput = { now, rules, random, floor: 0 }
          const report: CircuitReport = {
            rules,
            random,
            floor: 0,
            evidence: { calls: 4, bad: each.op === 'sick' ? each.bad : 0, timeouts: 0 },
            epoch: model.epoch,
            failedAgoMs: null,
            succeededAgoMs: null,
            throttledMs: 0,
            known: undefined,
            kept: [],
          }
          model = withoutExpired(model, now)
          if (each.op === 'lease') {
            const leased = leaseProbe(model, each.token, input)
            model = leased.circuit
            const answer = await shared.ask(service, { ...report, ...each, op: 'lease' })
            expect(answer.isGranted).toBe(leased.isGranted)
            expect(comparable(answer.circuit)).toEqual(comparable(model))
            continue
          }
          if (each.op === 'sick' && each.bad >= 3 && model.state === 'CLOSED' && model.forced === null) {
            model = openCircuit(model, each.bad, `${each.bad} of 4 calls failed`, input)
          }
          if (each.op === 'end') model = endProbe(model, each.token, each.outcome, 'why', input)
          if (each.op === 'operate') model = operateCircuit(model, { act: each.act, forMs: each.forMs, reason: 'told' }, input)
          const request =
            each.op === 'end'
              ? { ...report, ...each, reason: 'why' }
              : each.op === 'operate'
                ? { ...report, ...each, reason: 'told' }
                : { ...report, op: 'sync' as const }
          expect(comparable((await shared.ask(service, request)).circuit)).toEqual(comparable(model))
        }
      },
    )
    await fc.assert(property, propertyRuns(40))
    await shared.stop()
  })

  it('R70, C5: holds the documented fields as text, and reads them as what they are', async () => {
    const { redis, shared, breakers } = await join(url)
    const service = newService()
    breakers.breaker(service, quick)
    await fail(breakers, service, 20)
    await breakers.sync()
    const flat = await redis.command<string[]>(['HGETALL', `reanna:circuit:${service}`])
    const hash = Object.fromEntries(flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1]]] : [])))
    expect(hash).toMatchObject({ state: 'OPEN', failure_count: expect.stringMatching(/^\d+$/), openings: '1' })
    for (const name of ['last_failure', 'opened_at'])
      expect(Math.abs(Date.parse(hash[name] ?? '') - Date.now())).toBeLessThan(5000)
    expect(await redis.command(['PTTL', `reanna:circuit:${service}`])).toBe(-1)
    const read = await shared.read(service)
    expect(read).toMatchObject({
      live: 1,
      circuit: { state: 'OPEN', openings: 1, epoch: expect.any(Number), lastSuccessAt: null },
    })
    expect(await shared.services()).toContain(service)
  })

  it('C3: closes only by probes, one at a time over all processes', async () => {
    const rows = createRows()
    const [one, two] = await Promise.all([join(url, { rows }), join(url, { rows })])
    const service = newService()
    for (const { breakers } of [one, two]) breakers.breaker(service, quick)
    await Promise.all([fail(one.breakers, service, 10), fail(two.breakers, service, 10)])
    await until(() =>
      [one, two].every(
        ({ breakers }) => breakers.breaker(service).read().scope === 'shared' && stateOf(breakers, service) === 'OPEN',
      ),
    )
    await until(
      () => one.breakers.breaker(service).refusal() === undefined && two.breakers.breaker(service).refusal() === undefined,
    )
    let atOnce = 0
    let most = 0
    let calls = 0
    const probe = async () => {
      calls += 1
      atOnce += 1
      most = Math.max(most, atOnce)
      await new Promise((resolve) => setTimeout(resolve, 30))
      atOnce -= 1
    }
    while (stateOf(one.breakers, service) !== 'CLOSED') {
      const both = [one, two].flatMap(({ breakers }) => Array.from({ length: 8 }, () => breakers.breaker(service).run(probe)))
      await Promise.allSettled(both)
      if (calls < 3) expect(most).toBe(1)
    }
    await until(() => stateOf(two.breakers, service) === 'CLOSED')
    await until(() => rows.all.size === 3)
    expect(rows.list().sort()).toEqual(['CLOSED>OPEN', 'HALF_OPEN>CLOSED', 'OPEN>HALF_OPEN'])
  })

  it('F19: one sick process opens for itself, not for all', async () => {
    const rows = createRows()
    const joined = await Promise.all([join(url, { rows }), join(url, { rows }), join(url, { rows })])
    const [ill, ...others] = joined.map(({ breakers }) => breakers)
    const service = newService()
    for (const breakers of [ill!, ...others]) breakers.breaker(service, { ...quick, recoveryTimeoutMs: 60_000 })
    await Promise.all(joined.map(({ breakers }) => breakers.sync()))
    for (const breakers of others) await breakers.breaker(service).run(well)
    await fail(ill!, service, 40)
    await Promise.all(joined.map(({ breakers }) => breakers.sync()))
    await Promise.all(joined.map(({ breakers }) => breakers.sync()))
    expect(ill!.breaker(service).read()).toMatchObject({ state: 'OPEN', scope: 'own' })
    for (const breakers of others) expect(breakers.breaker(service).read()).toMatchObject({ state: 'CLOSED', scope: 'shared' })
    expect(rows.list()).toEqual([])
  })

  it('R70: where failures are counted, those of all count, however many calls went well', async () => {
    const rules = { ...quick, failureThreshold: 4, windowMs: 60_000 }
    const [one, other] = [await join(url), await join(url)]
    const service = newService()
    for (const { breakers } of [one, other]) breakers.breaker(service, rules)
    for (const { breakers } of [one, other]) {
      for (let n = 0; n < 50; n++) await breakers.breaker(service).run(well)
      await fail(breakers, service, 2)
    }
    await until(() => stateOf(one.breakers, service) === 'OPEN' && stateOf(other.breakers, service) === 'OPEN')
    expect(one.breakers.breaker(service).read()).toMatchObject({ scope: 'shared', failureCount: 4 })
  })

  it('F19: a process that joins takes over what is, and resets nothing', async () => {
    const one = await join(url)
    const service = newService()
    one.breakers.breaker(service, { ...quick, recoveryTimeoutMs: 60_000 })
    await fail(one.breakers, service, 20)
    await until(() => one.breakers.breaker(service).read().scope === 'shared')
    const two = await join(url)
    const breaker = two.breakers.breaker(service, { ...quick, recoveryTimeoutMs: 60_000 })
    await two.breakers.sync()
    expect(breaker.read()).toMatchObject({ state: 'OPEN', scope: 'shared' })
    await one.breakers.sync()
    expect(stateOf(one.breakers, service)).toBe('OPEN')
  })

  it('an operator opens, closes and resets for all, with a reason and until a time', async () => {
    const rows = createRows()
    const [one, two] = await Promise.all([join(url, { rows }), join(url, { rows })])
    const service = newService()
    for (const { breakers } of [one, two]) breakers.breaker(service, quick)
    await one.breakers.breaker(service).operate({ act: 'open', reason: 'maintenance', forMs: 60_000 })
    const other = two.breakers.breaker(service)
    await until(() => other.read().forced === 'OPEN')
    expect(other.read()).toMatchObject({ state: 'OPEN', reason: 'maintenance', forced: 'OPEN' })
    await one.breakers.breaker(service).operate({ act: 'open', reason: 'nearly done', forMs: 400 })
    await until(() => other.refusal() === undefined)
    for (let n = 0; n < 3; n++)
      await until(() =>
        other.run(well).then(
          () => true,
          () => false,
        ),
      )
    await until(() => stateOf(one.breakers, service) === 'CLOSED')
    await one.breakers.breaker(service).operate({ act: 'close', reason: 'we know', forMs: 0 })
    await until(() => other.read().forced === 'CLOSED')
    await fail(two.breakers, service, 30)
    await two.breakers.sync()
    expect(stateOf(two.breakers, service)).toBe('CLOSED')
    await one.breakers.breaker(service).operate({ act: 'reset', reason: 'done', forMs: 0 })
    await until(() => other.read().forced === null)
    expect(other.read().evidence.calls).toBe(0)
  })

  it('keeps a transition whose finder died before it was kept', async () => {
    const { redis, shared } = await join(url)
    const service = newService()
    const event = {
      service,
      from: 'CLOSED',
      to: 'OPEN',
      epoch: 7,
      failureCount: 1,
      at: Date.now() - 6000,
      reason: 'x',
      instance: '',
    }
    await redis.command(['HSET', `{reanna:circuit:${service}}:events`, '7', JSON.stringify(event)])
    const rows = createRows()
    const other = createBreakers({ shared, rows })
    cleanups.push(() => other.stop())
    other.breaker(service)
    await until(() => rows.all.size === 1)
    await until(async () => (await redis.command(['EXISTS', `{reanna:circuit:${service}}:events`])) === 0)
  })

  it('hears of a pause that the service asked another process for', async () => {
    const [one, two] = await Promise.all([join(url), join(url)])
    const service = newService()
    const other = two.breakers.breaker(service, quick)
    await two.breakers.sync()
    await one.breakers
      .breaker(service, quick)
      .run(async () => new Response(null, { status: 429, headers: { 'retry-after': '30' } }))
    await until(() => other.refusal()?.isThrottled === true)
    await one.breakers.breaker(service).operate({ act: 'reset', reason: 'they said so', forMs: 0 })
    await until(() => other.refusal() === undefined)
  })
})

describe.skipIf(sharedRedisUrl() === undefined)('circuits while Redis is away or forgets', () => {
  const server = useRedis()

  it('F19: FLUSHALL neither closes a breaker nor takes its epochs back', async () => {
    const rows = createRows()
    const { redis, breakers } = await join(server.url, { rows })
    const service = newService()
    const breaker = breakers.breaker(service, { ...quick, recoveryTimeoutMs: 60_000 })
    await fail(breakers, service, 20)
    await until(() => breaker.read().scope === 'shared')
    const { epoch } = breaker.read()
    await redis.command(['FLUSHALL'])
    await breakers.sync()
    expect(breaker.read()).toMatchObject({ state: 'OPEN', epoch, scope: 'shared' })
    await breaker.operate({ act: 'reset', reason: 'again', forMs: 0 })
    expect(breaker.read().epoch).toBeGreaterThan(epoch)
    await until(() => rows.all.size === 2)
  })

  it('epochs go on from what Postgres has, where Redis lost them and its clock went back', async () => {
    const later = Date.now() + 3_600_000
    const { breakers } = await join(server.url, { rows: { ...createRows(), lastEpoch: async () => later } })
    const service = newService()
    const breaker = breakers.breaker(service, quick)
    await breakers.sync()
    await fail(breakers, service, 20)
    await until(() => breaker.read().scope === 'shared' && breaker.read().state === 'OPEN')
    expect(breaker.read().epoch).toBe(later + 1)
  })

  it('F19: Redis lost while open: stays open, then goes by what it sees itself, and joins again', async () => {
    const rows = createRows()
    const { redis, breakers } = await join(server.url, { rows })
    const service = newService()
    const breaker = breakers.breaker(service, { ...quick, successesToClose: 1 })
    await fail(breakers, service, 20)
    await until(() => breaker.read().scope === 'shared')
    server.signal('SIGSTOP')
    await breakers.sync()
    expect(breaker.read()).toMatchObject({ state: 'OPEN', scope: 'own' })
    await until(() => breaker.refusal() === undefined)
    expect(await breaker.run(well)).toBe('fine')
    expect(breaker.read()).toMatchObject({ state: 'CLOSED', scope: 'own' })
    expect(rows.list()).toEqual(['CLOSED>OPEN', 'OPEN>HALF_OPEN own', 'HALF_OPEN>CLOSED own'])
    server.signal('SIGCONT')
    await until(() => redis.state === 'up')
    await until(() => breaker.read().scope === 'shared')
    await until(() =>
      breaker.run(well).then(
        () => stateOf(breakers, service) === 'CLOSED',
        () => false,
      ),
    )
  })
})
