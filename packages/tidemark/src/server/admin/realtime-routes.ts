import type { FastifyInstance } from 'fastify'
import type { Connections } from '../../realtime/connections/connections.js'
import { validate } from '../http/validate.js'
import { closeRequest, connectionsRequest, realtimeClose, realtimeConnections } from '../operations/realtime-connections.js'
import { type Inspectable, inspectRequest, realtimeChannels, realtimeInspect } from '../operations/realtime-inspection.js'
import { checkViewpoint } from './data-routes.js'
import { beginEvents } from './event-response.js'

export interface RealtimeRoutesOptions {
  /** Undefined where this process does not serve `/realtime/v1`. */
  inspectable(): Inspectable | undefined
  /** Undefined where this process takes no connections. */
  connections(): Connections | undefined
}

/** /realtime/connections, /realtime/channels and /realtime/inspect. */
export const addRealtimeAdminRoutes = (app: FastifyInstance, { inspectable, connections }: RealtimeRoutesOptions): void => {
  app.get('/realtime/connections', async (request) =>
    realtimeConnections(connections(), validate(connectionsRequest, request.query)),
  )
  app.post('/realtime/connections/close', async (request) => realtimeClose(connections(), validate(closeRequest, request.body)))
  const leaving = new Set<() => void>()
  app.addHook('preClose', async () => {
    for (const leave of [...leaving]) leave()
  })
  app.get('/realtime/channels', async () => realtimeChannels(inspectable()))
  app.get('/realtime/inspect', (request, reply) => {
    const wanted = validate(inspectRequest, request.query)
    checkViewpoint(request, wanted)
    // What is refused is refused before the answer begins.
    realtimeChannels(inspectable())
    const events = beginEvents(request, reply, () => over())
    let missed = 0
    const leave = realtimeInspect(inspectable(), wanted, {
      onMessage: (event, payload) => {
        if (missed > 0 && events.send('missed', { messages: missed })) missed = 0
        if (!events.send('message', { at: new Date().toISOString(), event, payload })) missed += 1
      },
      onEnd: (reason) => {
        events.send('end', { reason })
        events.end()
      },
    })
    const end = (): void => events.end()
    const over = (): void => {
      leaving.delete(end)
      leave()
    }
    leaving.add(end)
  })
}
