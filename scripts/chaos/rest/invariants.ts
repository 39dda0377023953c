/** What has to hold of every request and its answer, whatever was asked. */
import type { BatchStatement } from '../../../packages/tidemark/dist/postgres/postgres.js'
import type { RestAnswer } from '../../../packages/tidemark/dist/rest/rest.js'
import { splitStatements } from '../../../packages/tidemark/dist/schema/split-statements.js'
import type { Role } from './requests.ts'
import { owners } from './schema.ts'
import { mark } from './words.ts'

/** Of a few texts; most come again and again. */
const seen = new Set<string>()
const maxSeen = 20_000

/** What is wrong with a statement that was made of a request. */
export const statementFault = ({ text }: BatchStatement): string | undefined => {
  if (seen.has(text)) return undefined
  if (text.toLowerCase().includes(mark)) return `a word of the request is in the statement: ${text}`
  const statements = splitStatements(text)
  if (statements.length !== 1) return `${statements.length} statements: ${text}`
  if (seen.size < maxSeen) seen.add(text)
  return undefined
}

const unseen: Readonly<Record<Role, readonly string[]>> = {
  anon: [owners.ann.word, owners.bob.word, owners.nobody.word],
  ann: [owners.bob.word, owners.nobody.word],
  bob: [owners.ann.word, owners.nobody.word],
  service: [],
}

/** As it is, and as `bytea` shows it. */
const forms = (word: string): readonly string[] => [word, Buffer.from(word).toString('hex')]

const hidden = Object.fromEntries(Object.entries(unseen).map(([role, list]) => [role, list.flatMap(forms)])) as Record<
  Role,
  string[]
>

/** Codes of 5xx answers that are Postgres' own limits and refusals, as PostgREST maps them: a row twice in an upsert, a tree too deep. */
const ownLimits: ReadonlySet<string> = new Set(['21000', '54000', '54001', '54011', '54023', '57014'])

const errorFault = (status: number, body: unknown): string | undefined => {
  const isShaped =
    typeof body === 'object' &&
    body !== null &&
    Object.keys(body).sort().join() === 'code,details,hint,message' &&
    typeof (body as { code: unknown }).code === 'string' &&
    typeof (body as { message: unknown }).message === 'string'
  if (!isShaped) return 'an error in another form than PostgREST gives it'
  const { code, message } = body as { readonly code: string; readonly message: string }
  if (status >= 500 && !ownLimits.has(code)) return `${code} with ${status}`
  if (unreadable.test(message)) return 'a statement that Postgres cannot read'
  if (/^(XX|0A000$|42P1[0-8]$|PGRSTX)/.test(code) && !known.test(message)) return `${code}: ${message}`
  return undefined
}

/** What Postgres' own parser says; input of its types is refused under the same code. */
const unreadable = /^(syntax error at|unterminated |cannot insert multiple|zero-length delimited|trailing junk)/

/** Refusals that follow from what was asked for, under codes that otherwise speak of a statement that was made wrongly. */
const known = /ON CONFLICT|cannot (update|insert into) column|could not determine polymorphic type/

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What is wrong with an answer. */
export const answerFault = (role: Role, { status, headers, body }: RestAnswer): string | undefined => {
  const text = body === undefined ? '' : typeof body === 'string' ? body : body.toString('latin1')
  const all = `${text}\n${JSON.stringify(headers)}`.toLowerCase()
  const leak = hidden[role].find((word) => all.includes(word))
  if (leak !== undefined) return `the answer holds ${leak}, which ${role} may not see`
  if (!Number.isInteger(status) || status < 200 || status > 599) return `no status: ${status}`
  const type = String(headers['content-type'] ?? '')
  const isJson = /^[a-z/.-]+(\+|\/)json/.test(type) && text !== ''
  const value = isJson ? jsonOf(text) : undefined
  if (isJson && value === undefined) return 'a body that is no JSON'
  if (status >= 400 && status !== 416 && text !== '') return errorFault(status, value)
  return undefined
}
