import { TidemarkError } from '../../../errors.js'
import { type Logger, silentLogger } from '../../../observability/observability.js'
import type { ConnectOptions } from '../../../postgres/driver/connect.js'
import { type Clock, systemClock } from '../../../time/clock.js'
import type { TableId } from '../../table-id.js'

export interface WalSourceOptions {
  /** The database, as a role with REPLICATION (`tidemark_feed`). */
  readonly target: ConnectOptions
  /** The same database as the owner of the tables: it makes the publication. Default: `target`. */
  readonly adminTarget?: ConnectOptions
  /**
   * `name`: lower case letters, digits and underscores; the slot's full name holds the database's id as well. A temporary slot lives as long as
   * its connection, under a name of its own; where there is a lasting one of that name it is a copy of it, and tells the same history.
   */
  readonly slot: { readonly name: string; readonly temporary?: boolean }
  readonly publication: string
  /** Exactly the tables that the publication is made to hold; `published`: it exists and is left alone. */
  readonly tables: readonly TableId[] | 'published'
  /** A publication of the application, whose tables are followed as well: it changes while we run. */
  readonly alongside?: string | undefined
  /** What happens to a table without a key or identity: it gets REPLICA IDENTITY FULL (default), or TM_FEED_IDENTITY is raised. */
  readonly missingIdentity?: 'full' | 'refuse'
  /** Where a consumer without a position begins: at what Postgres knows as confirmed (default), or at the present end. */
  readonly start?: 'confirmed' | 'now'
  /** How often freshness is proven. Default 500. */
  readonly beatMs?: number
  /** After so long without a word from us Postgres frees the slot. Default 2,000; 30,000 for a temporary one. */
  readonly walSenderTimeoutMs?: number
  /** What is confirmed is held back from Postgres for so long, so that it can be given again. Default 60,000. */
  readonly replayWindowMs?: number
  /** Undelivered bytes at which the socket is paused. Default 4 MiB. */
  readonly maxQueuedBytes?: number
  /** Size at which a transaction is given in pieces. Default 1 MiB. */
  readonly maxPieceBytes?: number
  /** How long the making of a slot may take. Default 30,000. */
  readonly slotTimeoutMs?: number
  /** How long a slot may be read by another process before TM_FEED_SLOT_BUSY is raised. Default 500: a killed reader's is free by then. */
  readonly busyTimeoutMs?: number
  readonly clock?: Clock
  readonly log?: Logger
  /** From 0 up to 1, for the pauses between attempts to connect. */
  readonly random?: () => number
}

export interface ResolvedWalOptions extends Required<Omit<WalSourceOptions, 'slot' | 'alongside'>> {
  readonly alongside: string | undefined
  readonly slot: { readonly name: string; readonly temporary: boolean }
}

const mebibyte = 1024 * 1024

/** Raises TM_INTERNAL for numbers that make no sense. */
export const resolveWalOptions = (options: WalSourceOptions): ResolvedWalOptions => {
  const { name, temporary = false } = options.slot
  const numbers = {
    beatMs: options.beatMs ?? 500,
    walSenderTimeoutMs: options.walSenderTimeoutMs ?? (temporary ? 30_000 : 2_000),
    replayWindowMs: options.replayWindowMs ?? 60_000,
    maxQueuedBytes: options.maxQueuedBytes ?? 4 * mebibyte,
    maxPieceBytes: options.maxPieceBytes ?? mebibyte,
    slotTimeoutMs: options.slotTimeoutMs ?? 30_000,
    busyTimeoutMs: options.busyTimeoutMs ?? 500,
  }
  for (const [key, value] of Object.entries(numbers)) {
    if (!Number.isFinite(value) || value < 0) throw new TidemarkError('TM_INTERNAL', { reason: `${key} of the feed is ${value}` })
  }
  return {
    ...numbers,
    target: options.target,
    adminTarget: options.adminTarget ?? options.target,
    slot: { name, temporary },
    publication: options.publication,
    tables: options.tables,
    alongside: options.alongside,
    missingIdentity: options.missingIdentity ?? 'full',
    start: options.start ?? 'confirmed',
    clock: options.clock ?? systemClock,
    log: options.log ?? silentLogger,
    random: options.random ?? Math.random,
  }
}
