import type pg from 'pg'
import { afterEach } from 'vitest'
import { createPools } from '../../../../postgres/pool/pools.js'
import type { Change, FeedEvent, TransactionPiece } from '../../../feed.js'
import type { Position } from '../../../position.js'
import { installOutbox } from '../install-outbox.js'
import type { OutboxSource, OutboxSourceOptions } from '../outbox.js'
import { createOutboxSource } from '../outbox-source.js'

export interface OpenOutbox {
  readonly source: OutboxSource
  /** Where it began. */
  readonly opened: Position
  /** The next so many pieces; other events are kept in `others`. */
  take(count: number): Promise<TransactionPiece[]>
  /** The next event, whatever it is. */
  next(): Promise<FeedEvent>
  readonly others: FeedEvent[]
  /** Once more does nothing. */
  close(): Promise<void>
}

/** A small pool as one role, with what ends it. */
export const openPool = (url: string) => {
  const pools = createPools({ url, pools: { primary: { maxConnections: 4, minConnections: 0 } } })
  return { pool: pools.primary, close: () => pools.stop() }
}

/** `kind table values`, of each change; old values where there is nothing new. */
export const changesOf = ({ changes }: { readonly changes: readonly Change[] }): string[] =>
  changes.map(({ kind, relation, old, new: row }) =>
    [kind, relation.table, (row ?? old)?.map((value) => value ?? String(value)).join(',')].filter(Boolean).join(' '),
  )

/** Installs the outbox on tables of public and reads it. */
const openOutbox = async (
  url: string,
  installer: pg.Client,
  tables: readonly string[],
  { from, ...options }: Partial<OutboxSourceOptions> & { readonly from?: Position } = {},
): Promise<OpenOutbox> => {
  const ids = tables.map((table) => ({ schema: 'public', table }))
  await installOutbox(installer, ids)
  const { pool, close } = openPool(url)
  const source = createOutboxSource({ pool, name: `reader_${tables.join('_')}`, tables: ids, pollMs: 10, ...options })
  const opened = await source.open()
  const ending = new AbortController()
  const events = source.events(ending.signal, from)[Symbol.asyncIterator]()
  const others: FeedEvent[] = []
  const next = async (): Promise<FeedEvent> => {
    const { value, done } = await events.next()
    if (done) throw new Error('the events have ended')
    return value
  }
  return {
    source,
    opened,
    others,
    next,
    take: async (count) => {
      const pieces: TransactionPiece[] = []
      while (pieces.length < count) {
        const event = await next()
        if (event.type === 'transaction') pieces.push(event)
        else others.push(event)
      }
      return pieces
    },
    close: async () => {
      if (ending.signal.aborted) return
      ending.abort()
      const stopping = source.stop()
      await events.return?.()
      await stopping
      await close()
    },
  }
}

/** Opens outboxes that are closed after each test. */
export const useOutboxes = (url: string, installer: pg.Client) => {
  const open: OpenOutbox[] = []
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close()
  })
  return async (tables: readonly string[], options: Parameters<typeof openOutbox>[3] = {}): Promise<OpenOutbox> => {
    const one = await openOutbox(url, installer, tables, options)
    open.push(one)
    return one
  }
}
