/** Hooks on TanStack Query. */

export { useTidemark } from './tidemark-context.js'
export { TidemarkProvider, type TidemarkProviderProps } from './tidemark-provider.js'
export { type ChannelResult, type UseChannelOptions, useChannel } from './use-channel.js'
export { useConnection } from './use-connection.js'
export { type HealthResult, type ServerHealth, type UseHealthOptions, useHealth } from './use-health.js'
export { type InfiniteRowsOptions, type InfiniteRowsResult, useInfiniteRows } from './use-infinite-rows.js'
export { type LiveQueryResult, type UseLiveQueryOptions, useLiveQuery } from './use-live-query.js'
export { type MutationInput, type MutationKind, type MutationOutput, useMutation } from './use-mutation.js'
export { type PresenceResult, usePresence } from './use-presence.js'
export { type RowResult, useRow } from './use-row.js'
