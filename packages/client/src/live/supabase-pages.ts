import type { SupabaseClient } from '@supabase/supabase-js'
import type { Position } from '../position.js'
import type { AnyRow } from '../schema.js'
import type { OrderBy, ResolvedSpec, Test } from './live-spec.js'
import { LoadError, type ReadPage } from './ports.js'

const isNull = (value: unknown): value is null | undefined => value === null || value === undefined

/** A value within a tree of conditions. */
const quoted = (value: unknown): string => `"${String(value).replaceAll(/["\\]/g, '\\$&')}"`

/**
 * The condition that a row comes behind another, as PostgREST writes it: by the first column in which they differ. Nulls are last upwards and
 * first downwards.
 */
export const behind = ([first, ...rest]: readonly OrderBy[], row: AnyRow): string | undefined => {
  if (!first) return undefined
  const { column, direction } = first
  const value = row[column]
  const later = isNull(value)
    ? direction === 'asc'
      ? undefined
      : `${column}.not.is.null`
    : direction === 'asc'
      ? `${column}.gt.${quoted(value)},${column}.is.null`
      : `${column}.lt.${quoted(value)}`
  const next = behind(rest, row)
  const same = next === undefined ? undefined : `and(${column}.${isNull(value) ? 'is.null' : `eq.${quoted(value)}`},or(${next}))`
  const either = [later, same].filter((part) => part !== undefined)
  // Nothing comes behind a row whose last column is null; keys are not.
  return either.length === 0 ? `${column}.in.()` : either.join(',')
}

/** What this file calls of a builder of postgrest-js. */
interface Builder extends PromiseLike<{ data: AnyRow[] | null; error: { message: string } | null; status: number }> {
  filter(column: string, operator: string, value: unknown): Builder
  in(column: string, values: readonly unknown[]): Builder
  or(conditions: string): Builder
  order(column: string, options: { readonly ascending: boolean }): Builder
  limit(count: number): Builder
  abortSignal(signal: AbortSignal): Builder
  retry?(enabled: boolean): Builder
}

const tested = (builder: Builder, { column, operator, value }: Test): Builder =>
  operator === 'in' ? builder.in(column, value as readonly unknown[]) : builder.filter(column, operator, value)

const builderOf = (supabase: SupabaseClient, { table, tests, order }: ResolvedSpec): Builder => {
  let builder = supabase.from(table).select('*') as unknown as Builder
  for (const test of tests) builder = tested(builder, test)
  for (const { column, direction } of order) builder = builder.order(column, { ascending: direction === 'asc' })
  return builder
}

const unavailable = [0, 429, 502, 503, 504]

/** Rows by postgrest-js. `positionOf` tells what the answer to the request with this signal said. */
export const createSupabasePages =
  (supabase: SupabaseClient, positionOf: (signal: AbortSignal) => Position | undefined): ReadPage =>
  async ({ spec, after, count, signal }) => {
    let builder = builderOf(supabase, spec).limit(count).abortSignal(signal)
    const condition = after && behind(spec.order, after)
    if (condition !== undefined) builder = builder.or(condition)
    // Whoever reads decides when to try again.
    if (builder.retry) builder = builder.retry(false)
    const { data, error, status } = await builder
    if (error) throw new LoadError(error.message, { isNetwork: unavailable.includes(status), cause: error })
    return { rows: data ?? [], position: positionOf(signal) }
  }
