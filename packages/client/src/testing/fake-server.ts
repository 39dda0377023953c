import type { RowChange } from '../live/live-rows.js'
import type { ResolvedSpec } from '../live/live-spec.js'
import { compareRows, matchRow } from '../live/match-row.js'
import { type Feed, type FeedListener, LoadError, type OpenFeed, type ReadPage } from '../live/ports.js'
import type { Position } from '../position.js'
import type { AnyRow } from '../schema.js'

interface Commit {
  readonly number: number
  readonly change: RowChange
}

/** What a client keeps for itself and a server keeps for a while. */
export interface FakeServer {
  readonly readPage: ReadPage
  readonly openFeed: OpenFeed
  /** Rows can be read. */
  http: boolean
  /** Reading is refused. */
  refuses: boolean
  /** Channels can be joined. */
  realtime: boolean
  /** It says where in the order of changes its answers stand. */
  readonly positions: boolean
  readonly position: Position
  put(row: AnyRow): void
  remove(id: unknown): void
  /** Ends every channel; those who can join again at once do. */
  cut(): void
  /** What lies before is kept no more. */
  forget(): void
  /** The rows that a query has to show. */
  rows(spec: ResolvedSpec): readonly AnyRow[]
  readonly joined: number
  readonly reads: number
  /** Messages that are on their way arrive after so long. */
  delayMs: number
}

const epoch = 'wal-1'
const nameOf = (number: number): Position => `${epoch}:${number.toString(16)}`

/** A server in memory with one table, for tests of what the client does with what it is told. */
export const createFakeServer = ({ positions = true }: { readonly positions?: boolean } = {}): FakeServer => {
  const table = new Map<unknown, AnyRow>()
  const log: Commit[] = []
  const feeds = new Set<FakeFeed>()
  let number = 16
  let kept = 16
  let reads = 0

  const listed = (spec: ResolvedSpec) =>
    [...table.values()].filter((row) => matchRow(spec, row)).sort((a, b) => compareRows(spec, a, b))

  class FakeFeed implements Feed {
    isJoined = false
    readonly #listener: FeedListener
    #active = false
    #named: Position | undefined
    #life = 0
    /** On their way: what was committed first arrives first, however long each takes. */
    #sent: Commit[] = []

    constructor(listener: FeedListener) {
      this.#listener = listener
      feeds.add(this)
    }

    join(position: Position | undefined): void {
      if (this.#active) return
      this.#active = true
      this.#named = positions ? position : undefined
      this.attempt()
    }

    moveTo(position: Position | undefined): void {
      if (this.isJoined && positions) this.#named = position
    }

    leave(): void {
      this.#active = false
      this.isJoined = false
      this.#later()
    }

    attempt(): void {
      if (!this.#active || this.isJoined) return
      if (!server.realtime) {
        this.#listener.lost(undefined)
        return
      }
      const life = this.#later()
      this.#after(life, () => this.#begin())
    }

    cut(): void {
      if (!this.#active) return
      const wasJoined = this.isJoined
      this.#later()
      this.isJoined = false
      if (wasJoined) this.#listener.lost(undefined)
      this.#after(this.#life, () => this.attempt())
    }

    told(commit: Commit): void {
      if (this.isJoined) this.#send(commit)
    }

    #later(): number {
      this.#life += 1
      this.#sent = []
      return this.#life
    }

    #send(commit: Commit, turns = 1): void {
      this.#sent.push(commit)
      this.#after(this.#life, () => this.#turn([this.#sent.shift()!]), turns)
    }

    #after(life: number, work: () => void, turns = 1): void {
      setTimeout(() => {
        if (life === this.#life && this.#active) work()
      }, server.delayMs * turns)
    }

    #turn(commits: readonly Commit[]): void {
      const last = commits.at(-1)
      if (!last) return
      if (positions) {
        this.#listener.turn(
          commits.map(({ change }) => change),
          nameOf(last.number),
        )
      } else for (const { change } of commits) this.#listener.turn([change], undefined)
    }

    #begin(): void {
      if (!server.realtime) {
        this.#after(this.#life, () => this.attempt())
        return
      }
      this.isJoined = true
      const named = this.#named
      this.#listener.joined(named !== undefined)
      if (!positions) return
      const from = named === undefined ? number : Number.parseInt(named.split(':')[1]!, 16)
      if (from < kept) {
        this.#listener.gap(nameOf(number))
        this.#listener.turn([], nameOf(number))
        return
      }
      this.#listener.turn([], nameOf(from), nameOf(number))
      const missed = log.filter((commit) => commit.number > from)
      missed.forEach((commit, index) => {
        this.#send(commit, index + 1)
      })
    }
  }

  const commit = (change: RowChange): void => {
    number += 1
    const entry = { number, change }
    log.push(entry)
    for (const feed of feeds) feed.told(entry)
  }

  const server: FakeServer = {
    http: true,
    refuses: false,
    realtime: true,
    positions,
    delayMs: 1,
    get position() {
      return nameOf(number)
    },
    get joined() {
      return [...feeds].filter(({ isJoined }) => isJoined).length
    },
    get reads() {
      return reads
    },
    readPage: async ({ spec, after, count, signal }) => {
      reads += 1
      const position = nameOf(number)
      await new Promise((resolve) => setTimeout(resolve, server.delayMs))
      signal.throwIfAborted()
      if (!server.http) throw new LoadError('nobody answers', { isNetwork: true })
      if (server.refuses) throw new LoadError('permission denied', { isNetwork: false })
      const rows = listed(spec).filter((row) => after === undefined || compareRows(spec, row, after) > 0)
      const answer = { rows: rows.slice(0, count).map((row) => ({ ...row })), position: positions ? position : undefined }
      await new Promise((resolve) => setTimeout(resolve, server.delayMs))
      signal.throwIfAborted()
      return answer
    },
    openFeed: (_spec, listener) => new FakeFeed(listener),
    put: (row) => {
      table.set(row['id'], row)
      commit({ kind: 'put', row })
    },
    remove: (id) => {
      if (table.delete(id)) commit({ kind: 'gone', row: { id } })
    },
    cut: () => {
      for (const feed of feeds) feed.cut()
    },
    forget: () => {
      kept = number
    },
    rows: (spec) => listed(spec).slice(0, spec.limit),
  }
  return server
}
