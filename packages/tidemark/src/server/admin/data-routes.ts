import type { FastifyInstance, FastifyRequest } from 'fastify'
import * as data from '../operations/data.js'
import type { RoleReads } from '../operations/role-reads.js'
import { validate } from '../validate.js'
import { operatorOf, requireRole } from './operator.js'

export interface DataRoutesOptions {
  /** Raises TM_SERVER_STARTING until Postgres is there. */
  reads(): RoleReads
}

/** Past row security looks who could change it. Raises TM_SERVER_FORBIDDEN. */
export const checkViewpoint = (request: FastifyRequest, { role }: Pick<data.ViewpointRequest, 'role'>): void => {
  if (role === 'service_role') requireRole(operatorOf(request), 'admin')
}

/** /data/tables, /data/rows and /data/count. */
export const addDataRoutes = (app: FastifyInstance, { reads }: DataRoutesOptions): void => {
  const checked = <W extends Pick<data.ViewpointRequest, 'role'>>(request: FastifyRequest, wanted: W): W => {
    checkViewpoint(request, wanted)
    return wanted
  }
  app.get('/data/tables', async (request) =>
    data.dataTables(reads(), checked(request, validate(data.viewpointRequest, request.query))),
  )
  app.get('/data/rows', async (request) =>
    data.dataRows(reads(), checked(request, validate(data.dataRowsRequest, request.query))),
  )
  app.get('/data/count', async (request) =>
    data.dataCount(reads(), checked(request, validate(data.dataCountRequest, request.query))),
  )
}
