import { setTimeout as delay } from 'node:timers/promises'
import { TidemarkError } from '../../errors.js'
import type { FeedSources, Lease, LeasedSource, LeaseHolder } from '../../feed/fan-out/fan-out.js'
import type { Change, FeedEvent, Relation, SourceLag, TransactionPiece } from '../../feed/feed.js'
import type { Position } from '../../feed/position.js'

export const scriptedRelation: Relation = {
  oid: 16_400,
  schema: 'public',
  table: 'items',
  identity: 'default',
  columns: [
    { name: 'id', typeOid: 20, typeModifier: -1, isKey: true },
    { name: 'name', typeOid: 25, typeModifier: -1, isKey: false },
  ],
}

interface Committed {
  readonly number: bigint
  readonly changes: readonly Change[]
}

/** What a write-ahead log does for the fan-out, in memory: an order, a confirmed position, and one reader at a time. */
export interface ScriptedLog {
  readonly sources: FeedSources
  epoch: string
  readonly confirmed: bigint
  readonly holder: number | undefined
  /** Adds a transaction of that many inserts. Gives its number. */
  commit(rows?: number): bigint
  /** Goes on as another history. */
  restore(epoch: string): void
  /** Everything that was committed, as `number/ordinal` of each change. */
  all(): readonly string[]
  /** Ends whoever reads, as a walsender's end does. */
  terminate(): void
}

interface Hold {
  readonly pid: number
  readonly controller: AbortController
}

const step = 100n

export const createScriptedLog = ({
  epoch: firstEpoch = 'wal-1-1-16384-aa',
  maxPieceChanges = 1000,
  proofMs = 20,
  scope = 'test',
}: {
  readonly epoch?: string
  readonly maxPieceChanges?: number
  readonly proofMs?: number
  readonly scope?: string
} = {}): ScriptedLog => {
  let epoch = firstEpoch
  let log: Committed[] = []
  let head = 1000n
  let confirmed = 1000n
  let hold: Hold | undefined
  let pids = 0
  let rows = 0

  const busy = (pid: number) => new TidemarkError('TM_FEED_SLOT_BUSY', { slot: 'scripted', pid })

  function* piecesOf({ number, changes }: Committed): Generator<TransactionPiece> {
    for (let at = 0; at < Math.max(changes.length, 1); at += maxPieceChanges) {
      yield {
        type: 'transaction',
        position: { epoch, number },
        xid: number,
        committedAt: new Date(Number(number)),
        firstOrdinal: at,
        changes: changes.slice(at, at + maxPieceChanges),
        last: at + maxPieceChanges >= changes.length,
      }
    }
  }

  async function* read(mine: Hold, signal: AbortSignal, from: Position | undefined): AsyncGenerator<FeedEvent> {
    let at = from?.epoch === epoch && from.number > confirmed ? from.number : confirmed
    const own = epoch
    if (from?.epoch !== epoch) {
      yield { type: 'reset', reason: from ? 'newHistory' : 'start', epoch, position: { epoch, number: at } }
    }
    while (!signal.aborted) {
      if (mine.controller.signal.aborted) throw busy(hold?.pid ?? 0)
      if (epoch !== own) {
        yield { type: 'reset', reason: 'newHistory', epoch, position: { epoch, number: confirmed } }
        yield* read(mine, signal, { epoch, number: confirmed })
        return
      }
      const asOf = performance.now()
      const due = log.filter(({ number }) => number > at)
      for (const transaction of due) {
        for (const piece of piecesOf(transaction)) {
          if (signal.aborted) return
          if (mine.controller.signal.aborted) throw busy(hold?.pid ?? 0)
          yield piece
        }
        at = transaction.number
      }
      yield { type: 'fresh', position: { epoch, number: at }, asOf }
      await delay(proofMs, undefined, { signal: AbortSignal.any([signal, mine.controller.signal]) }).catch(() => undefined)
    }
  }

  const reader = (): LeasedSource => {
    let mine: Hold | undefined
    return {
      kind: 'wal',
      guarantee: 'exact',
      open: async () => {
        if (hold) throw busy(hold.pid)
        pids += 1
        mine = { pid: pids, controller: new AbortController() }
        hold = mine
        return { epoch, number: confirmed }
      },
      async *events(signal, from) {
        if (!mine) throw new Error('not opened')
        yield* read(mine, signal, from)
      },
      confirm: (position) => {
        if (hold === mine && position.epoch === epoch && position.number > confirmed) confirmed = position.number
      },
      lag: async (): Promise<SourceLag> => ({
        head: { epoch, number: head },
        confirmed: { epoch, number: confirmed },
        behind: Number(head - confirmed),
        headroomBytes: null,
      }),
      stop: async () => {
        if (hold === mine) hold = undefined
        mine?.controller.abort()
      },
    }
  }

  const temporary = (): LeasedSource => {
    const controller = new AbortController()
    return {
      ...reader(),
      open: async () => ({ epoch: `${epoch}-own`, number: head }),
      async *events(signal) {
        const own = { pid: 0, controller }
        const at = { epoch, number: head }
        yield { type: 'reset', reason: 'start', epoch: `${epoch}-own`, position: { ...at, epoch: `${epoch}-own` } }
        for await (const event of read(own, signal, at)) {
          if (event.type === 'reset') continue
          yield { ...event, position: { epoch: `${epoch}-own`, number: event.position.number } }
        }
      },
      stop: async () => controller.abort(),
    }
  }

  const terminate = () => {
    const ended = hold
    hold = undefined
    ended?.controller.abort()
  }

  const lease: Lease = {
    holder: async (): Promise<LeaseHolder> => (hold ? { state: 'held', pid: hold.pid } : { state: 'free' }),
    takeOver: async (pid) => {
      if (hold?.pid === pid) terminate()
    },
  }

  return {
    sources: { reader, temporary, lease, scope: async () => scope },
    get epoch() {
      return epoch
    },
    get confirmed() {
      return confirmed
    },
    get holder() {
      return hold?.pid
    },
    commit: (count = 1) => {
      head += step
      const changes = Array.from({ length: count }, (): Change => {
        rows += 1
        return { kind: 'insert', relation: scriptedRelation, old: null, new: [String(rows), `row ${rows}`] }
      })
      log.push({ number: head, changes })
      return head
    },
    restore: (next) => {
      epoch = next
      log = []
      head = 1000n
      confirmed = 1000n
    },
    all: () => log.flatMap(({ number, changes }) => changes.map((_, ordinal) => `${number}/${ordinal}`)),
    terminate,
  }
}
