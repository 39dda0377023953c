import { useCallback, useSyncExternalStore } from 'react'
import type { ConnectionState } from '../tidemark.js'
import { useTidemark } from './tidemark-context.js'

/** Nothing is connected where a page is rendered ahead. */
const onServer = (): ConnectionState => 'connecting'

/** How the connection is: that of the live query which is worst off. */
export const useConnection = (): ConnectionState => {
  const tidemark = useTidemark()
  const subscribe = useCallback((changed: () => void) => tidemark.onConnection(changed), [tidemark])
  return useSyncExternalStore(subscribe, () => tidemark.connection, onServer)
}
