import { TidemarkError } from '../../../errors.js'
import type { Logger } from '../../../observability/observability.js'
import type { Client } from '../../../postgres/postgres.js'
import type { Deadlines } from '../../../time/deadlines.js'
import { readEnvelope } from '../../envelope.js'
import type { EventHandler, HandlerContext, WebhookEvent } from '../../webhooks.js'
import type { HandlerClient } from './handler-client.js'
import type { HeldEvent } from './held-event.js'

/** A handler did not end in time. Nothing of its transaction stays. */
export class HandlerLate extends Error {
  readonly event: HeldEvent

  constructor(event: HeldEvent) {
    super('a handler did not end in time')
    this.event = event
  }
}

/** The event as its row counts it; undefined where its body could not be read. */
export const eventOf = (held: HeldEvent): WebhookEvent | undefined => {
  const event = readEnvelope(held.payload)
  return event && { ...event, id: held.id, type: held.type }
}

/** What it is run with: of an edited replay, what its operator wrote. */
const rawText = `select coalesce(replay.body, event.raw) as raw from public.webhook_events event
  left join tidemark.webhook_replays replay on replay.id = event.replay_id where event.id = $1`

const readRaw = async (held: HeldEvent, db: Client): Promise<Buffer> => {
  if (held.whole) return held.whole.raw
  const { rows } = await db.query<{ raw: Buffer }>(rawText, [held.id])
  const [row] = rows
  if (!row) throw new TidemarkError('TM_WEBHOOKS_NOT_FOUND', { id: held.id })
  return row.raw
}

export interface HandlerRun {
  readonly held: HeldEvent
  readonly event: WebhookEvent
  readonly handlers: readonly EventHandler[]
  readonly db: HandlerClient
  readonly attempt: number
  readonly replayId: string | undefined
  readonly controller: AbortController
  readonly deadlines: Deadlines
  readonly log: Logger
}

const neverEnding = (): { readonly late: Promise<never>; readonly fail: (error: unknown) => void } => {
  let fail: (error: unknown) => void = () => undefined
  const late = new Promise<never>((_resolve, reject) => {
    fail = reject
  })
  late.catch(() => undefined)
  return { late, fail }
}

/** Calls the handlers of an event, one after the other. Raises what they raise, and {@link HandlerLate}. */
export const runHandlers = async (run: HandlerRun): Promise<void> => {
  const { held, event, handlers, db, controller, deadlines } = run
  const { signal } = controller
  const context: HandlerContext = {
    db,
    attempt: run.attempt,
    replayId: run.replayId,
    raw: () => readRaw(held, db),
    signal,
    log: run.log,
  }
  const { late, fail } = neverEnding()
  const stop = (): void => fail(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  const end = deadlines.begin(() => controller.abort(new HandlerLate(held)))
  try {
    for (const handler of handlers) await Promise.race([handler(event, context), late])
  } finally {
    end()
    signal.removeEventListener('abort', stop)
  }
}
