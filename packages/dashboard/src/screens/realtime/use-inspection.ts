import { useState } from 'react'
import { type Input, requestOf } from '../../api/ask.ts'
import { type ServerEvent, useEvents } from '../../api/use-events.ts'
import { type Viewpoint, viewpointOf } from '../../api/viewpoint.ts'

export interface Inspected extends Viewpoint {
  readonly topic: string
  readonly private: boolean
  readonly tables: string | undefined
}

/** A message as the list keeps it, numbered. */
export interface HeardMessage {
  readonly n: number
  readonly at: string
  readonly event: string
  readonly payload: unknown
}

export type InspectionState = 'away' | 'joining' | 'joined' | 'refused'

export interface Inspection {
  readonly state: InspectionState
  /** Why it was refused, or ended. */
  readonly reason: string | undefined
  /** The newest first. */
  readonly messages: readonly HeardMessage[]
}

const types = ['message', 'missed', 'end', 'error']
const most = 1_000

interface Reply {
  readonly status?: string
  readonly response?: { readonly reason?: unknown }
}

/** What the server says of the join itself, among what it tells. */
const stateAfter = (state: InspectionState, { type, data }: ServerEvent): InspectionState => {
  if (type === 'end' || type === 'error') return 'refused'
  const { event, payload } = data as Partial<HeardMessage>
  if (type !== 'message' || event !== 'phx_reply') return event === 'phx_close' || event === 'phx_error' ? 'refused' : state
  return (payload as Reply).status === 'ok' ? 'joined' : 'refused'
}

const reasonIn = ({ type, data }: ServerEvent): string | undefined => {
  const { reason, message, payload } = data as { readonly reason?: string; readonly message?: string; readonly payload?: Reply }
  if (type === 'end' || type === 'error') return reason ?? message
  const told = payload?.response?.reason
  return typeof told === 'string' ? told : undefined
}

const heardOf = ({ type, data }: ServerEvent, n: number): readonly HeardMessage[] => {
  if (type === 'message') return [{ ...(data as Omit<HeardMessage, 'n'>), n }]
  const at = new Date().toISOString()
  return type === 'missed' ? [{ n, at, event: 'missed', payload: data }] : []
}

/** What it is asked with. */
export const inspectionInput = ({ topic, tables, ...inspected }: Inspected): Input<'GET /realtime/inspect'> => ({
  query: {
    ...viewpointOf(inspected),
    topic,
    private: inspected.private ? 'true' : 'false',
    ...(tables !== undefined && { tables }),
  },
})

/** Hears what that user would, for as long as it is looked at. Undefined: nothing is joined. */
export const useInspection = (inspected: Inspected | undefined): Inspection => {
  const url = inspected && requestOf('GET /realtime/inspect', inspectionInput(inspected)).path
  const fresh = {
    url,
    seen: 0,
    state: 'joining' as InspectionState,
    reason: undefined as string | undefined,
    messages: [] as readonly HeardMessage[],
  }
  const [kept, setKept] = useState(fresh)
  useEvents({
    url,
    types,
    onState: (state) => state === 'connecting' && setKept(fresh),
    onEvents: (events) =>
      setKept((before) => {
        const messages = events.flatMap((event, at) => heardOf(event, before.seen + at))
        return {
          url,
          seen: before.seen + events.length,
          state: events.reduce(stateAfter, before.state),
          reason: events.reduce((reason, event) => reasonIn(event) ?? reason, before.reason),
          messages: [...messages.reverse(), ...before.messages].slice(0, most),
        }
      }),
  })
  if (url === undefined) return { ...kept, state: 'away' }
  return kept.url === url ? kept : fresh
}
