import { useQuery } from '@tanstack/react-query'
import { useTidemark } from './tidemark-context.js'

export interface ServerHealth {
  /** As the server says it: `ok`, `degraded`, `error` … */
  readonly status: string
  readonly [detail: string]: unknown
}

export interface HealthResult {
  /** Undefined while nothing is known. */
  readonly health: ServerHealth | undefined
  /** False where the server did not answer the last time. */
  readonly isReachable: boolean
  readonly isLoading: boolean
  refresh(): Promise<void>
}

export interface UseHealthOptions {
  /** How often it is asked, while the page is seen. Default 30,000. */
  readonly intervalMs?: number
  /** Default `/health`. */
  readonly path?: string
}

/** How the server is, by its own words. */
export const useHealth = ({ intervalMs = 30_000, path = '/health' }: UseHealthOptions = {}): HealthResult => {
  const tidemark = useTidemark()
  const { data, isError, isPending, refetch } = useQuery({
    queryKey: ['tidemark', tidemark.url, 'health', path],
    // It answers 503 where it is not well, and says why.
    queryFn: async ({ signal }): Promise<ServerHealth> => (await tidemark.fetch(path, { signal })).json(),
    refetchInterval: intervalMs,
    retry: false,
    networkMode: 'always',
  })
  return { health: data, isReachable: !isError, isLoading: isPending, refresh: async () => void (await refetch()) }
}
