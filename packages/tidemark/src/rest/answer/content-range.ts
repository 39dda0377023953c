/** The header Content-Range: `0-9/100`, `*` for no rows and for an unknown total. `to` is included. */
export const contentRange = (from: number, to: number, total: number | undefined): string =>
  `${total !== 0 && from <= to ? `${from}-${to}` : '*'}/${total ?? '*'}`

/** The status of rows that were read: all there are, a part of them, or none because they start behind the last. */
export const rangeStatus = (from: number, rows: number, total: number | undefined): 200 | 206 | 416 => {
  if (total === undefined) return 200
  if (from > total) return 416
  return rows < total ? 206 : 200
}
