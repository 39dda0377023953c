import { reasonOf, TidemarkError } from '../errors.js'
import { maskSecrets } from '../secrets.js'
import { type Clock, systemClock } from '../time/clock.js'
import type { ComponentReport, Health, HealthAnswer, HealthCheck, HealthFinding, HealthReport, Phase } from './observability.js'

export interface HealthOptions {
  /** The component that answers for the documented key `database`. Default `postgres`. */
  readonly database?: string
  readonly clock?: Clock
}

interface Component {
  readonly check: HealthCheck
  /** The last finding and when it was made, on the monotonic clock. */
  last?: { readonly finding: HealthFinding; readonly at: number }
  /** A check under way: whoever asks meanwhile waits for the same one. */
  running?: Promise<void>
}

const askInTime = async ({ check }: Component, clock: Clock): Promise<HealthFinding> => {
  const timeoutMs = check.timeoutMs ?? 2000
  const asking = new AbortController()
  const waiting = new AbortController()
  const late = clock.sleep(timeoutMs, waiting.signal).then(
    (): HealthFinding => ({ status: 'down', detail: `no answer within ${timeoutMs} ms` }),
    () => new Promise<never>(() => {}),
  )
  try {
    return await Promise.race([late, (async () => check.check(asking.signal))()])
  } catch (error) {
    return { status: 'down', detail: reasonOf(error) }
  } finally {
    waiting.abort()
    asking.abort()
  }
}

const refresh = async (component: Component, clock: Clock): Promise<void> => {
  const { freshForMs = 1000 } = component.check
  if (component.last && clock.monotonicMs() - component.last.at < freshForMs) return
  component.running ??= askInTime(component, clock)
    .then((finding) => {
      component.last = { finding, at: clock.monotonicMs() }
    })
    .finally(() => {
      delete component.running
    })
  await component.running
}

const reportOf = ({ check, last }: Component, clock: Clock): ComponentReport => {
  const { status, detail } = last?.finding ?? { status: 'down' as const, detail: 'not asked yet' }
  const ageMs = Math.round(clock.monotonicMs() - (last?.at ?? clock.monotonicMs()))
  return { status, critical: check.critical, ...(detail !== undefined && { detail: maskSecrets(detail) }), ageMs }
}

/** Makes the health of one process: what its components find, asked at most as often as they allow. */
export const createHealth = ({ database = 'postgres', clock = systemClock }: HealthOptions = {}): Health => {
  const components = new Map<string, Component>()
  let phase: Phase = 'starting'

  const findings = async (): Promise<Readonly<Record<string, ComponentReport>>> => {
    const all = [...components]
    await Promise.all(all.map(([, component]) => refresh(component, clock)))
    return Object.fromEntries(all.map(([name, component]) => [name, reportOf(component, clock)]))
  }

  const lacking = (found: Readonly<Record<string, ComponentReport>>): string | undefined =>
    Object.entries(found).find(([, { critical, status }]) => critical && status === 'down')?.[0]

  return {
    register: (check) => {
      const { name } = check
      if (components.has(name)) throw new TidemarkError('TM_INTERNAL', { reason: `two health checks are named "${name}"` })
      components.set(name, { check })
      return () => void components.delete(name)
    },
    setPhase: (next) => {
      phase = next
    },
    report: async (): Promise<HealthAnswer<HealthReport>> => {
      const found = await findings()
      const connected = (found[database]?.status ?? 'down') !== 'down'
      const ok = connected && lacking(found) === undefined
      const degraded = Object.entries(found).flatMap(([name, { status }]) => (status === 'up' ? [] : [name]))
      return {
        httpStatus: ok ? 200 : 503,
        body: {
          status: ok ? 'ok' : 'error',
          database: connected ? 'connected' : 'disconnected',
          phase,
          degraded,
          components: found,
        },
      }
    },
    live: () => ({ httpStatus: 200, body: { status: 'ok' } }),
    ready: async () => {
      if (phase !== 'serving') return { httpStatus: 503, body: { status: 'error', reason: phase } }
      const missing = lacking(await findings())
      if (missing !== undefined) return { httpStatus: 503, body: { status: 'error', reason: `${missing} is down` } }
      return { httpStatus: 200, body: { status: 'ok' } }
    },
  }
}
