import { type Logger, silentLogger } from '../observability/observability.js'
import { type Intake, type IntakeOptions, openIntake } from './intake/intake.js'
import { createRenormalise } from './intake/renormalise.js'
import { createReplays, type Replays } from './replay/replays.js'
import { createStoredEvents, type StoredEvents } from './replay/stored-events.js'
import { createHandlers } from './workers/create-handlers.js'
import { openWorkers } from './workers/open-workers.js'
import type { Handlers, HandlerTable, WorkerSettings, Workers, WorkersOptions } from './workers/workers.js'

export interface OpenWebhooksOptions extends Omit<IntakeOptions, 'onStored'> {
  /** Handlers by type. More can be registered with {@link Webhooks.on}. */
  readonly on?: HandlerTable
  readonly workers?: Partial<WorkerSettings>
  /** Opens a connection for reads that wait. Without it streams are asked every 25 ms. */
  readonly connect?: WorkersOptions['connect']
  /** False where this process only takes events, and others handle them. Default true. */
  readonly handles?: boolean
}

/** Webhooks of one process: what takes them, and what handles them. */
export interface Webhooks {
  /** Give it requests: see `addWebhookRoutes`, or call `receive`. */
  readonly intake: Intake
  /** Undefined where this process does not handle events. */
  readonly workers: Workers | undefined
  readonly replays: Replays
  readonly events: StoredEvents
  /** Registers a handler; gives what takes it away again. `*` gets every event. */
  readonly on: Handlers['on']
  /** Once no more requests come: waits for what is under way, hands the rest to others, and lets go. */
  stop(): Promise<void>
}

/**
 * Opens webhooks over connections that are there: events are taken, stored, and handled in transactions of `pool`.
 * Raises TM_WEBHOOKS_* for providers without keys, options that are none, and a Redis that may drop events.
 */
export const openWebhooks = async (options: OpenWebhooksOptions): Promise<Webhooks> => {
  const { on, workers: settings, connect, handles = true, ...given } = options
  const { pool, redis, providers, partitions = 1, maxDepth, metrics, signals, clock } = given
  const log: Logger = given.log ?? silentLogger
  const handlers = createHandlers(on)
  let workers: Workers | undefined
  const intake = await openIntake({ ...given, onStored: () => workers?.wake() })
  try {
    if (handles) {
      workers = await openWorkers({
        pool,
        redis,
        handlers,
        partitions,
        log,
        renormalise: createRenormalise({ providers, partitions, ...(maxDepth !== undefined && { maxDepth }) }),
        ...(connect && { connect }),
        ...(settings && { settings }),
        ...(metrics && { metrics }),
        ...(signals && { signals }),
        ...(clock && { clock }),
      })
    }
  } catch (error) {
    await intake.stop()
    throw error
  }
  return {
    intake,
    workers,
    replays: createReplays(pool),
    events: createStoredEvents(pool),
    on: handlers.on,
    stop: async () => {
      await intake.stop()
      await workers?.stop()
    },
  }
}
