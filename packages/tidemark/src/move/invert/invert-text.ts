import { numberAsText } from '../copy/encode-number.js'
import { baseTypeOf } from '../copy/encoders.js'
import type { ColumnPlan, Conversion } from '../move.js'
import { asNumber, type FileColumn, staysText } from './file-affinity.js'
import type { LegacyIds } from './invert.js'
import type { Invert } from './invert-number.js'

/** Lets a column that makes numbers of texts have its way only where nothing is lost by it. */
export const guardText =
  (invert: Invert, { affinity }: FileColumn): Invert =>
  (text, tell) => {
    const value = invert(text, tell)
    if (typeof value === 'string' && !staysText(value, affinity))
      tell(`the file's column makes the number ${numberAsText(asNumber(value, affinity))} of the text ${JSON.stringify(value)}`)
    return value
  }

/** Postgres pads `character(n)` with blanks when it writes, and forgets those that were there. */
export const invertText = ({ targetType }: ColumnPlan): Invert =>
  baseTypeOf(targetType) === 'character' ? (text) => text.replace(/ +$/, '') : (text) => text

/** A text that may have been a number: what the column makes of it where that prints the same, else a blob with its bytes, which stays. */
export const invertAnyText =
  ({ affinity }: FileColumn): Invert =>
  (text) => {
    if (staysText(text, affinity)) return text
    const number = asNumber(text, affinity)
    return numberAsText(number) === text ? number : Buffer.from(text)
  }

const readBytes = (text: string): Buffer => {
  if (!/^\\x(?:[0-9a-f]{2})*$/.test(text)) throw new TypeError('they are no bytes in hex')
  return Buffer.from(text.slice(2), 'hex')
}

export const invertBytes: Invert = (text) => readBytes(text)

/** Bytes that may have been text or a number, where the file's column says that they were. */
export const invertAnyBytes = (file: FileColumn): Invert => {
  const anyText = invertAnyText(file)
  return (text, tell) => {
    const bytes = readBytes(text)
    if (file.affinity === 'BLOB') return bytes
    const decoded = bytes.toString()
    return bytes.includes(0) || !Buffer.from(decoded).equals(bytes) ? bytes : anyText(decoded, tell)
  }
}

/** JSON scalars are numbers in a column that makes numbers of texts, and were when they came. */
export const invertJson =
  ({ affinity }: FileColumn): Invert =>
  (text, tell) => {
    if (staysText(text, affinity)) return text
    const number = asNumber(text, affinity)
    if (numberAsText(number) !== text) tell(`the file's column makes ${numberAsText(number)} of ${text}`)
    return number
  }

export const invertBoolean = ({ truthy, falsy }: Extract<Conversion, { kind: 'boolean' }>, { affinity }: FileColumn): Invert => {
  const formOf = (forms: readonly string[]) => {
    const form = forms[0]
    return form !== undefined && affinity !== 'TEXT' && /^-?\d{1,18}$/.test(form) ? BigInt(form) : form
  }
  const [yes, no] = [formOf(truthy), formOf(falsy)]
  return (text) => {
    if (!/^(?:t|f|true|false)$/.test(text)) throw new TypeError('it is neither true nor false')
    const form = text.startsWith('t') ? yes : no
    if (form === undefined) throw new TypeError('the column has no form for it')
    return form
  }
}

/** Undashed, dashed, or the identifier that the file had before the copy gave it a uuid. */
export const invertUuid = (
  { form, namespace }: Extract<Conversion, { kind: 'uuid' }>,
  { affinity }: FileColumn,
  ids: LegacyIds,
): Invert => {
  if (form === 'dashless') return (text) => text.replaceAll('-', '')
  if (form === 'dashed') return (text) => text
  return (text) => {
    const legacy = ids.find(namespace, text)
    // The map keeps identifiers as texts; a column of a numeric affinity makes a number of it again.
    if (legacy !== undefined && !staysText(legacy, affinity)) return asNumber(legacy, affinity)
    return legacy ?? text
  }
}
