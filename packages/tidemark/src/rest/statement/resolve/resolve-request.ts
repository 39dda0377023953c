import { findTable } from '../../catalogue/find-table.js'
import type { RequestPlan } from '../request-plan.js'
import type { StatementOptions, StatementRequest } from '../statement-options.js'
import { chooseMedia } from './choose-media.js'
import { resolveCall } from './resolve-call.js'
import { createContext } from './resolve-context.js'
import { resolveMutation } from './resolve-mutation.js'
import { resolveRead } from './resolve-read.js'
import { rowLimit } from './row-limit.js'
import { rowTypeOf } from './row-type.js'

/** Looks every name of a request up. Raises a RestError where there is one that nothing has. */
export const resolveRequest = (request: StatementRequest, options: StatementOptions): RequestPlan => {
  if (request.kind === 'call') return resolveCall(request, options)
  if (request.kind !== 'read') return resolveMutation(request, options)
  const { catalogue, aggregates, maxRows, plans } = options
  const table = findTable(catalogue, request.target.schema, request.target.name)
  const media = chooseMedia(request.accept, request.acceptNames, { valueType: undefined, plans })
  const context = createContext({ catalogue, aggregates, maxRows })
  const source = { row: rowTypeOf(table), from: table, single: false, depth: 0 }
  const read = resolveRead(context, request.read, source)
  return { kind: 'read', media, wantsBody: !request.headOnly, limit: rowLimit(request, media), read }
}
