import { readWrittenPosition } from '../../feed/written-position.js'
import type { ServerFeed } from '../feed/feed.js'
import type { Runtime } from '../runtime.js'
import type { RestPositions } from './rest-routes.js'

export interface RestPositionsOptions {
  feed(): Pick<ServerFeed, 'node'> | undefined
  runtime(): Pick<Runtime, 'pools'> | undefined
}

/** Of the feed that this server follows. The outbox counts batches, which a writer cannot know: there writes have no position. */
export const createRestPositions = ({ feed, runtime }: RestPositionsOptions): RestPositions => {
  const read = () => feed()?.node?.feed.position() ?? null
  return {
    read,
    written: async () => {
      const [epoch, pool] = [read()?.epoch, runtime()?.pools.primary]
      if (!epoch?.startsWith('wal-') || !pool) return null
      // It is committed: that its place cannot be told is no failure of the write.
      return readWrittenPosition(pool, epoch).catch(() => null)
    },
  }
}
