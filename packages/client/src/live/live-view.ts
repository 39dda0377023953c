import type { LiveQueries } from './live-queries.js'
import type { LiveSnapshot } from './live-query.js'
import type { ResolvedSpec } from './live-spec.js'

/** A live query as somebody looks at it. Several of one spec share one channel. */
export interface LiveView<Row extends object> {
  /** The same for all that ask for the same. */
  readonly name: string
  snapshot(): LiveSnapshot<Row>
  /** It is kept live until what is returned is called. Called after changes, at most about 60 times in a second. */
  subscribe(listener: (snapshot: LiveSnapshot<Row>) => void): () => void
  /** The first snapshot with rows. Raises why they could not be read. Somebody has to look meanwhile, or it looks itself. */
  ready(signal?: AbortSignal): Promise<LiveSnapshot<Row>>
  /** Reads everything anew. */
  refresh(): Promise<void>
  /** Shows so many rows more, where there are any. */
  loadMore(by: number): Promise<void>
}

export const createLiveView = <Row extends object>(queries: LiveQueries, spec: ResolvedSpec): LiveView<Row> => {
  const snapshot = () => queries.snapshot(spec) as unknown as LiveSnapshot<Row>
  const subscribe: LiveView<Row>['subscribe'] = (listener) => queries.subscribe(spec, () => listener(snapshot()))
  return {
    name: spec.name,
    snapshot,
    subscribe,
    refresh: () => queries.query(spec).refresh(),
    loadMore: (by) => queries.query(spec).loadMore(by),
    ready: (signal) =>
      new Promise((resolve, reject) => {
        let stop: () => void = () => undefined
        const look = (): boolean => {
          const now = snapshot()
          if (now.isLoading && !now.error && !signal?.aborted) return false
          stop()
          if (!now.isLoading) resolve(now)
          else reject(now.error ?? signal?.reason)
          return true
        }
        stop = subscribe(look)
        signal?.addEventListener('abort', look, { once: true })
        look()
      }),
  }
}
