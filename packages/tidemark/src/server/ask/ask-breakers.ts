import { openRedis } from '../open-redis.js'
import * as operations from '../operations/breakers.js'
import type { Project } from '../project/project.js'
import { askServer } from './ask-server.js'

const straight = async <T>(project: Project, fn: (input: operations.BreakersInput) => Promise<T>): Promise<T> => {
  const { config, state, log } = project
  const { createSharedCircuits } = await import('../../redis/breakers.js')
  const { redis, stop } = await openRedis({ config, state, log })
  const { prefix } = config.cache
  const circuits = redis.state === 'up' ? createSharedCircuits({ redis, ...(prefix !== undefined && { prefix }) }) : undefined
  try {
    return await fn({ resilience: undefined, circuits })
  } finally {
    await circuits?.stop()
    await stop()
  }
}

/** Of the project's server; without one, what processes left in Redis. */
export const askBreakers = async (project: Project): Promise<operations.BreakersReport> =>
  (await askServer<operations.BreakersReport>(project, '/breakers')) ?? straight(project, operations.breakersList)

export const askBreakersOperate = async (
  project: Project,
  request: operations.BreakersRequest,
): Promise<operations.BreakersReport> =>
  (await askServer<operations.BreakersReport>(project, '/breakers', request)) ??
  straight(project, (input) => operations.breakersOperate(project, request, input))
