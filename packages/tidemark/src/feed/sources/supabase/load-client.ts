import { TidemarkError } from '../../../errors.js'

/** What of the package is used; that of the installed version may have more. */
export type CreateClient = (url: string, key: string, options: object) => RealtimeClient

export interface RealtimeClient {
  channel(name: string, options?: object): RealtimeChannel
  removeAllChannels(): Promise<unknown>
  readonly realtime: { disconnect(): unknown }
}

export interface RealtimeChannel {
  on(type: 'postgres_changes' | 'system', filter: object, callback: (payload: unknown) => void): RealtimeChannel
  subscribe(callback: (status: string, error?: Error) => void, timeoutMs?: number): RealtimeChannel
}

export interface ClientParts {
  readonly createClient: CreateClient
  /** Constructor of WebSockets. */
  readonly transport: unknown
}

const packageName = '@supabase/supabase-js'

const load = async (name: string, loadPackage: (name: string) => Promise<unknown>): Promise<object> => {
  try {
    return (await loadPackage(name)) as object
  } catch (error) {
    throw new TidemarkError('TM_FEED_DRIVER_MISSING', { source: 'supabase', package: name }, { cause: error })
  }
}

const nativeWebSocket = (): unknown => (globalThis as { readonly WebSocket?: unknown }).WebSocket

/** Loads the client, and a WebSocket for Node before 22. Raises TM_FEED_DRIVER_MISSING with what to install. */
export const loadClient = async (loadPackage: (name: string) => Promise<unknown>): Promise<ClientParts> => {
  const { createClient } = (await load(packageName, loadPackage)) as { readonly createClient: CreateClient }
  const transport = nativeWebSocket() ?? ((await load('ws', loadPackage)) as { readonly WebSocket: unknown }).WebSocket
  return { createClient, transport }
}
