/** From the name of a key back to the entry and the params it was made of. */
import type { KeyPart } from '../cache.js'

interface NamedEntry {
  /** As it was defined. */
  readonly definition: { readonly template: string }
  readonly names: readonly string[]
  key(params: Readonly<Record<string, KeyPart>>): string
}

export interface FoundKey<E> {
  readonly entry: E
  readonly params: Readonly<Record<string, string>>
}

const quoted = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')

/** Parts hold no ":", since one in a value is written as %3A; so what stands between two of them is found without doubt. */
const patternOf = (template: string): RegExp =>
  new RegExp(
    `^${template
      .split(/\{[^{}]*\}/)
      .map(quoted)
      .join('([^:{}\\s]*)')}$`,
    'u',
  )

const unescaped = (part: string): string => (part.includes('%') ? decodeURIComponent(part) : part)

const partsOf = <E extends NamedEntry>(entry: E, pattern: RegExp, key: string): Readonly<Record<string, string>> | undefined => {
  const [, ...parts] = pattern.exec(key) ?? []
  if (parts.length !== entry.names.length || !pattern.test(key)) return undefined
  try {
    return Object.fromEntries(entry.names.map((name, i) => [name, unescaped(parts[i]!)]))
  } catch {
    return undefined
  }
}

/** `key`: with the prefix, as Redis has it. Of several entries that could have made it, the one with the fewest names. */
export const createKeyFinder = <E extends NamedEntry>(
  entries: Iterable<E>,
  prefix: string,
): ((key: string) => FoundKey<E> | undefined) => {
  const known = [...entries]
    .map((entry) => ({ entry, pattern: patternOf(entry.definition.template) }))
    .sort((a, b) => a.entry.names.length - b.entry.names.length)
  return (key) => {
    if (!key.startsWith(prefix)) return undefined
    for (const { entry, pattern } of known) {
      const params = partsOf(entry, pattern, key.slice(prefix.length))
      if (params === undefined) continue
      try {
        if (entry.key(params) === key) return { entry, params }
      } catch {
        // Of the right form and no key of this entry: a word where it has numbers.
      }
    }
    return undefined
  }
}
