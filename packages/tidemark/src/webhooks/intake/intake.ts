import { isTidemarkError, TidemarkError } from '../../errors.js'
import { type Logger, type Metrics, type Signals, silentLogger } from '../../observability/observability.js'
import type { Pool } from '../../postgres/postgres.js'
import type { Redis } from '../../redis/redis.js'
import type { LimiterStore } from '../../resilience/resilience.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { readJson } from '../json-text.js'
import { importKeys, type Key } from '../providers/keys.js'
import type { DeliveryHead, Proof, Provider } from '../providers/provider.js'
import { createSignatureQueue } from '../providers/signature-queue.js'
import { verifyDelivery } from '../providers/verify.js'
import type { AcceptedEvent, Durability } from '../webhooks.js'
import { type Answer, accepted, answerOf, type Rejection } from './answers.js'
import { createClockSkew } from './clock-skew.js'
import { type Delivery, declaredBytes, headOf, isEncoded, keptHeaders } from './delivery.js'
import { createEventId } from './event-id.js'
import { createEventStore, type EventStore, type Kept } from './event-store.js'
import { createIntakeMetrics, type IntakeMetrics, silentIntakeMetrics } from './intake-metrics.js'
import { type BodyReader, createBodyReader } from './read-body.js'
import { createSenderGuard } from './sender-guard.js'
import { type Arrival, acceptedEvent, type Understood, understand, unparseableEvent } from './understand.js'

export interface IntakeOptions {
  /** The one named `generic` also takes what comes for a name that is no provider's. */
  readonly providers: readonly Provider[]
  readonly pool: Pool
  /** `createAbsentRedis()` where there is none. */
  readonly redis: Redis
  /** Default `postgres`. */
  readonly durability?: Durability
  /** Of the stream; the same in every process, and for ever. Default 1. */
  readonly partitions?: number
  /** How long Redis remembers ids. Postgres remembers them as long as it has the rows. Default 24 h. */
  readonly dedupeTtlMs?: number
  /** How long a body may take. Default 10 s. */
  readonly bodyTimeoutMs?: number
  /** How long Postgres may take for a group of events, before Redis has to hold them. Default 2 s. */
  readonly storeTimeoutMs?: number
  /** How deep JSON may be nested. Default 100. */
  readonly maxDepth?: number
  /** Wrong signatures from one address in a minute, before it is refused without a look. 0: any number. Default 300. */
  readonly failuresPerMinute?: number
  /** Signatures of public keys that may wait to be checked. Default 1,000. */
  readonly maxWaitingSignatures?: number
  /** Where failures are counted. Default: in this process. */
  readonly limiterStore?: LimiterStore
  /** Called when something was stored, so that workers of this process need not wait until they look. */
  readonly onStored?: () => void
  readonly metrics?: Metrics
  readonly signals?: Signals
  readonly log?: Logger
  readonly clock?: Clock
}

/** From the socket to what is stored. */
export interface Intake {
  /** Takes a delivery; the answer is what its sender is told. Never rejects. */
  receive(delivery: Delivery): Promise<Answer>
  /** Names that are answered to. */
  readonly providers: readonly string[]
  /** Waits for what is under way. */
  stop(): Promise<void>
}

interface Known {
  readonly provider: Provider
  readonly keys: readonly Key[]
  /** The keys are told apart by account, so it has to be known first whose delivery it is. */
  readonly byTenant: boolean
}

/** Where the name of a provider that is none may go, as part of keys and lanes. */
const nameForm = /^[a-z0-9][a-z0-9-]{0,62}$/
const fallbackName = 'generic'

const isReadable = (answer: ReturnType<typeof readJson>): answer is Extract<typeof answer, { ok: true }> => answer.ok

interface Confirmed {
  readonly key: Key
  readonly raw: Buffer
  readonly proof: Proof
}

type Step<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: Rejection; readonly waitMs?: number }

const stop = (
  reason: Rejection,
  waitMs?: number,
): { readonly ok: false; readonly reason: Rejection; readonly waitMs?: number } => ({
  ok: false,
  reason,
  ...(waitMs !== undefined && { waitMs }),
})

const go = <T>(value: T): Step<T> => ({ ok: true, value })

class OpenIntake implements Intake {
  readonly #options
  readonly #known: ReadonlyMap<string, Known>
  readonly #store: EventStore
  readonly #bodies: BodyReader
  readonly #queue
  readonly #guard
  readonly #skew
  readonly #metrics: IntakeMetrics

