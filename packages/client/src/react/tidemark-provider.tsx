import { QueryClient, QueryClientContext, QueryClientProvider } from '@tanstack/react-query'
import { type ReactNode, useContext, useState } from 'react'
import type { Tidemark } from '../tidemark.js'
import { TidemarkContext } from './tidemark-context.js'

export interface TidemarkProviderProps {
  /** Of whatever database. */
  readonly client: Pick<Tidemark, 'url' | 'fetch' | 'stop'>
  /** Default: that of the provider above, or one of its own. */
  readonly queryClient?: QueryClient
  readonly children?: ReactNode
}

/** Gives the hooks below their client. */
export const TidemarkProvider = ({ client, queryClient, children }: TidemarkProviderProps) => {
  const above = useContext(QueryClientContext)
  const [own] = useState(() => (queryClient || above ? undefined : new QueryClient()))
  return (
    <TidemarkContext.Provider value={client as Tidemark}>
      <QueryClientProvider client={queryClient ?? above ?? own!}>{children}</QueryClientProvider>
    </TidemarkContext.Provider>
  )
}
