import type { TransactionOptions } from './postgres.js'

interface Statement {
  readonly text: string
  readonly values: readonly unknown[]
}

const beginText = ({ isolation, readOnly, deferrable }: TransactionOptions): string =>
  [
    'begin',
    ...(isolation ? [`isolation level ${isolation}`] : []),
    ...(readOnly === undefined ? [] : [readOnly ? 'read only' : 'read write']),
    ...(deferrable ? ['deferrable'] : []),
  ].join(' ')

const setText = (settings: Readonly<Record<string, string>>): Statement[] => {
  const entries = Object.entries(settings)
  if (entries.length === 0) return []
  const calls = entries.map((_entry, index) => `set_config($${index * 2 + 1}, $${index * 2 + 2}, true)`)
  return [{ text: `select ${calls.join(', ')}`, values: entries.flat() }]
}

/** What opens a transaction with those options. */
export const beginStatements = (options: TransactionOptions): readonly Statement[] => [
  { text: beginText(options), values: [] },
  ...setText(options.settings ?? {}),
]
