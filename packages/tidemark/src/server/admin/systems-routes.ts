import type { FastifyInstance } from 'fastify'
import { validate } from '../http/validate.js'
import type { SystemName, SystemReads } from '../operations/systems/systems.js'
import { beginEvents, type EventResponse } from './event-response.js'
import { sendEnd } from './feed-routes.js'
import { operatorOf } from './operator.js'
import type { SharedTails } from './shared-tails.js'

export interface SystemsRoutesOptions {
  systems(): SystemReads
}

const load = () => import('../operations/systems/systems.js')
const loadChat = () => import('../operations/systems/systems-chat.js')
const loadYarn = () => import('../operations/systems/systems-yarn.js')
const loadActions = () => import('../operations/systems/systems-actions.js')

/** Changes of so long are told together. */
const togetherMs = 100

/** Tells which systems changed, once for all that changed shortly after one another. */
const teller = (events: EventResponse): ((names: readonly SystemName[]) => void) => {
  const changed = new Set<SystemName>()
  let isWaiting = false
  const tell = (): void => {
    isWaiting = false
    // Who does not keep up is told with the next ones.
    if (events.send('changed', { systems: [...changed] })) changed.clear()
  }
  return (names) => {
    for (const name of names) changed.add(name)
    if (isWaiting) return
    isWaiting = true
    setTimeout(tell, togetherMs).unref()
  }
}

/** `listening` and `changed` name systems of the project's own database: no row is told. All pages share one reader. */
const addChanges = (app: FastifyInstance, { systems: reads }: SystemsRoutesOptions, tails: SharedTails): void => {
  app.get('/systems/changes', async (request, reply) => {
    const { ownSystems, systemTables } = await load()
    const names = await ownSystems(reads())
    const systemOf = new Map(names.flatMap((name) => systemTables[name].map((table) => [table, name] as const)))
    let leave: (() => void) | undefined
    const events = beginEvents(request, reply, () => leave?.())
    const changed = teller(events)
    if (names.length === 0) return
    leave = tails.listen(
      names.flatMap((name) => systemTables[name]),
      {
        onListening: () => void events.send('listening', { systems: names }),
        onTold: (told) => changed(told.type === 'reset' ? names : [systemOf.get(told.table) ?? []].flat()),
        onEnd: (error) => sendEnd(events, error),
      },
    )
    if (events.isOver) leave()
  })
}

/** /systems, a path below for each of the five, and what is done in them. */
export const addSystemsRoutes = (app: FastifyInstance, options: SystemsRoutesOptions, tails: SharedTails): void => {
  const { systems: reads } = options
  app.get('/systems', async () => (await load()).systemsList(reads()))
  app.get('/systems/tours', async (request) => {
    const { dayRequest, systemTours } = await load()
    return systemTours(reads(), validate(dayRequest, request.query))
  })
  app.get('/systems/leads', async () => (await load()).systemLeads(reads()))
  app.get('/systems/yarn', async () => (await load()).systemYarn(reads()))
  app.get('/systems/yarn/course', async (request) => {
    const { courseRequest, yarnCourse } = await loadYarn()
    return yarnCourse(reads(), validate(courseRequest, request.query).key)
  })
  // What it takes is in the body: an address is written down on its way.
  app.post('/systems/yarn/words', async (request) => {
    const { wordsRequest, yarnWords } = await loadYarn()
    return yarnWords(reads(), validate(wordsRequest, request.body).key)
  })
  app.get('/systems/chat', async () => (await load()).systemChat(reads()))
  app.get('/systems/chat/own', async (request) => (await loadChat()).ownChat(reads(), operatorOf(request).name))
  app.post('/systems/chat/say', async (request) => {
    const { sayInChat, sayRequest } = await loadChat()
    return sayInChat(reads(), validate(sayRequest, request.body), operatorOf(request).name)
  })
  app.get('/systems/agents', async () => (await load()).systemAgents(reads()))
  app.get('/systems/approval', async (request) => {
    const { approvalRequest, systemApproval } = await loadActions()
    return systemApproval(reads(), validate(approvalRequest, request.query).id)
  })
  app.post('/systems/act', async (request) => {
    const { actionRequest, systemAct } = await loadActions()
    return systemAct(reads(), validate(actionRequest, request.body), `operator:${operatorOf(request).name}`)
  })
  addChanges(app, options, tails)
}
