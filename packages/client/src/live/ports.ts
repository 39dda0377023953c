import type { Position } from '../position.js'
import type { AnyRow } from '../schema.js'
import type { RowChange } from './live-rows.js'
import type { ResolvedSpec } from './live-spec.js'

/** What a live query reads rows by, and is told changes by. */

export interface PageRequest {
  readonly spec: ResolvedSpec
  /** The rows behind this one; undefined: from the first. */
  readonly after: AnyRow | undefined
  readonly count: number
  readonly signal: AbortSignal
}

export interface Page {
  readonly rows: readonly AnyRow[]
  /** Everything up to here is in it; undefined where the server does not say. */
  readonly position: Position | undefined
}

/** Raises {@link LoadError}. */
export type ReadPage = (request: PageRequest) => Promise<Page>

/** Rows could not be read. `isNetwork`: nobody answered, or a server that is not able to at present. */
export class LoadError extends Error {
  readonly isNetwork: boolean

  constructor(message: string, { isNetwork, cause }: { readonly isNetwork: boolean; readonly cause?: unknown }) {
    super(message, { cause })
    this.name = 'LoadError'
    this.isNetwork = isNetwork
  }
}

export interface FeedListener {
  /** From now on changes are told: behind the position that was named, or from now. */
  joined(named: boolean): void
  /**
   * What the server told in one turn, and where that leads; without a position where the server has none. `until`: the answer to a join; told that
   * much, everything is told that was there then.
   */
  turn(changes: readonly RowChange[], position: Position | undefined, until?: Position): void
  /** Changes may be missing; from this position on none is. */
  gap(position: Position | undefined): void
  /** No changes come any more. They will again, unless there is a problem that only somebody else can solve. */
  lost(problem: Error | undefined): void
}

export interface Feed {
  readonly isJoined: boolean
  /** Goes on behind the position; undefined: from now on. Whenever the connection breaks it joins again, behind what it told last. */
  join(position: Position | undefined): void
  /** The next join goes on behind this. */
  moveTo(position: Position | undefined): void
  /** Nothing is told after it returned. */
  leave(): void
}

export type OpenFeed = (spec: ResolvedSpec, listener: FeedListener) => Feed
