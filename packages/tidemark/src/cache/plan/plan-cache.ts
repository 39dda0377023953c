/** What definitions come to before any of them holds a value: templates, options and rules, as the tables bear them out. */
import { TidemarkError } from '../../errors.js'
import type { CacheDefinition, CachePool } from '../cache.js'
import { formsOf, readColumnTypes } from './describe-columns.js'
import { refuseCollisions } from './key-collisions.js'
import { type KeyTemplate, type PartForm, parseTemplate } from './key-template.js'
import { type ResolvedOptions, resolveOptions } from './resolve-options.js'
import { qualified, Rules } from './rules.js'

// biome-ignore lint/suspicious/noExplicitAny: definitions of every kind stand side by side
export type Definitions = Readonly<Record<string, CacheDefinition<any, any>>>

export interface PlannedEntry {
  readonly name: string
  readonly definition: Definitions[string]
  readonly template: KeyTemplate
  readonly options: ResolvedOptions
  /** That it follows, as `schema.table`. */
  readonly tables: readonly string[]
  /** Of each name of the template. */
  readonly forms: readonly PartForm[]
}

export interface CachePlan {
  readonly entries: readonly PlannedEntry[]
  readonly rules: Rules
}

const planEntry = (name: string, definition: Definitions[string]): Omit<PlannedEntry, 'forms'> => {
  const template = parseTemplate(definition.template)
  const tables = Object.keys(definition.options.from ?? {}).map(qualified)
  return { name, definition, template, options: resolveOptions(definition.template, definition.options), tables }
}

const fromOf = ({ options }: Definitions[string]) => options.from ?? {}

/** Raises TM_CACHE_TEMPLATE, TM_CACHE_OPTION, TM_CACHE_RULE, TM_POSTGRES_*. */
export const planCache = async (
  definitions: Definitions,
  pool: Pick<CachePool, 'query'>,
  mayEncrypt: boolean,
): Promise<CachePlan> => {
  const planned = Object.entries(definitions).map(([name, definition]) => planEntry(name, definition))
  const types = await readColumnTypes(pool, [...new Set(planned.flatMap(({ tables }) => tables))])
  const entries = planned.map((entry) => ({ ...entry, forms: formsOf(entry.template, fromOf(entry.definition), types) }))
  const ruled = entries.map((entry) => ({ ...entry, from: fromOf(entry.definition) }))
  refuseCollisions(ruled)
  const rules = new Rules(ruled)
  for (const { template, options } of entries)
    if (options.encrypted && !mayEncrypt) {
      const expected = 'false, or give the cache keys to encrypt with'
      throw new TidemarkError('TM_CACHE_OPTION', { template: template.text, option: 'encrypted', value: 'true', expected })
    }
  return { entries, rules }
}
