import type { HttpRequest } from '../api/ask.ts'
import { shellWord } from './format.ts'

/** The request for a shell. The token stays a variable: what is copied is pasted, and kept in histories. */
export const curlOf = (
  { method, path, body, asJob = false }: HttpRequest & { readonly asJob?: boolean },
  origin: string,
): string =>
  [
    'curl',
    ...(method === 'GET' ? [] : [`-X ${method}`]),
    '-H "Authorization: Bearer $TIDEMARK_ADMIN_TOKEN"',
    ...(asJob ? ["-H 'Prefer: respond-async'"] : []),
    ...(body === undefined ? [] : ["-H 'Content-Type: application/json'", `-d ${shellWord(JSON.stringify(body))}`]),
    shellWord(`${origin}${path}`),
  ].join(' ')
