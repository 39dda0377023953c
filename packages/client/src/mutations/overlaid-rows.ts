import type { ResolvedSpec } from '../live/live-spec.js'
import { compareRows, keyOf, matchRow } from '../live/match-row.js'
import type { AnyRow } from '../schema.js'
import type { Overlay } from './overlay.js'

export interface Overlaid {
  readonly rows: readonly AnyRow[]
  /** By row: the overlay that it comes from. */
  readonly made: ReadonlyMap<AnyRow, Overlay>
}

/** A new row that says nothing of a column that is asked for is taken for one that has what is asked. */
const filled = ({ tests }: ResolvedSpec, row: AnyRow): AnyRow => {
  const asked = tests.filter(({ operator }) => operator === 'eq').map(({ column, value }) => [column, value] as const)
  return { ...Object.fromEntries(asked), ...row }
}

const place = (spec: ResolvedSpec, rows: AnyRow[], row: AnyRow): void => {
  const before = rows.findIndex((other) => compareRows(spec, row, other) < 0)
  rows.splice(before < 0 ? rows.length : before, 0, row)
}

/** The rows as they will be once the overlays have come true, in their order. */
export const overlaidRows = (
  spec: ResolvedSpec,
  base: readonly AnyRow[],
  overlays: readonly Overlay[],
  limit: number | undefined,
): Overlaid => {
  if (overlays.length === 0) return { rows: base, made: new Map() }
  const rows = [...base]
  const made = new Map<AnyRow, Overlay>()
  const indexOf = (key: string | undefined) => (key === undefined ? -1 : rows.findIndex((row) => keyOf(spec.key, row) === key))

  const show = (row: AnyRow, overlay: Overlay): void => {
    if (!matchRow(spec, row)) return
    place(spec, rows, row)
    made.set(row, overlay)
  }

  for (const overlay of overlays) {
    const { kind, row, isHidden, outcome } = overlay
    if (isHidden) continue
    const index = indexOf(keyOf(spec.key, outcome?.row ?? row))
    const found = rows[index]
    // The server has told it already: it knows better.
    if (kind === 'insert' && found && !made.has(found)) continue
    if (found) rows.splice(index, 1)
    if (kind === 'insert') show({ ...(outcome?.row ?? filled(spec, row)) }, overlay)
    else if (kind === 'update' && (found || outcome?.row)) show(outcome?.row ? { ...outcome.row } : { ...found, ...row }, overlay)
  }
  return { rows: limit === undefined ? rows : rows.slice(0, limit), made }
}
