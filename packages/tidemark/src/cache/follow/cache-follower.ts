/** What the feed does to the cache of a node: memory gives up what a change touches, and learns how fresh it is (CACHE-4). */
import {
  type Change,
  columnValue,
  type FeedReset,
  type Follower,
  type FreshnessProof,
  type TransactionPiece,
  tableName,
} from '../../feed/feed.js'
import type { KeyPart } from '../cache.js'
import type { Entry } from '../entry/entry.js'
import type { Evictions, Rules } from '../plan/rules.js'
import type { FeedState } from './feed-state.js'

// biome-ignore lint/suspicious/noExplicitAny: entries of every kind stand side by side
export type AnyEntry = Entry<any, any>

/** Where evictions that no row causes are written, so that every node hears of them in their place among the changes. */
const evictionsTable = 'tidemark.cache_evictions'

export interface FollowerParts {
  readonly entries: ReadonlyMap<string, AnyEntry>
  readonly rules: Rules
  readonly prefix: string
  readonly feed: FeedState
  /** What else listens to the same changes, after the values are gone. */
  readonly others: readonly ChangeListener[]
  /** Told of keys that went, with the parts they are made of. */
  readonly onDropped: (entry: AnyEntry, params: Readonly<Record<string, KeyPart>>, wasInMemory: boolean) => void
}

export interface ChangeListener {
  readonly tables: readonly string[]
  apply(piece: TransactionPiece): Promise<void>
  reset(): Promise<void>
  fresh(asOf: number): void
}

/** Evictions by command, as rows. */
export interface Command {
  readonly kind: string
  readonly name: string
}

export const commandsOf = (changes: readonly Change[]): readonly Command[] =>
  changes
    .filter(({ kind, relation }) => kind === 'insert' && tableName(relation) === evictionsTable)
    .map(({ relation, new: row }) => ({
      kind: columnValue(relation, row, 'kind') ?? '',
      name: columnValue(relation, row, 'name') ?? '',
    }))

export const createCacheFollower = ({ entries, rules, prefix, feed, others, onDropped }: FollowerParts): Follower => {
  const dropKeys = ({ keys }: Evictions): void => {
    for (const [key, { entry: name, parts }] of keys) {
      const entry = entries.get(name)!
      const wasInMemory = entry.drop(prefix + key)
      onDropped(entry, Object.fromEntries(entry.names.map((each, i) => [each, parts[i]!])), wasInMemory)
    }
  }
  const dropMany = ({ tags, entries: whole }: Evictions, position: bigint): void => {
    for (const [name, each] of tags) for (const tag of each) entries.get(name)!.dropTag(tag, position)
    for (const name of whole) entries.get(name)!.dropAll(position)
  }
  const obey = ({ kind, name }: Command, position: bigint): void => {
    for (const entry of entries.values()) {
      if (kind === 'key') entry.drop(name)
      else if (kind === 'tag') entry.dropTag(name, position)
      else if (kind === 'all' || (kind === 'entry' && entry.name === name)) entry.dropAll(position)
      else if (kind === 'table' && rules.entriesOf(name).has(entry.name)) entry.dropAll(position)
    }
  }
  return {
    name: 'cache',
    tables: [...new Set([...rules.tables, evictionsTable, ...others.flatMap(({ tables }) => tables)])],
    apply: async (piece: TransactionPiece) => {
      const evictions = rules.evictionsOf(piece)
      dropKeys(evictions)
      dropMany(evictions, piece.position.number)
      for (const command of commandsOf(piece.changes)) obey(command, piece.position.number)
      // Of a very large transaction nobody can tell what was to go.
      if (piece.changes.some(({ kind, relation }) => kind === 'changed' && tableName(relation) === evictionsTable))
        obey({ kind: 'all', name: '' }, piece.position.number)
      for (const other of others) await other.apply(piece)
      if (piece.last) feed.passed(piece.position, piece.xid)
    },
    reset: async ({ position }: FeedReset) => {
      feed.reset(position)
      for (const entry of entries.values()) entry.restart(position.number)
      for (const other of others) await other.reset()
    },
    fresh: (proof: FreshnessProof) => {
      feed.prove(proof)
      for (const other of others) other.fresh(proof.asOf)
    },
  }
}
