import { headersOf, isFinalStatus } from '../raised-answer.js'
import { restErrors } from '../rest-errors.js'

export type AnswerHeaders = Readonly<Record<string, string | readonly string[]>>

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** `response.headers`: `[{"Set-Cookie": "a=b"}, …]`. Raises PGRST111 where it is not of this form. */
export const chosenHeaders = (text: string | undefined): AnswerHeaders => {
  if (text === undefined || text === '') return {}
  const list = parse(text)
  if (!Array.isArray(list)) throw restErrors.responseHeaders()
  const chosen = new Map<string, string[]>()
  for (const one of list) {
    const headers = headersOf(one)
    if (!headers || Object.keys(one).length !== 1) throw restErrors.responseHeaders()
    for (const [name, value] of Object.entries(headers)) chosen.set(name, [...(chosen.get(name) ?? []), value])
  }
  return Object.fromEntries([...chosen].map(([name, values]) => [name, values.length === 1 ? (values[0] ?? '') : values]))
}

/** `response.status`. Raises PGRST112 where no answer can have it. */
export const chosenStatus = (text: string | undefined): number | undefined => {
  if (text === undefined || text === '') return undefined
  const status = Number(/^\d+/.exec(text)?.[0] ?? Number.NaN)
  if (!isFinalStatus(status)) throw restErrors.responseStatus()
  return status
}
