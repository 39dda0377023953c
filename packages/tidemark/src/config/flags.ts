import { type ListedOption, optionList } from './options/option-list.js'

/** A flag of the command line that sets an option. */
export interface ConfigFlag {
  readonly key: string
  /** The property under which commander reports it. */
  readonly attribute: string
  /** As commander and `--help` have it: `--port <number>`. */
  readonly syntax: string
  readonly help: string
}

const turnsOff = ({ kind, default: preset }: ListedOption): boolean => kind.argument === undefined && preset === true

const syntaxOf = (option: ListedOption): string =>
  option.kind.argument === undefined
    ? `--${turnsOff(option) ? 'no-' : ''}${option.flag}`
    : `--${option.flag} <${option.kind.argument}>`

const helpOf = (option: ListedOption): string => {
  const { help, env, default: preset, defaultText, kind } = option
  const normally = defaultText ?? (kind.argument === undefined ? undefined : preset)
  const what = turnsOff(option) ? `Turns off what is on by default: ${help}` : help
  return `${what} [${env.join(', ')}${normally === undefined ? '' : `; default: ${String(normally)}`}]`
}

/** Every flag that sets an option, in the order of the table. */
export const configFlags: readonly ConfigFlag[] = optionList.flatMap((option) =>
  option.attribute === undefined
    ? []
    : [{ key: option.key, attribute: option.attribute, syntax: syntaxOf(option), help: helpOf(option) }],
)

/** Of what commander parsed, the part that {@link resolveConfig} takes as `flags`; a command's own flags are left out. */
export const pickFlags = (parsed: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    configFlags.filter(({ attribute }) => parsed[attribute] !== undefined).map(({ attribute }) => [attribute, parsed[attribute]]),
  )
