import type { PusherWebhookEvent } from '../../../config/options/pusher-options.js'
import type { Counter, Gauge, Logger, Metrics } from '../../../observability/observability.js'
import type { Clock } from '../../../time/clock.js'
import { kindOf } from './channel-name.js'
import type { PusherApp } from './pusher.js'
import { sign } from './signature.js'

export interface ClientEvent {
  readonly channel: string
  readonly event: string
  readonly data: unknown
  readonly socketId: string
  readonly userId: string | undefined
}

/** Tells the application what happens in its channels. */
export interface PusherWebhooks {
  occupied(channel: string, occupied: boolean): void
  present(channel: string, userId: string, present: boolean): void
  clientEvent(event: ClientEvent): void
  missed(channel: string): void
  counted(channel: string, count: number): void
  stop(): Promise<void>
}

export interface PusherWebhooksOptions {
  readonly app: PusherApp
  readonly urls: readonly string[]
  readonly events: readonly PusherWebhookEvent[]
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  readonly fetch?: typeof fetch
}

/** Who is back within so long has not left. */
const absenceMs = 3_000
/** What happens in so long goes out together. */
const gatherMs = 50
const maxEventsPerPost = 100
/** What waits for one address; beyond it the oldest is given up. */
const maxWaiting = 10_000
const retryForMs = 300_000
const firstRetryMs = 1_000
const maxRetryMs = 60_000
const answerWithinMs = 10_000
/** How long a stop waits for what is on its way. */
const stopWithinMs = 2_000

type Payload = { readonly name: PusherWebhookEvent } & Readonly<Record<string, unknown>>

interface Counters {
  readonly sent: Counter
  readonly dropped: Counter<'why'>
  readonly waiting: Gauge
}

/** What one address is told, in its order. */
class Outbox {
  readonly #url: string
  readonly #options: PusherWebhooksOptions
  readonly #counters: Counters
  readonly #signal: AbortSignal
  #waiting: Payload[] = []
  #working: Promise<void> | undefined

  constructor(url: string, options: PusherWebhooksOptions, counters: Counters, signal: AbortSignal) {
    this.#url = url
    this.#options = options
    this.#counters = counters
    this.#signal = signal
  }

  add(event: Payload): void {
    this.#waiting.push(event)
    this.#counters.waiting.add(1)
    if (this.#waiting.length > maxWaiting) {
      this.#waiting.shift()
      this.#dropped(1, 'full')
    }
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined
    })
  }

  async idle(): Promise<void> {
    await this.#working
  }

  giveUp(): void {
    if (this.#waiting.length > 0) this.#dropped(this.#waiting.length, 'stopped')
    this.#waiting = []
  }

  async #work(): Promise<void> {
    const { clock } = this.#options
    while (this.#waiting.length > 0) {
      await clock.sleep(gatherMs, this.#signal).catch(() => {})
      const events = this.#waiting.splice(0, maxEventsPerPost)
      if (events.length > 0) await this.#deliver(events)
    }
  }

  async #deliver(events: readonly Payload[]): Promise<void> {
    const { app, clock, log } = this.#options
    const body = JSON.stringify({ time_ms: clock.now(), events })
    const headers = { 'content-type': 'application/json', 'x-pusher-key': app.key, 'x-pusher-signature': sign(app, body) }
    const untilMs = clock.monotonicMs() + retryForMs
    for (let pauseMs = firstRetryMs; ; pauseMs = Math.min(maxRetryMs, pauseMs * 2)) {
      const why = await this.#post(body, headers)
      if (why === undefined) {
        this.#counters.waiting.add(-events.length)
        this.#counters.sent.add(events.length)
        return
      }
      const last = this.#signal.aborted || clock.monotonicMs() + pauseMs > untilMs
      if (last) {
        log.warn('webhooks were given up', { events: events.length, reason: why })
        return this.#dropped(events.length, this.#signal.aborted ? 'stopped' : 'refused')
      }
      await clock.sleep(pauseMs, this.#signal).catch(() => {})
    }
  }

  /** Why it was not taken. */
  async #post(body: string, headers: Record<string, string>): Promise<string | undefined> {
    const { fetch: send = fetch } = this.#options
    const signal = AbortSignal.timeout(answerWithinMs)
    try {
      const answer = await send(this.#url, { method: 'POST', body, headers, redirect: 'manual', signal })
      await answer.body?.cancel()
      return answer.status >= 200 && answer.status < 300 ? undefined : `status ${answer.status}`
    } catch (error) {
      return error instanceof Error && error.name === 'TimeoutError' ? 'no answer in time' : 'not reachable'
    }
  }

  #dropped(events: number, why: string): void {
    this.#counters.waiting.add(-events)
    this.#counters.dropped.add(events, { why })
  }
}

