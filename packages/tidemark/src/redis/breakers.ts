import { type Logger, silentLogger } from '../observability/observability.js'
import type { BreakerState, Circuit } from '../resilience/breaker/circuit.js'
import { newInstance } from '../resilience/breaker/instance.js'
import type { CircuitAnswer, CircuitRequest, CircuitTransition, SharedCircuits } from '../resilience/breaker/shared-circuits.js'
import { circuitScript } from './circuit-script.js'
import type { Redis, RedisReply } from './redis.js'

export interface SharedCircuitsOptions {
  readonly redis: Redis
  /** Stands before every key. Default: nothing. */
  readonly prefix?: string
  /** Names this process. Default: by chance. */
  readonly instance?: string
  readonly log?: Logger
  /** For tests: the time of every step instead of Redis' own, in milliseconds since 1970. */
  readonly now?: () => number
}

type Fields = Readonly<Record<string, string>>

const states: readonly BreakerState[] = ['CLOSED', 'OPEN', 'HALF_OPEN']

const pairs = (flat: readonly RedisReply[]): Fields => {
  const fields: Record<string, string> = {}
  for (let at = 0; at + 1 < flat.length; at += 2) fields[String(flat[at])] = String(flat[at + 1])
  return fields
}

const numberOf = (text: string | undefined): number => {
  const value = Number(text)
  return Number.isFinite(value) ? value : 0
}

const timeOf = (text: string | undefined): number | null => {
  const at = text === undefined ? Number.NaN : Date.parse(text)
  return Number.isNaN(at) ? null : at
}

/** C5: what Redis holds is text, some of it written by others; what is missing or no value counts as never having been. */
const readCircuit = (fields: Fields): Circuit => ({
  state: states.find((state) => state === fields['state']) ?? 'CLOSED',
  epoch: numberOf(fields['epoch']),
  openings: numberOf(fields['openings']),
  openedAt: timeOf(fields['opened_at']),
  until: numberOf(fields['until']),
  probe: fields['probe'] ?? '',
  probeUntil: numberOf(fields['probe_until']),
  successes: numberOf(fields['successes']),
  forced: fields['forced'] === 'OPEN' || fields['forced'] === 'CLOSED' ? fields['forced'] : null,
  forcedUntil: numberOf(fields['forced_until']),
  throttledUntil: numberOf(fields['throttled_until']),
  reason: fields['reason'] ?? '',
  failureCount: numberOf(fields['failure_count']),
  lastFailureAt: timeOf(fields['last_failure']),
  lastSuccessAt: timeOf(fields['last_success']),
})

/** Numbers that JSON has none for would come as null. */
const reportOf = ({ op: _op, rules, ...rest }: CircuitRequest): string =>
  JSON.stringify({ ...rest, rules: { ...rules, slowCallMs: 0 } })

type Reply = readonly [now: string, granted: number, live: number, voters: number, fields: RedisReply[], told: RedisReply[]]

const answerOf = ([now, granted, live, voters, fields, told]: Reply): CircuitAnswer => ({
  circuit: readCircuit(pairs(fields)),
  now: Number(now),
  isGranted: granted === 1,
  live,
  voters,
  transitions: told.map((text) => JSON.parse(String(text)) as CircuitTransition),
})

const liveMs = 3_000

const liveOf = (fields: Fields, now: number): number =>
  Object.entries(fields).filter(([name, vote]) => name.startsWith('vote:') && now - Number.parseInt(vote, 10) <= liveMs).length

/** Circuits in `reanna:circuit:{service}`, a hash each, on which every step is one script. */
export const createSharedCircuits = ({
  redis,
  prefix = '',
  instance = newInstance(),
  log = silentLogger,
  now = () => 0,
}: SharedCircuitsOptions): SharedCircuits => {
  const channel = `${prefix}tidemark:circuits`
  const index = `${prefix}tidemark:circuits`
  const keyOf = (service: string): string => `${prefix}reanna:circuit:${service}`
  /** Beside the circuit on its slot, also where the prefix brings braces of its own. */
  const eventsOf = (key: string): string => {
    const beside = `{${key}}:events`
    const isApart = redis.cluster && redis.cluster.slotOf(key) !== redis.cluster.slotOf(beside)
    return isApart ? `~events:${key}` : beside
  }
  const listeners = new Set<(service: string | undefined) => void>()
  const named = new Set<string>()
  let leave: (() => Promise<void>) | undefined
  let isStopped = false

  const tell = (service: string | undefined): void => {
    for (const listener of listeners) listener(service)
  }

  const subscribe = async (): Promise<void> => {
    if (leave || isStopped || redis.driver !== 'tcp') return
    leave = async () => {}
    try {
      const end = await redis.subscribe([channel], (service) => tell(service))
      leave = end
      if (isStopped) await end()
    } catch (err) {
      leave = undefined
      // Circuits are read again and again; word of changes only makes it sooner.
      log.debug('changes of circuits are not heard of at once', { err })
    }
  }

  const forget = redis.onState((state) => {
    if (state !== 'up') return
    named.clear()
    void subscribe()
    tell(undefined)
  })

  const name = async (service: string): Promise<void> => {
    if (named.has(service)) return
    named.add(service)
    await redis.command(['SADD', index, service]).catch(() => named.delete(service))
  }

  return {
    ask: async (service, request) => {
      const key = keyOf(service)
      const args = [request.op, service, request.isGuest ? '' : instance, channel, now(), reportOf(request)]
      const reply = await redis.script(circuitScript, [key, eventsOf(key)], args)
      void name(service)
      return answerOf(reply as unknown as Reply)
    },
    services: async () => (await redis.command<string[]>(['SMEMBERS', index])).map(String).sort(),
    read: async (service) => {
      const [time, hash] = await redis.pipeline([['TIME'], ['HGETALL', keyOf(service)]])
      if (!time?.ok || !hash?.ok) throw time?.ok === false ? time.error : hash?.ok === false ? hash.error : new Error('no reply')
      const fields = pairs(hash.value as RedisReply[])
      if (Object.keys(fields).length === 0) return undefined
      const [seconds, micros] = time.value as readonly string[]
      const at = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000)
      return { circuit: readCircuit(fields), now: at, live: liveOf(fields, at), voters: 0 }
    },
    onChange: (listener) => {
      listeners.add(listener)
      void subscribe()
      return () => void listeners.delete(listener)
    },
    stop: async () => {
      isStopped = true
      forget()
      listeners.clear()
      await leave?.().catch(() => undefined)
    },
  }
}
