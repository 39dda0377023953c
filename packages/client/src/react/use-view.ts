import { useMemo } from 'react'
import { type LiveSpec, resolveSpec } from '../live/live-spec.js'
import type { LiveView } from '../live/live-view.js'
import type { RegisteredDatabase } from '../register.js'
import type { RowOf, TableName } from '../schema.js'
import type { Tidemark } from '../tidemark.js'

/** One object for as long as the spec says the same. */
export const useView = <Name extends TableName<RegisteredDatabase>>(
  tidemark: Tidemark,
  table: Name,
  spec: LiveSpec<RowOf<RegisteredDatabase, Name>>,
): LiveView<RowOf<RegisteredDatabase, Name>> => {
  const { name } = resolveSpec(table, spec as LiveSpec)
  // biome-ignore lint/correctness/useExhaustiveDependencies: the name says all that the spec does
  return useMemo(() => tidemark.live(table, spec), [tidemark, name])
}
