import { type FunctionCall, findFunction } from '../../catalogue/find-function.js'
import type { Argument, SqlFunction } from '../../catalogue.js'
import type { RestRequest } from '../../query.js'
import { restErrors } from '../../rest-errors.js'
import type { ReadPlan, RowType } from '../plan.js'
import type { Shape } from '../print/print-body.js'
import type { ArgumentsPlan } from '../print/print-call.js'
import type { RequestPlan } from '../request-plan.js'
import type { StatementOptions } from '../statement-options.js'
import { chooseMedia } from './choose-media.js'
import { createContext } from './resolve-context.js'
import { resolveRead } from './resolve-read.js'
import { rowLimit } from './row-limit.js'
import { scalarRow } from './row-type.js'

export type CallRequest = Extract<RestRequest, { readonly kind: 'call' }>

const bodyOf = ({ method, payload }: CallRequest): FunctionCall['body'] => {
  if (method === 'GET' || !payload) return undefined
  return payload.kind === 'json' ? 'json' : payload.type
}

const keysOf = ({ payload, named }: CallRequest): readonly string[] =>
  payload?.kind === 'json' ? payload.keys : [...named.keys()]

const isGiven = (keys: readonly string[]) => {
  const known = new Set(keys)
  return (argument: Argument): boolean => known.has(argument.name)
}

const argumentsOf = (called: SqlFunction, request: CallRequest): ArgumentsPlan => {
  const { payload, named } = request
  const [only] = called.arguments
  if (payload && only?.name === '') {
    if (payload.kind === 'json') return { kind: 'body', argument: only, body: payload.text }
    return { kind: 'body', argument: only, body: payload.type === 'octets' ? payload.bytes : payload.bytes.toString() }
  }
  const given = called.arguments.filter(isGiven(keysOf(request)))
  if (given.length === 0) return { kind: 'none' }
  if (payload?.kind === 'json') return { kind: 'json', payload, given }
  return { kind: 'texts', given: given.map((argument) => ({ argument, texts: named.get(argument.name) ?? [] })) }
}

const shapeOf = ({ returns }: SqlFunction): Shape => {
  if (returns.kind === 'row') return returns.set ? 'rows' : 'row'
  return returns.set ? 'values' : 'value'
}

const rowOf = ({ catalogue }: StatementOptions, called: SqlFunction): RowType => {
  const { relation, columns, kind } = called.returns
  if (kind !== 'row') return scalarRow(called.name)
  const table = relation && catalogue.table(relation.schema, relation.name)
  return { relation, columns: table?.columns ?? columns, label: called.name }
}

/** Under `v` the statement carries the value of a function that returns no rows. */
const valueRead = (read: ReadPlan): ReadPlan => ({
  ...read,
  items: [
    {
      kind: 'output',
      name: 'v',
      known: true,
      value: { kind: 'field', field: { base: { kind: 'scalar' }, path: [] }, cast: undefined },
      aggregate: undefined,
    },
  ],
})

/** Raises PGRST202, PGRST203, PGRST107, PGRST128 and what {@link resolveRead} raises. */
export const resolveCall = (request: CallRequest, options: StatementOptions): RequestPlan => {
  const { catalogue, aggregates, maxRows } = options
  const { target, preferences } = request
  const called = findFunction(catalogue, { ...target, keys: keysOf(request), body: bodyOf(request) })
  const { returns } = called
  const isValue = returns.kind !== 'row'
  if (preferences.maxAffected !== undefined && preferences.handling === 'strict' && !returns.set)
    throw restErrors.maxAffectedOfFunction()
  const valueType = isValue ? returns.type : undefined
  const media = chooseMedia(request.accept, request.acceptNames, { valueType, plans: options.plans })
  const context = createContext({ catalogue, aggregates, maxRows })
  const source = { row: rowOf(options, called), from: 'source', single: !returns.set, depth: 0 } as const
  const read = resolveRead(context, request.read, source)
  return {
    kind: 'call',
    media,
    wantsBody: !request.headOnly && returns.kind !== 'void',
    limit: rowLimit(request, media),
    call: { function: called, arguments: argumentsOf(called, request) },
    read: isValue ? valueRead(read) : read,
    shape: shapeOf(called),
    nothing: returns.kind === 'void',
  }
}
