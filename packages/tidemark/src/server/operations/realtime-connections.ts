/** Who is connected, on which server, and to what; and ending a connection. */
import { z } from 'zod'
import { TidemarkError } from '../../errors.js'
import type { ConnectionPage, Connections, EndedConnection } from '../../realtime/connections/connections.js'

const word = z.string().min(1).max(500)

/** `NODE.NUMBER` */
const id = z.string().regex(/^[0-9a-f]{12}\.\d{1,15}$/, { error: 'it is no id of a connection' })

export const connectionsRequest = z.object({
  node: word.optional(),
  protocol: z.enum(['supabase', 'pusher']).optional(),
  user: word.optional(),
  channel: word.optional(),
  after: id.optional(),
  limit: z.coerce.number().int().min(1).max(500).default(100),
})

export type ConnectionsRequest = z.input<typeof connectionsRequest>

export const closeRequest = z.strictObject({ id })

const given = (connections: Connections | undefined): Connections => {
  if (!connections) throw new TidemarkError('TM_REALTIME_OFF', {})
  return connections
}

/** A page, in the order of servers and of their connections. Raises TM_REALTIME_OFF. */
export const realtimeConnections = (
  connections: Connections | undefined,
  request: z.output<typeof connectionsRequest>,
): Promise<ConnectionPage> => given(connections).list(request)

/** Raises TM_REALTIME_NO_CONNECTION, and TM_REALTIME_OFF. */
export const realtimeClose = async (
  connections: Connections | undefined,
  { id }: { readonly id: string },
): Promise<EndedConnection> => {
  const ended = await given(connections).end(id)
  if (!ended) throw new TidemarkError('TM_REALTIME_NO_CONNECTION', { id })
  return ended
}
