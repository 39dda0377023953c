import { isTidemarkError, reasonOf } from '../errors.js'
import type { Logger } from '../observability/observability.js'
import { type ConnectOptions, connectPostgres } from '../postgres/driver/connect.js'
import { within } from '../postgres/pool/within.js'
import { exponential } from '../resilience/backoff.js'
import type { Clock } from '../time/clock.js'

/** Where changes are told of, and by which event triggers: one of them is enough. */
export interface AnnouncedChanges {
  readonly channel: string
  readonly payloads: readonly string[]
  readonly triggers: readonly string[]
}

/** PostgREST's: event triggers, migrations and people tell of changes there. Our own triggers, Supabase's, and the one of PostgREST's documentation. */
export const structureChanges: AnnouncedChanges = {
  channel: 'pgrst',
  payloads: ['', 'reload schema', 'reload config'],
  triggers: ['tidemark_ddl_watch', 'pgrst_ddl_watch', 'pgrst_watch'],
}

/** Of policies and grants. */
export const accessChanges: AnnouncedChanges = {
  channel: 'tidemark_access',
  payloads: [''],
  triggers: ['tidemark_access_watch'],
}

const backoff = { baseMs: 250, maxMs: 30_000 }
const closeGraceMs = 2_000

const triggersSql = `
  select exists (select from pg_catalog.pg_event_trigger where evtevent = 'ddl_command_end' and evtenabled in ('O', 'A')
                    and evtname = any($1)) as present`

export interface ListenOptions {
  readonly target: ConnectOptions
  /** What the session is called, in Postgres' list of sessions. */
  readonly name: string
  readonly changes: AnnouncedChanges
  readonly clock: Clock
  readonly log: Logger
  readonly signal: AbortSignal
  /** Somebody says that something has changed. */
  announced(): void
  /** From now on changes are heard of; what changed before may have been missed. `complete`: DDL announces itself. */
  opened(complete: boolean): void
  /** Nothing is heard until {@link opened} again. */
  lost(): void
}

const session = async ({ target, name, changes, clock, signal, announced, opened }: ListenOptions): Promise<void> => {
  const client = await connectPostgres({ ...target, name })
  const ended = new Promise<void>((resolve) => {
    client.once('end', () => resolve())
    client.on('error', () => resolve())
    signal.addEventListener('abort', () => resolve(), { once: true })
    // It may have been aborted while the session was made.
    if (signal.aborted) resolve()
  })
  client.on('notification', (message) => {
    if (message.channel === changes.channel && changes.payloads.includes(message.payload ?? '')) announced()
  })
  try {
    await client.query(`listen ${changes.channel}`)
    const { rows } = await client.query<{ present: boolean }>(triggersSql, [changes.triggers])
    opened(rows[0]?.present === true)
    await ended
  } finally {
    await within(clock, closeGraceMs, client.end())
  }
}

/**
 * Keeps one session that listens, opened again wherever it is lost, until the signal ends it. Gives up where only a transaction pooler
 * is known, which has no sessions. Never raises.
 */
export const listenForChanges = async (options: ListenOptions): Promise<void> => {
  const { clock, log, signal, lost } = options
  for (let failures = 0; !signal.aborted; ) {
    let reason = 'the session ended'
    let hopeless = false
    const opened = (complete: boolean): void => {
      failures = 0
      options.opened(complete)
    }
    await session({ ...options, opened }).catch((error: unknown) => {
      reason = reasonOf(error)
      hopeless = isTidemarkError(error, 'TM_CONFIG_MISSING')
    })
    if (signal.aborted) return
    lost()
    failures += 1
    // Once for each time that it is away.
    if (failures === 1)
      log.warn('changes of the schema do not announce themselves: they are looked for', {
        reason,
        channel: options.changes.channel,
      })
    if (hopeless) return
    await clock.sleep(exponential(failures, backoff), signal).catch(() => undefined)
  }
}
