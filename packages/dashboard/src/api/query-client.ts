import { QueryCache, QueryClient } from '@tanstack/react-query'
import { AskError } from './ask.ts'
import { sessionKey } from './session.ts'

const maxRetries = 2

/** Whether the last question was answered, whatever with. */
export const answersKey = ['answers'] as const

/** A session that ended is not asked for again: the page shows the way in, and stays where it is. */
export const createQueryClient = (): QueryClient => {
  const client: QueryClient = new QueryClient({
    queryCache: new QueryCache({
      onError: (error, query) => {
        client.setQueryData(answersKey, !(error instanceof AskError && error.status === 0))
        if (error instanceof AskError && error.status === 401 && query.queryKey[0] !== sessionKey[0])
          client.setQueryData(sessionKey, null)
      },
      onSuccess: () => client.setQueryData(answersKey, true),
    }),
    defaultOptions: {
      queries: {
        staleTime: 1_000,
        // The server may be on this very machine, which needs no network.
        networkMode: 'always',
        retry: (failures, error) => failures < maxRetries && (!(error instanceof AskError) || error.status >= 502),
        retryDelay: (failures) => Math.min(500 * 2 ** failures, 4_000),
        refetchOnWindowFocus: true,
      },
      mutations: { networkMode: 'always' },
    },
  })
  return client
}
