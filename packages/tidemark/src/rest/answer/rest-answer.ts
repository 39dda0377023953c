import { mediaName } from '../media-name.js'
import type { Media, RestRequest } from '../query.js'
import { restErrors } from '../rest-errors.js'
import type { RestAnswer, RestResult } from './answer.js'
import { appliedPreferences } from './applied-preferences.js'
import { type AnswerHeaders, chosenHeaders, chosenStatus } from './chosen-answer.js'
import { contentRange, rangeStatus } from './content-range.js'
import { errorAnswer } from './error-answer.js'
import { contentLocation, rowLocation } from './location.js'

/** What is answered before a function of the database has its say. */
interface Draft {
  readonly status: number
  readonly headers: AnswerHeaders
  readonly body: string | Buffer | undefined
}

const contentType = (media: Media): string => (media.kind === 'octets' ? mediaName(media) : `${mediaName(media)}; charset=utf-8`)

/** Those that belong to a body. */
const bodyHeaders = ({ media }: RestResult, request: RestRequest & { readonly target: { schema: string } }): AnswerHeaders => ({
  'content-type': contentType(media),
  ...('profiled' in request && request.profiled && { 'content-profile': request.target.schema }),
})

type Kind<K extends RestRequest['kind']> = RestRequest & { readonly kind: K }

const readDraft = (request: Kind<'read' | 'call'>, result: RestResult): Draft => {
  const { rows, total } = result
  const from = request.read.offset ?? 0
  const location = request.kind === 'read' ? contentLocation(request.target.name, request.parameters) : undefined
  const range = {
    'content-range': contentRange(from, from + rows - 1, total),
    ...(location !== undefined && { 'content-location': location }),
  }
  if (result.nothing) return { status: 204, headers: range, body: undefined }
  const status = rangeStatus(from, rows, total)
  const headers = { ...range, ...bodyHeaders(result, request) }
  if (status !== 416) return { status, headers, body: request.headOnly ? undefined : result.body }
  const refused = errorAnswer(restErrors.offsetBeyond(from, total ?? 0))
  return { ...refused, headers: { ...headers, ...refused.headers } }
}

/** Whether the rows that were written were counted. */
const counted = ({ preferences, rows }: RestResult): number | undefined =>
  preferences.count === 'exact' || preferences.count === 'estimated' ? rows : undefined

const writtenDraft = (
  request: Kind<'insert' | 'update' | 'delete'>,
  result: RestResult,
  status: number,
  headers: AnswerHeaders,
): Draft => {
  if (result.preferences.return !== 'representation') return { status, headers, body: undefined }
  return { status, headers: { ...headers, ...bodyHeaders(result, request) }, body: result.body }
}

const insertDraft = (request: Kind<'insert'>, result: RestResult): Draft => {
  const { inserted = result.rows, preferences, location } = result
  const represented = preferences.return === 'representation'
  if (request.put) return writtenDraft(request, result, represented ? (inserted > 0 ? 201 : 200) : 204, {})
  const status = preferences.resolution === 'merge-duplicates' && inserted === 0 ? 200 : 201
  const located = preferences.return === 'headers-only' && location && location.length > 0
  return writtenDraft(request, result, status, {
    ...(located && { location: rowLocation(request.target.name, location) }),
    'content-range': contentRange(1, 0, counted(result)),
  })
}

const draftOf = (request: Kind<'read' | 'call' | 'insert' | 'update' | 'delete'>, result: RestResult): Draft => {
  if (result.media.kind === 'plan') return { status: 200, headers: bodyHeaders(result, request), body: result.body }
  const status = result.preferences.return === 'representation' ? 200 : 204
  switch (request.kind) {
    case 'read':
    case 'call':
      return readDraft(request, result)
    case 'insert':
      return insertDraft(request, result)
    case 'update':
      return writtenDraft(request, result, status, { 'content-range': contentRange(0, result.rows - 1, counted(result)) })
    case 'delete':
      return writtenDraft(request, result, status, { 'content-range': contentRange(1, 0, counted(result)) })
  }
}

const withoutBody = [204, 205, 304]

/** The answer to a request that was run. Header names are in lower case. */
export const restAnswer = (request: Kind<'read' | 'call' | 'insert' | 'update' | 'delete'>, result: RestResult): RestAnswer => {
  const draft = draftOf(request, result)
  const applied = result.media.kind === 'plan' ? undefined : appliedPreferences(request, result.preferences)
  const status = chosenStatus(result.responseStatus) ?? draft.status
  return {
    status,
    statusText: undefined,
    headers: {
      ...draft.headers,
      ...(applied !== undefined && { 'preference-applied': applied }),
      ...chosenHeaders(result.responseHeaders),
    },
    body: withoutBody.includes(status) ? undefined : draft.body,
  }
}

/** The answer of the root: the description of what there is. */
export const rootAnswer = (request: Kind<'root'>, description: string): RestAnswer => ({
  status: 200,
  statusText: undefined,
  headers: {
    'content-type': contentType({ kind: 'openapi' }),
    ...(request.profiled && { 'content-profile': request.schema }),
  },
  body: request.headOnly ? undefined : description,
})
