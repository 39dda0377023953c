import { expect, test } from 'vitest'
import type { EntryReport, NodeReport } from '../../cache/upkeep/cache-report.js'
import { cacheGlance } from './overview.js'

const entry = (given: Partial<EntryReport>): EntryReport =>
  ({ memory: 0, redis: 0, misses: 0, staleFound: 0, bytes: 0, ...given }) as EntryReport
const node = (name: string, entries: NodeReport['entries']): NodeReport => ({
  node: name,
  host: 'h',
  pid: 1,
  freshnessMs: 10,
  position: null,
  entries,
})

test('the glance at caches is of all nodes, as the screen of caches is: a server that caches nothing may stand beside others that do', () => {
  const nodes = [
    node('a', {}),
    node('b', { chats: entry({ memory: 6, misses: 1, bytes: 10 }) }),
    node('c', { chats: entry({ redis: 2, misses: 1, staleFound: 1, bytes: 5 }) }),
  ]
  expect(cacheGlance({ scope: 'all nodes', nodes })).toEqual({
    hitRate: 0.8,
    memory: 6,
    redis: 2,
    misses: 2,
    staleFound: 1,
    bytes: 15,
  })
  expect(cacheGlance({ scope: 'this server only', nodes: [node('a', {})] })).toMatchObject({ hitRate: null, bytes: 0 })
  expect(cacheGlance({ scope: 'nothing', nodes: [] })).toBeNull()
})