  constructor(options: IntakeOptions, store: EventStore, clock: Clock, log: Logger) {
    const { metrics, signals, limiterStore, maxWaitingSignatures, failuresPerMinute = 300 } = options
    const { partitions = 1, bodyTimeoutMs = 10_000, maxDepth = 100 } = options
    this.#options = { partitions, maxDepth, clock, log, onStored: options.onStored }
    this.#known = new Map(
      options.providers.map((provider) => {
        const keys = importKeys(provider.name, provider.keys, provider.readKey)
        return [provider.name, { provider, keys, byTenant: keys.some(({ tenant }) => tenant !== undefined) }]
      }),
    )
    this.#store = store
    this.#bodies = createBodyReader({ timeoutMs: bodyTimeoutMs, clock })
    this.#queue = createSignatureQueue(maxWaitingSignatures === undefined ? {} : { maxWaiting: maxWaitingSignatures })
    this.#guard = createSenderGuard({ failuresPerMinute, store: limiterStore, clock })
    this.#skew = createClockSkew(signals)
    this.#metrics = metrics ? createIntakeMetrics(metrics) : silentIntakeMetrics
  }

  get providers(): readonly string[] {
    return [...this.#known.keys()]
  }

  async stop(): Promise<void> {
    this.#bodies.stop()
    await this.#store.stop()
  }

  #find(name: string): Known | undefined {
    return this.#known.get(name) ?? (nameForm.test(name) ? this.#known.get(fallbackName) : undefined)
  }

  async receive(delivery: Delivery): Promise<Answer> {
    const startedMs = this.#options.clock.monotonicMs()
    const known = this.#find(delivery.provider)
    const label = known?.provider.name ?? 'none'
    this.#metrics.received(label)
    const taken = known ? await this.#take(known, delivery) : stop('unknown_provider')
    this.#metrics.answered(label, (this.#options.clock.monotonicMs() - startedMs) / 1000)
    if (taken.ok) return accepted
    this.#metrics.rejected(label, taken.reason)
    return answerOf(taken.reason, known?.provider, taken.waitMs)
  }

  async #take(known: Known, delivery: Delivery): Promise<Step<void>> {
    try {
      const head = headOf(delivery)
      const confirmed = await this.#confirm(known, delivery, head)
      if (!confirmed.ok) return confirmed
      const events = this.#eventsOf(known.provider, delivery, head, confirmed.value)
      return events.ok ? await this.#keep(known.provider, events.value) : events
    } catch (err) {
      if (isTidemarkError(err, 'TM_WEBHOOKS_BUSY')) return stop('busy')
      this.#options.log.error('a delivery could not be taken', { provider: known.provider.name, err })
      return stop('unstored')
    }
  }

  /** What can be refused without reading the body is. */
  #readHead({ provider }: Known, delivery: Delivery, head: DeliveryHead): Step<Proof> {
    const waitMs = this.#guard.waitMs(delivery.ip)
    if (waitMs > 0) return stop('rate_limited', waitMs)
    if (isEncoded(delivery)) return stop('content_encoding')
    if ((declaredBytes(delivery) ?? 0) > provider.maxBytes) return stop('too_large')
    const proof = provider.proof(head)
    return typeof proof === 'string' ? stop(proof) : go(proof)
  }

  async #confirm(known: Known, delivery: Delivery, head: DeliveryHead): Promise<Step<Confirmed>> {
    const { provider, keys } = known
    const proof = this.#readHead(known, delivery, head)
    if (!proof.ok) return proof
    const body = await this.#bodies.read(delivery.body, provider.maxBytes)
    if (!body.ok) return stop(body.reason)
    const { raw } = body
    this.#metrics.body(provider.name, raw.length)
    if (raw.length === 0) return stop('empty')
    const tenant = known.byTenant ? this.#claimedTenant(provider, head, raw) : undefined
    const nowMs = this.#options.clock.now()
    this.#metrics.waiting(this.#queue.waiting)
    const verdict = await verifyDelivery({ raw, proof: proof.value, keys, tenant, nowMs }, this.#queue)
    if (verdict.ok) {
      this.#metrics.verified(provider.name, verdict.key.id)
      return go({ key: verdict.key, raw, proof: proof.value })
    }
    this.#metrics.unconfirmed(provider.name, verdict.keyId)
    await this.#guard.failed(delivery.ip)
    return stop(verdict.reason)
  }

  /** Whose delivery it says it is. */
  #claimedTenant(provider: Provider, head: DeliveryHead, raw: Buffer): string | undefined {
    const read = readJson(raw, this.#options)
    const understood = isReadable(read) ? understand(provider, head, read, raw) : []
    return typeof understood === 'string' ? undefined : understood[0]?.facts.tenant
  }

  #eventsOf(
    provider: Provider,
    delivery: Delivery,
    head: DeliveryHead,
    { raw, key, proof }: Confirmed,
  ): Step<readonly AcceptedEvent[]> {
    const nowMs = this.#options.clock.now()
    const arrival: Arrival = {
      provider: delivery.provider,
      tenant: key.tenant ?? '',
      verified: provider.signed,
      trust: provider.trust,
      signedAtMs: proof.signedAtMs,
      receivedAtMs: nowMs,
      headers: keptHeaders(head, provider),
      partitions: this.#options.partitions,
    }
    const read = readJson(raw, this.#options)
    const understood = isReadable(read) ? understand(provider, head, read, raw) : read.reason
    if (typeof understood === 'string') return this.#unreadable(provider, raw, understood, arrival)
    const refusal = this.#judge(provider, understood, arrival, key)
    if (refusal !== undefined) return stop(refusal)
    return go(understood.map((each) => acceptedEvent(each, arrival, createEventId(nowMs))))
  }

  /** A retry would bring the same again: what is signed is kept for people to see. */
  #unreadable(provider: Provider, raw: Buffer, reason: string, arrival: Arrival): Step<readonly AcceptedEvent[]> {
    if (!provider.signed) return stop('malformed')
    const { window, name } = provider
    const { signedAtMs, receivedAtMs } = arrival
    if (window && signedAtMs !== undefined && !this.#skew.judge(name, window, signedAtMs, receivedAtMs)) {
      return stop('outside_window')
    }
    return go([unparseableEvent(raw, reason, arrival, createEventId(receivedAtMs))])
  }

  #judge(provider: Provider, events: readonly Understood[], arrival: Arrival, key: Key): Rejection | undefined {
    const { window, tenants, name } = provider
    for (const { facts } of events) {
      const tenant = facts.tenant ?? arrival.tenant
      if (key.tenant !== undefined && key.tenant !== tenant) return 'unknown_tenant'
      if (tenants && !tenants.includes(tenant)) return 'unknown_tenant'
      const signedAtMs = arrival.signedAtMs ?? facts.signedAtMs
      if (window && signedAtMs !== undefined && !this.#skew.judge(name, window, signedAtMs, arrival.receivedAtMs)) {
        return 'outside_window'
      }
    }
    return undefined
  }

  async #keep({ name }: Provider, events: readonly AcceptedEvent[]): Promise<Step<void>> {
    const kept: readonly Kept[] = await this.#store.keep(events)
    for (const each of kept) this.#metrics.kept(name, each)
    if (kept.includes('nowhere')) return stop('unstored')
    if (kept.some((each) => each !== 'duplicate')) this.#options.onStored?.()
    return go(undefined)
  }
}

const day = 86_400_000

const refuseEviction = ({ memory }: EventStore, redis: Redis): void => {
  const { policy } = memory
  if (policy === undefined || policy === 'noeviction') return
  throw new TidemarkError('TM_WEBHOOKS_EVICTION', { target: redis.target, policy })
}

/**
 * Opens the intake. Raises TM_WEBHOOKS_NO_KEY and TM_WEBHOOKS_BAD_KEY, and TM_WEBHOOKS_EVICTION where events were to be kept in a
 * Redis that may drop them.
 */
export const openIntake = async (options: IntakeOptions): Promise<Intake> => {
  const { pool, redis, durability = 'postgres', partitions = 1, log = silentLogger, clock = systemClock, signals } = options
  const { dedupeTtlMs = day, storeTimeoutMs: timeoutMs = 2000 } = options
  const store = createEventStore({ pool, redis, durability, partitions, dedupeTtlMs, timeoutMs, log, signals })
  const intake = new OpenIntake(options, store, clock, log)
  await store.start()
  try {
    if (durability === 'redis') refuseEviction(store, redis)
  } catch (error) {
    await intake.stop()
    throw error
  }
  return intake
}
