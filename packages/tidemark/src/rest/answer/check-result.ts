import type { RestRequest } from '../query.js'
import { restErrors } from '../rest-errors.js'
import type { RestResult } from './answer.js'
import { chosenHeaders, chosenStatus } from './chosen-answer.js'

const limitedKinds = ['update', 'delete', 'call']

/**
 * Raises what makes a result no answer to its request. To be asked before the transaction commits, so that what is refused has not
 * happened either: one object that is none or several (PGRST116), more rows than `max-affected` allows (PGRST124), a PUT whose row
 * is not the one its filters name (PGRST115), headers or a status that HTTP does not have (PGRST111, PGRST112).
 */
export const checkResult = (request: RestRequest, result: RestResult): void => {
  const { media, rows, preferences } = result
  if (request.kind === 'insert' && request.put) {
    if (rows !== 1) throw restErrors.putPayload()
  } else if (media.kind === 'object' && rows !== 1) throw restErrors.notSingular(rows)
  const { handling, maxAffected } = preferences
  const limited = handling === 'strict' && maxAffected !== undefined && limitedKinds.includes(request.kind)
  if (limited && rows > maxAffected) throw restErrors.maxAffected(rows)
  chosenHeaders(result.responseHeaders)
  chosenStatus(result.responseStatus)
}
