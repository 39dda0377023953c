import { maskSecrets, maskValue } from '../secrets.js'
import { type ListedOption, optionList } from './options/option-list.js'
import type { TidemarkConfig } from './options/options.js'
import { valueAt } from './options/tree.js'
import { splitRedisUrls } from './redis-urls.js'

/** A URL without its password. One that cannot be parsed shows nothing but its scheme: no telling where its password ends. */
const maskUrl = (value: string): string => {
  if (!URL.canParse(value)) return `${/^[a-z][a-z0-9+.-]*:\/\//i.exec(value)?.[0] ?? ''}***`
  const parsed = new URL(value)
  if (parsed.password !== '') parsed.password = '***'
  return maskSecrets(parsed.href)
}

const longest = 100

/** A value of an option as it may be shown. */
export const shownValue = (option: Pick<ListedOption, 'secret' | 'kind'>, value: unknown): string => {
  if (value === null) return 'null'
  if (typeof value === 'object' && !Array.isArray(value)) return 'an object'
  if (typeof value === 'function') return 'a function'
  const text = typeof value === 'string' ? value : Array.isArray(value) ? value.map(String).join(',') : String(value)
  if (option.kind.url) return splitRedisUrls(text).map(maskUrl).join(',')
  if (option.secret) return maskValue(text)
  const shown = maskSecrets(text)
  return shown.length > longest ? `${shown.slice(0, longest)}…` : shown
}

export interface MaskedOption {
  readonly option: string
  /** As it may be shown; undefined where the option is not set. */
  readonly value: string | undefined
}

/** Every option with its value, secrets masked: what `doctor` and the log may show (SEC-2). */
export const maskedConfig = (config: TidemarkConfig): readonly MaskedOption[] =>
  optionList.map((option) => {
    const value = valueAt(config, option.path)
    return { option: option.key, value: value === undefined ? undefined : shownValue(option, value) }
  })
