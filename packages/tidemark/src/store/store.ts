/**
 * One repository code on two stores: the application's work is handed a Kysely on the store that is in charge, and follows the switch of a
 * live move, on every node at once. The fences in both databases make it safe; knowing the state only makes it fast.
 *
 * {@link file://./open-store.ts} opens one. Nothing here loads a database driver: that of a store that is not used never is (`tidemark/store`
 * is an entry of its own for that reason).
 */
import type { Kysely, Transaction } from 'kysely'
import type { MoveState } from '../move/live/live-state.js'
import type { MomentFormat } from '../move/move.js'
import type { Clock } from '../time/clock.js'

/** As DATABASE_PROVIDER says; `supabase` is a Postgres. */
export type Provider = 'sqlite' | 'supabase' | 'postgres'
export type StoreKind = 'sqlite' | 'postgres'

/**
 * How a column's values look in the application, whatever the store. What is not listed is as both stores give it alike: whole numbers as
 * number (as bigint beyond 2^53), reals as number, text as string, bytes as Buffer.
 */
export type ColumnValue =
  /** true and false. `forms`: how the file writes them; default 1 and 0. */
  | { readonly kind: 'boolean'; readonly forms?: readonly [yes: string | number, no: string | number] }
  /** Always bigint. */
  | { readonly kind: 'bigint' }
  /** Exact decimals as text. */
  | { readonly kind: 'decimal' }
  /** What JSON.parse makes of it; written by JSON.stringify. */
  | { readonly kind: 'json' }
  /**
   * A moment as Date, to the millisecond. `format`: how the file writes it (null: any ISO form is read, and `YYYY-MM-DD HH:MM:SS` written),
   * or the unit in which it counts since 1970. `timeZone`: of texts without a zone; default UTC. `naive`: the column of Postgres has no zone.
   */
  | {
      readonly kind: 'moment'
      readonly format?: MomentFormat | null | 'seconds' | 'milliseconds' | 'microseconds'
      readonly timeZone?: string
      readonly naive?: boolean
    }
  /** `YYYY-MM-DD`, as text. */
  | { readonly kind: 'date' }
  /** A uuid with dashes and in lower case; `dashless`: the file has 32 digits. */
  | { readonly kind: 'uuid'; readonly dashless?: boolean }

/** By table and column. */
export type ColumnValues = Readonly<Record<string, Readonly<Record<string, ColumnValue | ColumnValue['kind']>>>>

export interface SqliteStoreOptions {
  readonly path: string
  /** How long a write waits for another program's. Default 5,000; the process goes on meanwhile. */
  readonly busyTimeoutMs?: number
}

export interface PostgresStoreOptions {
  readonly url: string
  /** Where the tables are. Default `public`. */
  readonly schema?: string
  /** Default 10. */
  readonly maxConnections?: number
  /** Default 2,000. */
  readonly connectTimeoutMs?: number
}

export interface StoreOptions {
  /** The application's file, where it has one. */
  readonly sqlite?: SqliteStoreOptions
  readonly postgres?: PostgresStoreOptions
  /** What the environment says; undefined where it says nothing: then the file where there is one, else Postgres. */
  readonly provider?: Provider
  /** Default: as the plan of the live move has it; without a move as the stores give them. */
  readonly columns?: ColumnValues
  /** How long a write waits while a switch is under way and nobody takes writes. Default 10,000. */
  readonly maxWaitMs?: number
  /** How often the state is looked at. Default 1,000. */
  readonly pollMs?: number
  readonly clock?: Clock
  readonly onSwitch?: (event: { readonly from: StoreKind; readonly to: StoreKind; readonly epoch: bigint }) => void
}

export interface StoreState {
  /** Who takes writes, as far as this process knows; null while nobody does. */
  readonly writer: StoreKind | null
  /** Whose rows are read (but for the share that `move reads` gives to Postgres). */
  readonly reader: StoreKind
  /** Of the live move; null without one. */
  readonly move: { readonly state: MoveState; readonly epoch: bigint; readonly readsPercent: number } | null
  /** From where it is known. */
  readonly source: 'postgres' | 'file' | 'environment'
}

export interface StoreContext {
  readonly store: StoreKind
}

export interface ReadOptions {
  /** What decides whether this read belongs to the share that Postgres answers before the cutover, such as a session's id. Default: the process. */
  readonly id?: string
}

export interface Store<DB> {
  /**
   * Runs `work` in one transaction of the store in charge. Where that refuses (a switch has happened, or is under way) nothing was kept:
   * the work is run again on the one that takes writes, so it must have no effects but those through `db`. Raises TM_STORE_NO_WRITER where
   * the switch takes longer than the wait allowed.
   */
  write<T>(work: (db: Transaction<DB>, context: StoreContext) => Promise<T>): Promise<T>
  /** Runs `work` on the store whose rows are read; a statement that would write is refused. */
  read<T>(work: (db: Kysely<DB>, context: StoreContext) => Promise<T>, options?: ReadOptions): Promise<T>
  state(): StoreState
  /** Looks at the state now. */
  refresh(): Promise<StoreState>
  close(): Promise<void>
}

export { openStore } from './open-store.js'
export { columnsOfPlan } from './values/plan-columns.js'
