import { z } from 'zod'
import { TidemarkError } from '../../errors.js'
import type { BreakerSnapshot } from '../../resilience/breaker/breaker.js'
import { breakerRules } from '../../resilience/breaker/breaker-rules.js'
import type { BreakerState, Circuit } from '../../resilience/breaker/circuit.js'
import type { SharedCircuits } from '../../resilience/breaker/shared-circuits.js'
import type { Project } from '../project/project.js'
import type { Resilience } from '../resilience/open-resilience.js'

export const breakersRequest = z.strictObject({
  service: z.string().min(1).max(200),
  act: z.enum(['open', 'close', 'reset']),
  reason: z.string().trim().min(1).max(300),
  /** How long it is held, in milliseconds; without it until it is reset. */
  forMs: z
    .int()
    .min(1)
    .max(366 * 86_400_000)
    .optional(),
  dryRun: z.boolean().optional(),
})

export type BreakersRequest = z.output<typeof breakersRequest>

/** What an operation works with. */
export interface BreakersInput {
  /** Of the server that was asked; undefined where none runs. */
  readonly resilience: Resilience | undefined
  /** Undefined without Redis. */
  readonly circuits: SharedCircuits | undefined
}

/** One service, as all see it, or as this process does where it stands alone. Times are ISO 8601. */
export interface BreakerReport {
  readonly service: string
  readonly state: BreakerState
  readonly scope: 'shared' | 'own'
  readonly epoch: number
  readonly failureCount: number
  readonly lastFailureAt: string | null
  readonly lastSuccessAt: string | null
  readonly openedAt: string | null
  /** Until a probe may go through; 0 where calls may. */
  readonly retryAfterMs: number
  readonly reason: string
  readonly forced: 'OPEN' | 'CLOSED' | null
  readonly forcedUntil: string | null
  /** Processes that told of themselves just now; null where that is not known. */
  readonly processes: number | null
}

export interface BreakersReport {
  readonly scope: 'all processes' | 'this server only' | 'nothing'
  readonly breakers: readonly BreakerReport[]
  /** Transitions that wait for Postgres; null where no server was asked. */
  readonly waiting: number | null
}

const iso = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString())

const ofSnapshot = (snapshot: BreakerSnapshot): BreakerReport => {
  const { evidence: _evidence, lastFailureAt, lastSuccessAt, openedAt, forcedUntil, ...rest } = snapshot
  return {
    ...rest,
    lastFailureAt: iso(lastFailureAt),
    lastSuccessAt: iso(lastSuccessAt),
    openedAt: iso(openedAt),
    forcedUntil: iso(forcedUntil),
    processes: null,
  }
}

const waitOf = ({ state, until, forced, forcedUntil, probeUntil, probe }: Circuit, now: number): number => {
  if (state === 'CLOSED') return 0
  const till = state === 'HALF_OPEN' ? (probe === '' ? 0 : probeUntil) : forced === 'OPEN' ? forcedUntil : until
  return Math.max(0, till - now)
}

const ofCircuit = (service: string, circuit: Circuit, now: number, live: number): BreakerReport => ({
  service,
  state: circuit.state,
  scope: 'shared',
  epoch: circuit.epoch,
  failureCount: circuit.failureCount,
  lastFailureAt: iso(circuit.lastFailureAt),
  lastSuccessAt: iso(circuit.lastSuccessAt),
  openedAt: iso(circuit.openedAt),
  retryAfterMs: Math.ceil(waitOf(circuit, now)),
  reason: circuit.reason,
  forced: circuit.forced,
  forcedUntil: circuit.forcedUntil === 0 ? null : iso(circuit.forcedUntil),
  processes: live,
})

const sharedReports = async (circuits: SharedCircuits): Promise<readonly BreakerReport[]> => {
  const services = await circuits.services()
  const reports = services.map(async (service) => {
    const read = await circuits.read(service)
    return read && ofCircuit(service, read.circuit, read.now, read.live)
  })
  return (await Promise.all(reports)).filter((report) => report !== undefined)
}

/** Every service that a breaker stands before. */
export const breakersList = async ({ resilience, circuits }: BreakersInput): Promise<BreakersReport> => {
  const shared = await (circuits && sharedReports(circuits))?.catch(() => undefined)
  const own = (resilience?.breakers.list() ?? []).map((breaker) => ofSnapshot(breaker.read()))
  const waiting = resilience?.journal?.backlog().entries ?? null
  if (!shared) return { scope: resilience ? 'this server only' : 'nothing', breakers: own, waiting }
  // Where this process has its own view, that is what its calls go by.
  const others = own.filter(({ service, scope }) => scope === 'own' || !shared.some((each) => each.service === service))
  return { scope: 'all processes', breakers: [...shared, ...others].sort((a, b) => (a.service < b.service ? -1 : 1)), waiting }
}

/** Holds a breaker open or closed, or lets go of it. Raises TM_RESILIENCE_UNKNOWN_SERVICE. */
export const breakersOperate = async (
  { config, log }: Pick<Project, 'config' | 'log'>,
  request: BreakersRequest,
  input: BreakersInput,
): Promise<BreakersReport> => {
  const { service, act, reason, forMs = 0, dryRun = false } = request
  const before = await breakersList(input)
  const only = (report: BreakersReport): BreakersReport => ({
    ...report,
    breakers: report.breakers.filter((breaker) => breaker.service === service),
  })
  if (!before.breakers.some((breaker) => breaker.service === service)) {
    const known = before.breakers.map((breaker) => breaker.service).join(', ') || 'none'
    throw new TidemarkError('TM_RESILIENCE_UNKNOWN_SERVICE', { service, known })
  }
  if (dryRun) return only(before)
  const operation = { act, reason, forMs }
  const own = input.resilience?.breakers.list().find((breaker) => breaker.service === service)
  if (own) await own.operate(operation)
  else await operateShared(input.circuits!, service, operation, config.breaker)
  log.info('an operator moved a circuit breaker', { service, act, reason, forMs })
  return only(await breakersList(input))
}

/** For a service that this process does not call. Whoever does keeps the transition. */
const operateShared = async (
  circuits: SharedCircuits,
  service: string,
  operation: { readonly act: 'open' | 'close' | 'reset'; readonly reason: string; readonly forMs: number },
  rules: Project['config']['breaker'],
): Promise<void> => {
  await circuits.ask(service, {
    op: 'operate',
    ...operation,
    rules: breakerRules(rules),
    random: Math.random(),
    floor: 0,
    evidence: { calls: 0, bad: 0, timeouts: 0 },
    epoch: 0,
    failedAgoMs: null,
    succeededAgoMs: null,
    throttledMs: 0,
    known: undefined,
    kept: [],
    isGuest: true,
  })
}
