import type { RestError } from '../rest-error.js'
import type { RestAnswer } from './answer.js'

/** The answer to a request that is refused. */
export const errorAnswer = (error: RestError): RestAnswer => ({
  status: error.status,
  statusText: error.statusText,
  headers: { 'content-type': 'application/json; charset=utf-8', ...error.headers },
  body: JSON.stringify(error),
})
