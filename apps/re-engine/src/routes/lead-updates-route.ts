/** Changes of leads as Server-Sent Events, each to those who may see the lead as it is or as it was. */
import type { FastifyInstance } from 'fastify'
import { formatPosition } from 'tidemark'
import type { Caller } from '../access.js'
import { EngineError } from '../engine-error.js'
import type { LeadUpdate } from '../lead-updates.js'
import type { Lead } from '../rows.js'
import type { RouteContext } from './route-context.js'

const heartbeatMs = 15_000
/** A reader that is so far behind is cut off; it comes back and fetches. */
const maxBufferedBytes = 1024 * 1024
const maxStreams = 1_000
const longestTimerMs = 2 ** 31 - 1

const frame = (event: string, data: object, id?: string): string =>
  `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`

/** A side that the caller may not see is not told: a lead that was taken from an agent ends for them as one that is gone. */
const toldOf = (update: LeadUpdate, seesNew: boolean, seesOld: boolean): string | undefined => {
  if (!seesNew && !seesOld) return undefined
  const { id, leadId, event, record, old, position, committedAt } = update
  const side = (row: Partial<Lead> | null, seen: boolean) => (seen ? row : null)
  const told = seesNew ? (seesOld || event !== 'UPDATE' ? event : 'INSERT') : 'DELETE'
  const data = { event: told, lead_id: leadId, record: side(record, seesNew), old: side(old, seesOld) }
  return frame('change', { ...data, position: formatPosition(position), committed_at: committedAt.toISOString() }, id)
}

/** Milliseconds until the caller's token counts no more. */
const leftOf = ({ claims }: Caller): number => Math.max(0, Number(claims['exp']) * 1000 - Date.now())

export const addLeadUpdatesRoute = (
  app: FastifyInstance,
  { leadUpdates, reads }: Pick<RouteContext, 'leadUpdates' | 'reads'>,
): void => {
  const streams = new Set<(reason: string) => void>()

  const config = { summary: 'Changes of leads, as Server-Sent Events.', media: 'text/event-stream' }
  app.get('/leads/updates', { config }, async (request, reply) => {
    if (streams.size >= maxStreams) throw new EngineError('ENGINE_UNAVAILABLE', 'Too many listen. Try again.')
    const { caller } = request
    const { raw: response } = reply
    reply.hijack()
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    })
    const write = (text: string): void => {
      if (response.destroyed || response.writableEnded) return
      response.write(text)
      if (response.writableLength > maxBufferedBytes) response.destroy()
    }
    const unsubscribe = leadUpdates.subscribeToLeadUpdates({
      update: async (update) => {
        const [seesNew, seesOld] = [
          update.record !== null && (await reads.sees(caller, update.record.assigned_agent)),
          update.old !== null && (await reads.sees(caller, update.old.assigned_agent)),
        ]
        const text = toldOf(update, seesNew, seesOld)
        if (text !== undefined) write(text)
      },
      gap: () => write(frame('gap', { reason: 'lost' })),
    })
    const heartbeat = setInterval(() => write(': still here\n\n'), heartbeatMs)
    const end = (reason: string): void => {
      write(frame('end', { reason }))
      response.end()
    }
    const expiry = setTimeout(() => end('the token has expired'), Math.min(leftOf(caller), longestTimerMs))
    for (const timer of [heartbeat, expiry]) timer.unref()
    streams.add(end)
    response.once('close', () => {
      clearInterval(heartbeat)
      clearTimeout(expiry)
      unsubscribe()
      streams.delete(end)
    })
    write(`retry: 1000\n\n${frame('ready', {})}`)
    // Who was here before may have missed something: nothing is kept for those who are away.
    if (request.headers['last-event-id'] !== undefined) write(frame('gap', { reason: 'lost' }))
    return reply
  })

  // Whoever listens would keep the server from ending.
  app.addHook('preClose', async () => {
    for (const end of streams) end('the server stops')
  })
}
