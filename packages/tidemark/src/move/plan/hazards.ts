/** What in the data or the schema the reader should know before anything is copied. */
import type { SqliteDatabase, SqliteSchema, SqliteTable } from '../../sqlite/sqlite.js'
import { orphanCondition } from '../copy/parent-guard.js'
import type { ColumnPlan, Hazard, TablePlan } from '../move.js'
import { printKey, quoteSqlite } from '../row-source.js'
import type { ColumnFacts, Sample, TableFacts } from './scan.js'

const shownKeys = 5

interface Finding {
  readonly code: string
  readonly sample: Sample
  readonly policy: string
  readonly message: string
  readonly suggestion: string
}

const textFindings = ({ policies, targetType }: ColumnPlan, facts: ColumnFacts): readonly Finding[] => {
  const close = facts.close
  if (!close || targetType === 'bytea') return []
  return [
    {
      code: 'nulByte',
      sample: close.nulBytes,
      policy: policies.nulBytes,
      message: 'text with a NUL byte, which Postgres cannot hold',
      suggestion:
        'Choose "nulBytes": "strip", "replace" (writes U+2400) or "null", or "type": "bytea"; the original bytes are kept in tidemark.move_rejects.',
    },
    {
      code: 'invalidUtf8',
      sample: close.badUtf8,
      policy: policies.invalidUtf8,
      message: 'text that is not valid UTF-8',
      suggestion:
        'Choose "invalidUtf8": "latin1", "replace" or "null", or "type": "bytea"; the original bytes are kept in tidemark.move_rejects.',
    },
  ]
}

/** Hazards of values that the policies decide. */
export const valueHazards = (table: TablePlan, facts: TableFacts): readonly Hazard[] =>
  table.columns.flatMap((column) =>
    textFindings(column, facts.columns.get(column.source)!)
      .filter(({ sample }) => sample.count > 0)
      .map(({ code, sample, policy, message, suggestion }) => ({
        code,
        severity: policy === 'reject' ? ('loss' as const) : ('warning' as const),
        table: table.source,
        column: column.source,
        count: sample.count,
        keys: sample.keys,
        message: policy === 'reject' ? `${message}: the row is rejected` : `${message}: by the policy "${policy}"`,
        suggestion,
      })),
  )

const jsonLike = (kind: string): boolean => kind === 'json' || kind === 'jsonb'

/** Values of a chosen or given type that the values do not all fit. */
export const conversionHazards = (table: TablePlan, facts: TableFacts): readonly Hazard[] =>
  table.columns.flatMap((column) => {
    const seen = facts.columns.get(column.source)!
    const { conversion, policies } = column
    const outcome = policies.badValue === 'null' && !column.notNull ? 'the value becomes NULL' : 'the row is rejected'
    const severity = outcome === 'the row is rejected' ? ('loss' as const) : ('warning' as const)
    const hazard = (code: string, count: number, message: string, suggestion: string): readonly Hazard[] =>
      count > 0
        ? [
            {
              code,
              severity,
              table: table.source,
              column: column.source,
              count,
              keys: [],
              message: `${message}: ${outcome}`,
              suggestion,
            },
          ]
        : []
    if (jsonLike(conversion.kind) && seen.close) {
      return hazard(
        'invalidJson',
        seen.texts - seen.close.jsons,
        'text that is not valid JSON',
        'Correct it in the file, or choose "null" or text.',
      )
    }
    if (column.notNull && policies.nullAs === null)
      return hazard(
        'nullInNotNull',
        seen.nulls,
        'NULL where the target refuses it',
        'Give "nullAs", the value that stands for NULL.',
      )
    if (column.notNull && policies.nullAs !== null && seen.nulls > 0) {
      const message = `NULL, written as '${policies.nullAs}'`
      return [
        {
          code: 'nullReplaced',
          severity: 'warning',
          table: table.source,
          column: column.source,
          count: seen.nulls,
          keys: [],
          message,
          suggestion: 'By choice ("nullAs").',
        },
      ]
    }
    if ((conversion.kind === 'timestamptz' || conversion.kind === 'timestamp') && conversion.format === null && seen.close) {
      return hazard(
        'notATime',
        seen.close.moments.others,
        'text that is no time',
        'Correct it in the file, or choose "null" or text.',
      )
    }
    return []
  })

/** Rows without the parent that the target demands. */
export const orphanHazards = (database: SqliteDatabase, table: TablePlan): readonly Hazard[] =>
  table.requiredParents.flatMap((parent) => {
    const condition = orphanCondition(table.source, parent)
    const names = table.reportKey
    const select = names.map((name) => `${quoteSqlite(table.source)}.${quoteSqlite(name)}`).join(', ') || '1'
    const orphans = database
      .prepare(`SELECT ${select} FROM ${quoteSqlite(table.source)} WHERE ${condition}`)
      .safeIntegers(true)
      .raw(true)
    const keys: string[] = []
    let count = 0
    for (const row of orphans.iterate() as IterableIterator<unknown[]>) {
      if (++count <= shownKeys) keys.push(printKey(names, row))
    }
    if (count === 0) return []
    const message = `no such row in ${parent.parentTable}, and the target demands one: the row is rejected`
    return [
      {
        code: 'orphan',
        severity: 'loss',
        table: table.source,
        column: parent.columns[0] ?? null,
        count,
        keys,
        message,
        suggestion: 'Add the parent or delete the row in the file, or allow it ("onBadValue": "reject" on the column).',
      } as const,
    ]
  })

/** Foreign keys that rows of the file break, where SQLite did not enforce them. */
export const danglingHazards = (database: SqliteDatabase, table: SqliteTable): readonly Hazard[] => {
  if (table.foreignKeys.length === 0) return []
  const broken = new Map<number, { count: number; keys: string[]; parent: string }>()
  try {
    for (const row of database.prepare(`PRAGMA foreign_key_check(${quoteSqlite(table.name)})`).iterate() as IterableIterator<{
      rowid: number | null
      parent: string
      fkid: number
    }>) {
      const found = broken.get(row.fkid) ?? { count: 0, keys: [], parent: row.parent }
      found.count++
      if (found.keys.length < shownKeys) found.keys.push(row.rowid === null ? 'a row without rowid' : `rowid=${row.rowid}`)
      broken.set(row.fkid, found)
    }
  } catch {
    // A mismatched key ("foreign key mismatch") is told by the decision on the foreign key itself.
    return []
  }
  return [...broken.values()].map(({ count, keys, parent }) => ({
    code: 'danglingForeignKey',
    severity: 'warning',
    table: table.name,
    column: null,
    count,
    keys,
    message: `no such row in ${parent}: kept as they are, and the foreign key holds for new rows only (NOT VALID)`,
    suggestion: 'Correct the rows, then run ALTER TABLE … VALIDATE CONSTRAINT.',
  }))
}

/** Catalogue entries that could not be read, and tables that stay behind by nature. */
export const schemaHazards = (schema: SqliteSchema): readonly Hazard[] =>
  schema.unreadable.map(({ type, name, reason }) => ({
    code: 'unreadableObject',
    severity: 'loss',
    table: name,
    column: null,
    count: 1,
    keys: [],
    message: `the ${type} cannot be read: ${reason}`,
    suggestion: 'Open the file with the program that made it, or carry this object over by hand.',
  }))
