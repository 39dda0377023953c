import type { Json, PresenceState } from '../../realtime.js'

/** An event as a client gets it. `data` is JSON in a text, as the protocol has it. */
export const eventText = (event: string, data: unknown, channel?: string): string =>
  JSON.stringify({ event, ...(channel !== undefined && { channel }), data: JSON.stringify(data) })

/** An event that a server triggered: its data is text already. */
export const triggeredText = (event: string, channel: string, data: string): string => JSON.stringify({ event, channel, data })

/** `user_id`: who sent it, on presence channels. */
export const clientEventText = (event: string, channel: string, data: unknown, userId: string | undefined): string =>
  JSON.stringify({ event, channel, data, ...(userId !== undefined && { user_id: userId }) })

export const errorText = (code: number | null, message: string): string =>
  JSON.stringify({ event: 'pusher:error', data: { code, message } })

export const pongText = JSON.stringify({ event: 'pusher:pong', data: {} })
export const pingText = JSON.stringify({ event: 'pusher:ping', data: {} })

export const establishedText = (socketId: string, activityTimeoutSeconds: number): string =>
  eventText('pusher:connection_established', { socket_id: socketId, activity_timeout: activityTimeoutSeconds })

export const succeededText = (channel: string, data: Json | object = {}): string =>
  eventText('pusher_internal:subscription_succeeded', data, channel)

/** `status`: an HTTP status, or one of the protocol's codes. */
export const subscriptionErrorText = (channel: string, type: string, error: string, status: number): string =>
  JSON.stringify({ event: 'pusher:subscription_error', channel, data: { type, error, status } })

export const cacheMissText = (channel: string): string => JSON.stringify({ event: 'pusher:cache_miss', channel, data: '{}' })

export const countText = (channel: string, count: number): string =>
  eventText('pusher_internal:subscription_count', { subscription_count: count }, channel)

/** Who is in a presence channel. A user with several connections counts once. */
export const rosterOf = (state: PresenceState): object => {
  const hash: Record<string, Json> = Object.create(null)
  for (const [id, [first]] of state) hash[id] = first?.payload ?? null
  return { presence: { count: state.size, ids: [...state.keys()], hash } }
}

export const watchlistText = (name: 'online' | 'offline', userIds: readonly string[]): string =>
  eventText('pusher_internal:watchlist_events', { events: [{ name, user_ids: userIds }] })
