import type { Catalogue, SqlFunction } from '../catalogue.js'
import { restErrors } from '../rest-errors.js'
import { fuzzyMatches } from './fuzzy-match.js'

export interface FunctionCall {
  readonly schema: string
  readonly name: string
  /** The names of the arguments that are given. */
  readonly keys: readonly string[]
  /** What a POST brings; undefined for GET, and where the arguments come in a form or as csv. */
  readonly body: 'json' | 'text' | 'xml' | 'octets' | undefined
}

const minNameScore = 0.75
const rawTypes: Readonly<Record<NonNullable<FunctionCall['body']>, readonly string[]>> = {
  json: ['json', 'jsonb'],
  text: ['text'],
  xml: ['xml'],
  octets: ['bytea'],
}

/** Every argument without a default is given, and nothing that the function does not know. */
const takesNamed = ({ arguments: known }: SqlFunction, keys: ReadonlySet<string>, body: FunctionCall['body']): boolean => {
  if (known.length === 0) return keys.size === 0 && (body === undefined || body === 'json')
  const names = new Set(known.map((argument) => argument.name))
  return [...keys].every((key) => names.has(key)) && known.every((argument) => !argument.required || keys.has(argument.name))
}

const takesBody = ({ arguments: [only, ...others] }: SqlFunction, body: FunctionCall['body']): boolean =>
  body !== undefined && only?.name === '' && others.length === 0 && rawTypes[body].includes(only.type)

const listOf = (names: readonly string[]): string => `(${[...names].sort().join(', ')})`

const hintFor = (
  catalogue: Catalogue,
  { schema, name, keys }: FunctionCall,
  overloads: readonly SqlFunction[],
): string | null => {
  const signatures = overloads.map((overload) => listOf(overload.arguments.map((argument) => argument.name)))
  const names = overloads.length === 0 ? catalogue.allFunctions(schema).map((known) => known.name) : []
  const [meant] = overloads.length === 0 ? fuzzyMatches(name, names, minNameScore) : fuzzyMatches(listOf(keys), signatures)
  if (!meant) return null
  const call = overloads.length === 0 ? meant.name : `${name}${meant.name}`
  return `Perhaps you meant to call the function ${schema}.${call}`
}

const displayTypes: Readonly<Record<string, string>> = { bpchar: 'character', '"bit"': 'bit' }

const signatureOf = ({ schema, name, arguments: known }: SqlFunction): string => {
  const list = known.map((argument) => `${argument.name} => ${displayTypes[argument.type] ?? argument.type}`)
  return `${schema}.${name}(${list.join(', ')})`
}

/**
 * The overload that a call means, by the names of its arguments; otherwise one whose single unnamed argument takes the whole body
 * (to be told by that argument's empty name). Raises PGRST202 where there is none, PGRST203 where there are several.
 */
export const findFunction = (catalogue: Catalogue, call: FunctionCall): SqlFunction => {
  const { schema, name, body } = call
  const keys = new Set(call.keys)
  const overloads = catalogue.functions(schema, name)
  const named = overloads.filter((overload) => takesNamed(overload, keys, body))
  const candidates = named.length > 0 ? named : overloads.filter((overload) => takesBody(overload, body))
  const [found, ...others] = candidates
  if (!found) throw restErrors.functionNotFound({ ...call, keys: [...keys], hint: hintFor(catalogue, call, overloads) })
  if (others.length > 0) throw restErrors.functionAmbiguous(candidates.map(signatureOf))
  return found
}
