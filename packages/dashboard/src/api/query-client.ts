import { QueryCache, QueryClient } from '@tanstack/react-query'
import { AskError } from './ask.ts'
import { sessionKey } from './session.ts'

const maxRetries = 2

/** A session that ended is not asked for again: the page shows the way in, and stays where it is. */
export const createQueryClient = (): QueryClient => {
  const client: QueryClient = new QueryClient({
    queryCache: new QueryCache({
      onError: (error, query) => {
        if (error instanceof AskError && error.status === 401 && query.queryKey[0] !== sessionKey[0])
          client.setQueryData(sessionKey, null)
      },
    }),
    defaultOptions: {
      queries: {
        staleTime: 1_000,
        retry: (failures, error) => failures < maxRetries && (!(error instanceof AskError) || error.status >= 502),
        retryDelay: (failures) => Math.min(500 * 2 ** failures, 4_000),
        refetchOnWindowFocus: true,
      },
    },
  })
  return client
}
