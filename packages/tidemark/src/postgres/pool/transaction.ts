import type { BatchOptions, Setting, TransactionOptions } from '../postgres.js'
import type { BatchStatement } from './batch.js'

const beginText = ({ isolation, readOnly, deferrable }: TransactionOptions): string =>
  [
    'begin',
    ...(isolation ? [`isolation level ${isolation}`] : []),
    ...(readOnly === undefined ? [] : [readOnly ? 'read only' : 'read write']),
    ...(deferrable ? ['deferrable'] : []),
  ].join(' ')

const setStatements = (settings: readonly Setting[]): BatchStatement[] => {
  if (settings.length === 0) return []
  const calls = settings.map((_entry, index) => `set_config($${index * 2 + 1}, $${index * 2 + 2}, true)`)
  return [{ text: `select ${calls.join(', ')}`, values: settings.flat(), name: `tidemark set ${settings.length}` }]
}

/** What opens a transaction with those options. */
export const beginStatements = (options: TransactionOptions): readonly BatchStatement[] => {
  const text = beginText(options)
  return [{ text, values: [], name: `tidemark ${text}` }, ...setStatements(Object.entries(options.settings ?? {}))]
}

/** What opens a transaction whose settings are made in the given order. */
export const beginBatch = ({ isolation, readOnly, settings = [] }: BatchOptions): readonly BatchStatement[] => [
  ...beginStatements({ ...(isolation && { isolation }), ...(readOnly === undefined ? {} : { readOnly }) }),
  ...setStatements(settings),
]

/** What ends one. */
export const endStatement = (end: 'commit' | 'rollback'): BatchStatement => ({ text: end, values: [], name: `tidemark ${end}` })
