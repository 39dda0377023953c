/**
 * The way back of a value: Postgres' text (as the feed gives it, and `::text` with TimeZone UTC, DateStyle ISO, bytea in hex and
 * extra_float_digits of at least 1) as the SQLite value that the application would have written, in its storage class.
 *
 * {@link file://./create-inverter.ts} makes the inverter of a table, {@link file://./id-map.ts} the map of identifiers it reads from.
 */
import type { SqliteTable } from '../../sqlite/sqlite.js'

/** A value as it is bound: bigint for an integer, number for a real, string for text, Buffer for a blob. */
export type FileValue = bigint | number | string | Buffer | null

/**
 * Told where the file cannot hold the value as Postgres does: what was written instead, and why. `narrowed` where that is the nearest value
 * that the file's column has a form for, by the rule of its conversion.
 */
export type Tell = (reason: string, kind?: 'narrowed') => void

/** What an inverter asks of the file's own table; without it, columns are taken to be nullable and the table not STRICT. */
export type FileTable = Pick<SqliteTable, 'strict' | 'columns'>

/** The legacy identifiers behind uuids that the copy gave; filled before rows are inverted. */
export interface LegacyIds {
  /** The identifier as the file has it; undefined where the uuid was never mapped, and stands for itself. */
  find(namespace: string, uuid: string): string | undefined
}

export interface Inverter {
  /** The value of a column (by its name in Postgres) for the file. Raises TM_MOVE_INVERT for a text that is none of its type. */
  value(target: string, text: string | null, tell: Tell): FileValue
  /**
   * A key of the target as the file has it, in the order given. Undefined where some part has no exact way back, so that a row of the file
   * cannot be told by it.
   */
  key(targets: readonly string[], texts: readonly (string | null)[]): readonly FileValue[] | undefined
  /** The uuids among these values for which {@link LegacyIds} must know the answer, by namespace. */
  mapped(
    columns: readonly { readonly target: string }[],
    rows: Iterable<readonly (string | null | undefined)[]>,
  ): ReadonlyMap<string, ReadonlySet<string>>
}
