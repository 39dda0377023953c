import type { Option } from './option.js'
import { options } from './options.js'

/** The prefix of the variables that are ours alone, so that a name with it that no option has is an error. */
export const ownPrefix = 'TIDEMARK_'

/** Ours by prefix, but read by the test suite and by child processes, not options. */
export const isReservedName = (name: string): boolean => /^TIDEMARK_(TEST|INTERNAL)_/.test(name)

/** One option with everything that follows from its line in the table. */
export interface ListedOption extends Option {
  readonly key: string
  /** The key's parts, outermost first. */
  readonly path: readonly string[]
  readonly env: readonly string[]
  /** The property under which commander reports the flag. */
  readonly attribute?: string
}

const envNameOf = (key: string): string =>
  ownPrefix +
  key
    .replace(/\./g, '_')
    .replace(/(?<=[a-z])(?=[A-Z])/g, '_')
    .toUpperCase()

const camelCase = (name: string): string => name.replace(/-(\w)/g, (_whole, letter: string) => letter.toUpperCase())

const listed = (key: string, option: Option): ListedOption => ({
  ...option,
  key,
  path: key.split('.'),
  env: option.env ?? [envNameOf(key)],
  ...(option.flag !== undefined && { attribute: camelCase(option.flag) }),
})

/** Every option, in the order of the table. */
export const optionList: readonly ListedOption[] = Object.entries(options).map(([key, option]) => listed(key, option))
