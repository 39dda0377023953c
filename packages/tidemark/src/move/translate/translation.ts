/** What a translation from SQLite's SQL to Postgres' is given and what it answers. Pure: no file, no server. */
import type { Affinity } from '../../sqlite/sqlite.js'
import type { ColumnPlan, Conversion } from '../move.js'

/** Postgres SQL that gives what SQLite's gave. `notes` say what a reader should know; never that a result may silently differ. */
export interface Carried {
  readonly sql: string
  readonly notes: readonly string[]
}

/** Why there is no Postgres SQL that surely means the same, and what to do instead. */
export interface NotCarried {
  readonly reason: string
  readonly suggestion: string
}

export type Translation = Carried | NotCarried

/** True where there is SQL to run. */
export const isCarried = <T extends Carried>(translation: T | NotCarried): translation is T => 'sql' in translation

/** What an expression has to know of a column it names. */
export interface ExpressionColumn {
  readonly target: string
  /** As Postgres writes it. */
  readonly targetType: string
  readonly conversion: Conversion
  /** The affinity of the declared type in SQLite. */
  readonly affinity: Affinity
  /** BINARY, NOCASE, RTRIM or the name of a collation of the application. */
  readonly collation: string
  /** Postgres SQL of a generated column: Postgres lets no generated column name another, so it is written out in place. */
  readonly generatedSql?: string | null
}

export interface ExpressionContext {
  /** By source name, ASCII letters lower-cased. */
  readonly columns: ReadonlyMap<string, ExpressionColumn>
  /** The source table's name, by which its columns may be qualified. */
  readonly table?: string
  /** The file's encoding: a UTF-16 file orders text otherwise. UTF-8 where left out. */
  readonly encoding?: 'UTF-8' | 'UTF-16le' | 'UTF-16be'
}

/** A column of a plan joined with the facts SQLite's catalogue gives of it. */
export type PlannedColumn = Pick<ColumnPlan, 'target' | 'targetType' | 'conversion'>

/** Schema and name of a thing in Postgres. */
export interface TargetName {
  readonly schema: string
  readonly name: string
}
