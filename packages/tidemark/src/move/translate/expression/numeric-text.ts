/**
 * The number that SQLite's numeric affinity makes of text: the whole text, blanks at its ends aside, has to be a number. A real that is a whole
 * number becomes an integer. Null where the text stays text.
 */
export const parseNumericText = (text: string): bigint | number | null => {
  const trimmed = text.replace(/^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g, '')
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(trimmed)) return null
  if (/^[+-]?\d+$/.test(trimmed)) {
    const integer = BigInt(trimmed.replace(/^\+/, ''))
    if (integer >= -(2n ** 63n) && integer < 2n ** 63n) return integer
  }
  const real = Number(trimmed)
  return Number.isInteger(real) && Math.abs(real) < 2 ** 51 ? BigInt(real) : real
}
