import { RestError } from './rest-error.js'

const messageForm = "MESSAGE must be a JSON object with obligatory keys: 'code', 'message' and optional keys: 'details', 'hint'."
const detailForm = "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: 'status_text'."

const unreadable = (details: string, hint: string): RestError =>
  new RestError({
    code: 'PGRST121',
    status: 500,
    message: 'Could not parse JSON in the "RAISE SQLSTATE \'PGRST\'" error',
    details,
    hint,
  })

const objectOf = (text: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

const isText = (value: unknown): value is string => typeof value === 'string'
const isOptionalText = (value: unknown): value is string | null | undefined =>
  value === undefined || value === null || isText(value)

const headerName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/
/** Those that say how the body is sent belong to the server. */
const reserved = new Set(['content-length', 'transfer-encoding', 'connection', 'keep-alive', 'upgrade', 'trailer'])

/** Headers that a database function chose, lower case; undefined where one of them is none of HTTP. */
export const headersOf = (value: unknown): Record<string, string> | undefined => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const entries = Object.entries(value)
  const valid = entries.every(([name, text]) => headerName.test(name) && isText(text) && headerValue.test(text))
  if (!valid) return undefined
  return Object.fromEntries(
    entries.map(([name, text]) => [name.toLowerCase(), text as string] as const).filter(([name]) => !reserved.has(name)),
  )
}

/** A status that an answer can end with. */
export const isFinalStatus = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 200 && value <= 599

/** `raise sqlstate 'PGRST' using message = '{…}', detail = '{…}'`: a function of the database dictates the whole answer. */
export const raisedAnswer = (message: string, detail: string | undefined, cause: unknown): RestError => {
  const said = objectOf(message)
  if (
    !said ||
    !isText(said['code']) ||
    !isText(said['message']) ||
    !isOptionalText(said['details']) ||
    !isOptionalText(said['hint'])
  )
    return unreadable(`Invalid JSON value for MESSAGE: '${message}'`, messageForm)
  if (detail === undefined) return unreadable('DETAIL is missing in the RAISE statement', detailForm)
  const how = objectOf(detail)
  const headers = headersOf(how?.['headers'])
  const statusText = how?.['status_text']
  const status = how?.['status']
  if (!headers || !isFinalStatus(status) || !isOptionalText(statusText))
    return unreadable(`Invalid JSON value for DETAIL: '${detail}'`, detailForm)
  return new RestError({
    code: said['code'],
    status,
    message: said['message'],
    details: said['details'],
    hint: said['hint'],
    headers,
    statusText: statusText ?? undefined,
    cause,
  })
}
