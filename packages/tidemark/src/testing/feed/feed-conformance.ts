import type { Source } from '../../feed/feed.js'
import { defineFeedConformance } from '../feed-conformance/suite.js'

/** What the suite asks of a source. */
export interface ConformanceSourceOptions {
  /** The database under test, bootstrapped and migrated, as its superuser. */
  readonly url: string
  /** A source that is stopped and made again under its name goes on from what was confirmed under it. */
  readonly name: string
  /** Exactly these; they exist. A table without a key, or with REPLICA IDENTITY FULL, gives whole old rows. */
  readonly tables: readonly { readonly schema: string; readonly table: string }[]
}

/**
 * Makes a source. Whatever is committed after the promise has resolved is given by it. What is confirmed need not be given again after a
 * restart (no replay window), and a piece holds 2,000 small changes at most, so that the suite sees large transactions in pieces.
 */
export type MakeSource = (options: ConformanceSourceOptions) => Promise<Source>

export interface FeedConformanceOptions {
  /**
   * `commit`: exactly the order of the commits, positions rise with each transaction. `visibility`: an order that no snapshot contradicts,
   * where transactions on common rows keep theirs. Default `commit`.
   */
  readonly order?: 'commit' | 'visibility'
  /** Undoes what makeSource made in the database beside slots. Called before the database is dropped. */
  readonly cleanUp?: (url: string) => Promise<void>
}

/**
 * What every source of the guarantee `exact` has to do, as vitest tests under the title `name`. Call it at the top of a `.pg.test.ts` file.
 * `events()` without a position begins with a reset for the reason `start`, which names the epoch; from a position of the same epoch it
 * begins with none.
 */
export const feedConformance = (name: string, makeSource: MakeSource, options: FeedConformanceOptions = {}): void =>
  defineFeedConformance(name, makeSource, options)
