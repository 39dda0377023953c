import { feedConformance } from '../../../testing/feed/feed-conformance.js'
import { createWalSource } from './wal-source.js'

feedConformance('the WAL as a source', async ({ url, name, tables }) => {
  const source = createWalSource({
    target: { url },
    slot: { name },
    publication: `conformance_${name}`,
    tables,
    replayWindowMs: 0,
    beatMs: 100,
    maxPieceBytes: 128 * 1024,
  })
  await source.open()
  return source
})