class Webhooks implements PusherWebhooks {
  readonly #options: PusherWebhooksOptions
  readonly #outboxes: readonly Outbox[]
  readonly #wanted: ReadonlySet<PusherWebhookEvent>
  readonly #ending = new AbortController()
  /** Who left a moment ago, what is told of it, and what ends the wait. */
  readonly #absent = new Map<string, { readonly wait: AbortController; readonly event: Payload }>()

  constructor(options: PusherWebhooksOptions) {
    this.#options = options
    this.#wanted = new Set(options.events)
    const { metrics } = options
    const counters: Counters = {
      sent: metrics.counter('tidemark_pusher_webhook_events_total', 'Events that webhooks delivered.'),
      dropped: metrics.counter('tidemark_pusher_webhook_dropped_total', 'Events that no webhook delivered, by why.', ['why']),
      waiting: metrics.gauge('tidemark_pusher_webhook_waiting_entries', 'Events that wait for a webhook.'),
    }
    this.#outboxes = options.urls.map((url) => new Outbox(url, options, counters, this.#ending.signal))
  }

  occupied(channel: string, occupied: boolean): void {
    if (occupied) this.#came(`c ${channel}`, { name: 'channel_occupied', channel })
    else this.#left(`c ${channel}`, { name: 'channel_vacated', channel })
  }

  present(channel: string, userId: string, present: boolean): void {
    if (kindOf(channel).access !== 'presence') return
    const key = `m ${channel} ${userId}`
    if (present) this.#came(key, { name: 'member_added', channel, user_id: userId })
    else this.#left(key, { name: 'member_removed', channel, user_id: userId })
  }

  clientEvent({ channel, event, data, socketId, userId }: ClientEvent): void {
    this.#add({
      name: 'client_event',
      channel,
      event,
      data: typeof data === 'string' ? data : JSON.stringify(data ?? null),
      socket_id: socketId,
      ...(userId !== undefined && { user_id: userId }),
    })
  }

  missed(channel: string): void {
    this.#add({ name: 'cache_miss', channel })
  }

  counted(channel: string, count: number): void {
    this.#add({ name: 'subscription_count', channel, subscription_count: count })
  }

  async stop(): Promise<void> {
    // Nobody here sees them come back.
    for (const { wait, event } of this.#absent.values()) {
      wait.abort()
      this.#add(event)
    }
    this.#absent.clear()
    const enough = new AbortController()
    const idle = Promise.all(this.#outboxes.map((outbox) => outbox.idle()))
    this.#ending.abort()
    const late = this.#options.clock.sleep(stopWithinMs, enough.signal).catch(() => {})
    await Promise.race([idle, late])
    enough.abort()
    for (const outbox of this.#outboxes) outbox.giveUp()
  }

  #came(key: string, event: Payload): void {
    const absence = this.#absent.get(key)
    this.#absent.delete(key)
    if (absence) absence.wait.abort()
    else this.#add(event)
  }

  #left(key: string, event: Payload): void {
    if (this.#outboxes.length === 0 || !this.#wanted.has(event.name)) return
    const wait = new AbortController()
    this.#absent.get(key)?.wait.abort()
    this.#absent.set(key, { wait, event })
    void this.#options.clock.sleep(absenceMs, wait.signal).then(
      () => {
        this.#absent.delete(key)
        this.#add(event)
      },
      () => {},
    )
  }

  #add(event: Payload): void {
    if (!this.#wanted.has(event.name) || this.#ending.signal.aborted) return
    for (const outbox of this.#outboxes) outbox.add(event)
  }
}

export const createWebhooks = (options: PusherWebhooksOptions): PusherWebhooks => new Webhooks(options)
