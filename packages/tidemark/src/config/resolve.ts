import { TidemarkError } from '../errors.js'
import { closest } from './closest.js'
import { derive } from './derive.js'
import { shownValue } from './mask.js'
import { isReservedName, type ListedOption, optionList, ownPrefix } from './options/option-list.js'
import type { ConfigInput, TidemarkConfig } from './options/options.js'
import { deepFreeze, isPlainObject, treeOf } from './options/tree.js'

export type Variables = Readonly<Record<string, string | undefined>>

export interface ResolveOptions {
  /** The environment; `process.env` where it is not given. */
  readonly env?: Variables
  /** What a `.env` file held. A variable of the environment wins, an empty one too. */
  readonly dotenv?: Variables
  /** Flags under commander's property names (`stateDir`), as `pickFlags` gives them. */
  readonly flags?: Readonly<Record<string, unknown>>
  /** What the configuration file held. */
  readonly file?: ConfigInput | Readonly<Record<string, unknown>>
  /** How errors name that file. */
  readonly fileName?: string
  /** The folder that a relative `stateDir` starts from; the current one where it is not given. */
  readonly cwd?: string
}

interface Candidate {
  readonly value: unknown
  readonly source: string
  readonly fromEnvironment?: boolean
}

const unknownKey = (name: string, source: string, known: Iterable<string>): TidemarkError => {
  const meant = closest(name, known)
  return new TidemarkError('TM_CONFIG_UNKNOWN_KEY', {
    option: name,
    source,
    suggestion: meant ? ` (did you mean "${meant}"?)` : '',
  })
}

const badValue = (
  option: Pick<ListedOption, 'key' | 'kind' | 'secret'>,
  { value, source }: Candidate,
  reason: string,
): TidemarkError =>
  new TidemarkError('TM_CONFIG_BAD_VALUE', {
    option: option.key,
    value: shownValue(option, value),
    source,
    reason,
    expected: option.kind.expected,
  })

const isBareNumber = (text: string): boolean => /^\d+(\.\d+)?$/.test(text)

const rawOf = (option: ListedOption, { value, fromEnvironment }: Candidate): unknown => {
  if (typeof value !== 'string') return value
  const trimmed = value.trim()
  const inSeconds = fromEnvironment && option.envUnit === 's' && isBareNumber(trimmed)
  return option.kind.fromText(inSeconds ? `${trimmed}s` : trimmed)
}

const checked = (option: ListedOption, candidate: Candidate): unknown => {
  const raw = rawOf(option, candidate)
  if (raw === undefined) throw badValue(option, candidate, `it cannot be read as ${option.kind.expected}`)
  const result = option.kind.schema.safeParse(raw)
  if (result.success) return result.data
  throw badValue(option, candidate, result.error.issues[0]?.message ?? 'it does not fit')
}

/** The values of a configuration file by dotted key. An unknown key, or a value where a group belongs, is an error. */
const flattenFile = (file: unknown, fileName: string): ReadonlyMap<string, unknown> => {
  const groups = new Set(
    optionList.flatMap(({ path }) => path.slice(0, -1).map((_, depth) => path.slice(0, depth + 1).join('.'))),
  )
  const keys = new Set(optionList.map(({ key }) => key))
  const values = new Map<string, unknown>()
  const visit = (node: unknown, prefix: string): void => {
    if (!isPlainObject(node)) throw notAGroup(prefix, node, fileName)
    for (const [name, value] of Object.entries(node)) {
      const key = prefix === '' ? name : `${prefix}.${name}`
      if (value === undefined) continue
      if (keys.has(key)) values.set(key, value)
      else if (groups.has(key)) visit(value, key)
      else throw unknownKey(key, fileName, [...keys, ...groups])
    }
  }
  visit(file, '')
  return values
}

const notAGroup = (group: string, value: unknown, source: string): TidemarkError =>
  new TidemarkError('TM_CONFIG_BAD_VALUE', {
    option: group === '' ? 'configuration' : group,
    value: value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`,
    source,
    reason: 'it is not a group of options',
    expected: group === '' ? 'an object of options' : `an object, such as { ${exampleIn(group)} }`,
  })

const exampleIn = (group: string): string => {
  const inside = optionList.find(({ key }) => key.startsWith(`${group}.`))
  return inside ? `${inside.key.slice(group.length + 1)}: …` : ''
}

const checkNames = (
  flags: Readonly<Record<string, unknown>>,
  ...environments: readonly (readonly [Variables, string])[]
): void => {
  const attributes = new Set(optionList.flatMap(({ attribute }) => attribute ?? []))
  for (const name of Object.keys(flags)) if (!attributes.has(name)) throw unknownKey(name, 'the flags', attributes)
  const known = new Set(optionList.flatMap(({ env }) => env))
  for (const [variables, source] of environments) {
    for (const name of Object.keys(variables)) {
      if (name.startsWith(ownPrefix) && !known.has(name) && !isReservedName(name)) throw unknownKey(name, source, known)
    }
  }
}

const fromVariables = (option: ListedOption, variables: Variables, where: string, hidden: Variables = {}): readonly Candidate[] =>
  option.env.flatMap((name) => {
    const value = hidden[name] === undefined ? variables[name] : undefined
    if (value === undefined || value.trim() === '' || option.foreignEnv?.test(value)) return []
    return [{ value, source: `${name}${where}`, fromEnvironment: true }]
  })

const sourcesOf = new WeakMap<object, ReadonlyMap<string, string>>()

/**
 * Where the value of each option came from: `PORT`, `PORT in .env`, `--port`, the file's name, or `default`.
 * Empty for a configuration that {@link resolveConfig} did not make.
 */
export const configSources = (config: TidemarkConfig): ReadonlyMap<string, string> => sourcesOf.get(config) ?? new Map()

/**
 * Resolves the configuration: flags win over the environment, that over the file, that over the defaults. Nothing is read from the
 * disk; `loadConfig` does that. Raises TM_CONFIG_UNKNOWN_KEY, TM_CONFIG_BAD_VALUE (also for a value that another hides) and
 * TM_CONFIG_MISSING.
 */
export const resolveConfig = ({
  env = process.env,
  dotenv = {},
  flags = {},
  file = {},
  fileName = 'the configuration file',
  cwd = process.cwd(),
}: ResolveOptions = {}): TidemarkConfig => {
  checkNames(flags, [env, 'the environment'], [dotenv, '.env'])
  const fileValues = flattenFile(file, fileName)
  const values = new Map<string, unknown>()
  const sources = new Map<string, string>()
  for (const option of optionList) {
    const flag = option.attribute === undefined ? undefined : flags[option.attribute]
    const given: readonly Candidate[] = [
      ...(flag === undefined ? [] : [{ value: flag, source: `--${option.flag}` }]),
      ...fromVariables(option, env, ''),
      ...fromVariables(option, dotenv, ' in .env', env),
      ...(fileValues.has(option.key) ? [{ value: fileValues.get(option.key), source: fileName }] : []),
    ]
    const results = given.map((candidate) => ({ value: checked(option, candidate), source: candidate.source }))
    const winner = results[0] ?? { value: option.default, source: 'default' }
    values.set(option.key, winner.value)
    if (winner.value !== undefined) sources.set(option.key, winner.source)
  }
  derive(values, sources, cwd)
  const config = deepFreeze(treeOf(values)) as unknown as TidemarkConfig
  sourcesOf.set(config, sources)
  return config
}
