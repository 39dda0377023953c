/** Values as Postgres orders them, as far as they come as JSON: numbers, text by code points (`C`, `C.UTF-8`), moments, booleans, uuids. */

const moment = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d:\d\d)$/

/** Microseconds since 1970; undefined for what names no moment. */
const microsOf = (text: string): number | undefined => {
  const [, seconds, fraction = '', zone] = moment.exec(text) ?? []
  return seconds === undefined ? undefined : Date.parse(seconds + zone) * 1000 + Number(fraction.padEnd(6, '0'))
}

/** Written alike, they are in the order of their text, as almost all are. */
const areMoments = (a: string, b: string): boolean =>
  a.charCodeAt(10) === 84 && b.charCodeAt(10) === 84 && !(a.length === b.length && a.endsWith(b.slice(-6)))

const isSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdfff

/** By code points, not by the units of UTF-16: those put what lies beyond U+FFFF in front of U+E000. */
const compareText = (a: string, b: string): number => {
  if (areMoments(a, b)) {
    const [first, second] = [microsOf(a), microsOf(b)]
    if (first !== undefined && second !== undefined) return first - second
  }
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index += 1) {
    const [left, right] = [a.charCodeAt(index), b.charCodeAt(index)]
    if (left === right) continue
    return isSurrogate(left) === isSurrogate(right) ? left - right : isSurrogate(left) ? 1 : -1
  }
  return a.length - b.length
}

/** Below zero where `a` comes first. Neither is null. */
export const compareValues = (a: unknown, b: unknown): number => {
  if (a === b) return 0
  if (typeof a === 'number' && typeof b === 'number') return a - b
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b)
  return compareText(typeof a === 'string' ? a : JSON.stringify(a), typeof b === 'string' ? b : JSON.stringify(b))
}
