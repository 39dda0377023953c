/** Which values a change takes away: the rules of all entries, by table. */
import { createHash } from 'node:crypto'
import { isTidemarkError } from '../../errors.js'
import {
  type Change,
  columnValue,
  type Relation,
  type Row,
  type TransactionPiece,
  tableName,
  type Value,
} from '../../feed/feed.js'
import type { FromRule } from '../cache.js'
import type { KeyTemplate, PartForm } from './key-template.js'

export interface RuledEntry {
  readonly name: string
  readonly template: KeyTemplate
  readonly from: Readonly<Record<string, FromRule | readonly FromRule[]>>
  /** Of each name of the template. */
  readonly forms: readonly PartForm[]
}

/** What is to go. Tags and whole entries go by the position of the change: what was loaded before it is void. */
export interface Evictions {
  /** Key to the entry and the parts it is made of. */
  readonly keys: Map<string, { readonly entry: string; readonly parts: readonly string[] }>
  readonly tags: Map<string, Set<string>>
  readonly entries: Set<string>
}

interface KeyRule {
  readonly entry: RuledEntry
  readonly kind: 'key'
  /** In the order of the template's names. */
  readonly columns: readonly string[]
}

interface TagRule {
  readonly entry: RuledEntry
  readonly kind: 'tag'
  readonly literals: readonly string[]
  readonly columns: readonly string[]
}

interface WholeRule {
  readonly entry: RuledEntry
  readonly kind: 'whole'
}

type Rule = KeyRule | TagRule | WholeRule

/** `schema.table`. */
export const qualified = (table: string): string => (table.includes('.') ? table : `public.${table}`)

/** A rule for a tag, unless the template itself has a name `tag`. */
export const isTagRule = ({ names }: KeyTemplate, rule: FromRule): rule is { readonly tag: string } =>
  typeof rule === 'object' && 'tag' in rule && !names.includes('tag')

const compile = (entry: RuledEntry, rule: FromRule): Rule => {
  if (rule === true) return { entry, kind: 'whole' }
  if (typeof rule === 'string') return { entry, kind: 'key', columns: [rule] }
  if (isTagRule(entry.template, rule)) {
    const pieces = rule.tag.split(/\{([^{}]*)\}/)
    return {
      entry,
      kind: 'tag',
      literals: pieces.filter((_, i) => i % 2 === 0),
      columns: pieces.filter((_, i) => i % 2 === 1),
    }
  }
  const columns = rule
  return { entry, kind: 'key', columns: entry.template.names.map((name) => columns[name] ?? '') }
}

/** A column of one row of a change; of a large value that an update did not touch, the old row's. undefined where it is not told. */
const toldValue = (column: string, relation: Relation, row: Row, before: Row | null): Value => {
  const value = columnValue(relation, row, column)
  return value === undefined && before !== null ? columnValue(relation, before, column) : value
}

const isOfIdentity = ({ columns, identity }: Relation, name: string): boolean =>
  identity === 'full' || columns.some((column) => column.name === name && column.isKey)

/** The values of a rule in both rows of a change, without those that are NULL; `unknown` where a row may have had others that are not told. */
const valuesOf = (columns: readonly string[], { kind, relation, old, new: now }: Change): (readonly string[])[] | 'unknown' => {
  // The identity stayed the same; other columns may have been anything.
  if (kind === 'update' && old === null && !columns.every((column) => isOfIdentity(relation, column))) return 'unknown'
  const found: (readonly string[])[] = []
  for (const row of [old, now]) {
    if (row === null) continue
    const values = columns.map((column) => toldValue(column, relation, row, row === now ? old : null))
    if (values.includes(undefined)) return 'unknown'
    if (!values.includes(null)) found.push(values as readonly string[])
  }
  return found
}

export class Rules {
  readonly #byTable = new Map<string, Rule[]>()

  constructor(entries: readonly RuledEntry[]) {
    for (const entry of entries)
      for (const [table, given] of Object.entries(entry.from)) {
        const rules = [given].flat() as readonly FromRule[]
        const kept = this.#byTable.get(qualified(table)) ?? []
        this.#byTable.set(qualified(table), [...kept, ...rules.map((rule) => compile(entry, rule))])
      }
  }

  get tables(): readonly string[] {
    return [...this.#byTable.keys()]
  }

  /** The columns whose old values the rules need, by table. */
  columnsOf(table: string): readonly string[] {
    const rules = this.#byTable.get(table) ?? []
    return [...new Set(rules.flatMap((rule) => (rule.kind === 'whole' ? [] : rule.columns)))]
  }

  /** The entries that follow a table. */
  entriesOf(table: string): ReadonlySet<string> {
    return new Set((this.#byTable.get(qualified(table)) ?? []).map(({ entry }) => entry.name))
  }

  /** Names which keys which changes take away: the same for two nodes exactly where they take away the same. */
  digest(prefix: string): string {
    const said = [...this.#byTable].flatMap(([table, rules]) =>
      rules.flatMap((rule) => {
        const { template, forms } = rule.entry
        return rule.kind === 'key' ? [JSON.stringify([table, prefix + template.text, forms, rule.columns])] : []
      }),
    )
    return createHash('sha256')
      .update([...new Set(said)].sort().join('\n'))
      .digest('hex')
      .slice(0, 16)
  }

  /** What a piece of a transaction takes away. */
  evictionsOf({ changes }: Pick<TransactionPiece, 'changes'>): Evictions {
    const evictions: Evictions = { keys: new Map(), tags: new Map(), entries: new Set() }
    for (const change of changes)
      for (const rule of this.#byTable.get(tableName(change.relation)) ?? []) evict(evictions, rule, change)
    return evictions
  }
}

/** Undefined for a row of which no key can be made: nobody can have asked for it. */
const keyOf = (template: KeyTemplate, parts: readonly string[]): string | undefined => {
  try {
    return template.build(parts)
  } catch (error) {
    if (isTidemarkError(error, 'TM_CACHE_KEY')) return undefined
    throw error
  }
}

const evict = ({ keys, tags, entries }: Evictions, rule: Rule, change: Change): void => {
  const { name, template } = rule.entry
  const isTable = change.kind === 'truncate' || change.kind === 'changed'
  const values = isTable || rule.kind === 'whole' ? 'unknown' : valuesOf(rule.columns, change)
  // What cannot be told takes everything along: too much is slow, too little is wrong.
  if (values === 'unknown' || rule.kind === 'whole') {
    entries.add(name)
    return
  }
  for (const parts of values) {
    if (rule.kind === 'key') {
      const key = keyOf(template, parts)
      if (key !== undefined) keys.set(key, { entry: name, parts })
      continue
    }
    const tag = rule.literals.reduce((text, literal, i) => `${text}${i === 0 ? '' : parts[i - 1]}${literal}`, '')
    tags.set(name, (tags.get(name) ?? new Set()).add(tag))
  }
}
