/** Who listens to what, and what a user would hear. */
import { z } from 'zod'
import { TidemarkError } from '../../errors.js'
import type { OpenTopic, SupabaseRealtime } from '../../realtime/protocols/supabase/supabase-realtime.js'
import { viewpointOf, viewpointRequest } from './data.js'

/** What of realtime an operator may look into. */
export type Inspectable = Pick<SupabaseRealtime, 'topics' | 'inspect'>

const table = z.string().regex(/^[^.,\s]+\.[^.,]+$/, { error: 'it is not schema.table' })

export const inspectRequest = viewpointRequest.extend({
  topic: z.string().min(1).max(500),
  private: z.enum(['true', 'false']).default('false'),
  /** `public.orders,public.customers` */
  tables: z
    .string()
    .max(4_000)
    .transform((text) => text.split(',').map((name) => name.trim()))
    .pipe(z.array(table).max(20))
    .optional(),
})

export type InspectRequest = z.output<typeof inspectRequest>

const longest = 500

export interface ChannelsReport {
  /** Of this process, those with most listeners first. */
  readonly channels: readonly OpenTopic[]
  /** How many there are in all. */
  readonly total: number
}

const given = (inspectable: Inspectable | undefined): Inspectable => {
  if (!inspectable) throw new TidemarkError('TM_REALTIME_UNAVAILABLE', { reason: 'this server does not serve /realtime/v1' })
  return inspectable
}

export const realtimeChannels = (inspectable: Inspectable | undefined): ChannelsReport => {
  const topics = given(inspectable).topics()
  const channels = [...topics].sort((a, b) => b.listeners - a.listeners || (a.topic < b.topic ? -1 : 1)).slice(0, longest)
  return { channels, total: topics.length }
}

export interface Heard {
  onMessage(event: string, payload: unknown): void
  onEnd(reason: string): void
}

/** Joins as that user; gives what leaves. Raises TM_REALTIME_UNAVAILABLE. */
export const realtimeInspect = (inspectable: Inspectable | undefined, request: InspectRequest, heard: Heard): (() => void) => {
  const { role, user, claims } = viewpointOf(request)
  const tables = (request.tables ?? []).map((name) => {
    const [schema = '', table = ''] = name.split('.')
    return { schema, table }
  })
  return given(inspectable).inspect({
    caller: { role, claims: { ...claims, role, ...(user !== undefined && { sub: user }) } },
    topic: request.topic,
    private: request.private === 'true',
    tables,
    ...heard,
  })
}
