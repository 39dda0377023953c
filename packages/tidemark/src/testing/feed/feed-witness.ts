import { type FeedEvent, type FeedReset, isRowChange, type Source } from '../../feed/feed.js'

/** Follows a source and remembers what it gave. */
export interface FeedWitness {
  /** `number/ordinal` of each row, in the order in which it came; a marker is `number/table`. */
  readonly changes: string[]
  readonly resets: FeedReset[]
  readonly events: FeedEvent[]
  /** When, on the monotonic clock, the latest proof was that everything had been given. */
  readonly freshAsOf: number
  readonly failure: unknown
  stop(): Promise<void>
}

export const witness = (source: Source, { confirms = true }: { readonly confirms?: boolean } = {}): FeedWitness => {
  const controller = new AbortController()
  const changes: string[] = []
  const resets: FeedReset[] = []
  const events: FeedEvent[] = []
  let freshAsOf = -Infinity
  let failure: unknown
  const take = (event: FeedEvent): void => {
    events.push(event)
    if (event.type === 'reset') resets.push(event)
    else if (event.type === 'fresh') freshAsOf = Math.max(freshAsOf, event.asOf)
    else {
      event.changes.forEach((change, index) => {
        const place = isRowChange(change) ? event.firstOrdinal + index : change.relation.table
        changes.push(`${event.position.number}/${place}`)
      })
      if (confirms && event.last) source.confirm(event.position)
    }
    if (confirms && event.type === 'fresh') source.confirm(event.position)
  }
  const following = (async () => {
    for await (const event of source.events(controller.signal)) take(event)
  })().catch((error: unknown) => {
    failure = error
  })
  return {
    changes,
    resets,
    events,
    get freshAsOf() {
      return freshAsOf
    },
    get failure() {
      return failure
    },
    stop: async () => {
      controller.abort()
      await source.stop()
      await following
    },
  }
}
