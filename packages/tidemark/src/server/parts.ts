import type { Auth } from '../auth/open-auth.js'
import type { State } from '../state/state.js'
import type { ServerAlerts } from './alerts/alerts.js'
import type { ServerCaches } from './caches/caches.js'
import type { ServerFeed } from './feed/feed.js'
import type { Shell } from './http/shell.js'
import type { Observation } from './observation/observation.js'
import type { ServerRealtime } from './realtime/realtime.js'
import type { ServerChanges } from './realtime/realtime-changes.js'
import type { ServerRelays } from './realtime/realtime-relays.js'
import type { ServerResilience } from './resilience/resilience.js'
import type { ServerRest } from './rest/rest.js'
import type { Runtime } from './runtime.js'
import type { ServerWebhooks } from './webhooks/webhooks.js'

/** What a server is made of once it has started, in the order in which it is opened. What a process has no part in is left out. */
export interface Started {
  readonly state: State
  readonly observation: Observation
  readonly shell: Shell
  readonly runtime: Runtime
  readonly resilience: ServerResilience
  readonly rest: ServerRest
  readonly webhooks: ServerWebhooks
  readonly caches: ServerCaches
  readonly changes: ServerChanges
  readonly relays: ServerRelays
  readonly feed: ServerFeed
  readonly auth: Auth | 'foreign'
  readonly realtime: ServerRealtime
  readonly alerts: ServerAlerts
}

/** What a server consists of by now. What was opened last is stopped first. */
export class Parts {
  readonly #opened: Partial<Started> = {}
  readonly #stops: (() => Promise<void>)[] = []

  /** Undefined while it is being opened, and where this process has no such part. */
  get<K extends keyof Started>(name: K): Started[K] | undefined {
    return this.#opened[name]
  }

  /** Takes a part in, and with it what ends it. */
  add<K extends keyof Started>(name: K, part: Started[K], stop?: () => Promise<void>): Started[K] {
    ;(this.#opened as { -readonly [N in keyof Started]?: Started[N] })[name] = part
    if (stop) this.#stops.push(stop)
    return part
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops.splice(0).reverse()) await stop()
  }
}
