import { restErrors } from '../rest-errors.js'

const unreadable = (reason: string, rest: string) =>
  restErrors.body(`parse error (${reason}) at ${rest.length > 100 ? `${rest.slice(0, 100)} (truncated)` : JSON.stringify(rest)}`)

const fieldEnd = /[,\r\n"]/g

/** Fields of one line each, quoted or not. Empty lines are left out. */
const recordsOf = (text: string): readonly (readonly string[])[] => {
  const records: string[][] = []
  let record: string[] = []
  const close = (): void => {
    if (record.length > 1 || record[0] !== '') records.push(record)
    record = []
  }
  let at = 0
  while (at < text.length) {
    const from = at
    if (text[at] === '"') {
      const value = quotedField(text, at)
      record.push(value.text)
      at = value.end
    } else {
      fieldEnd.lastIndex = at
      at = fieldEnd.exec(text)?.index ?? text.length
      record.push(text.slice(from, at))
    }
    const next = text[at]
    if (next === ',') {
      at += 1
      // A comma at the very end has an empty field behind it.
      if (at === text.length) record.push('')
    } else if (next === '\r' || next === '\n') {
      at += next === '\r' && text[at + 1] === '\n' ? 2 : 1
      close()
    } else if (next !== undefined) throw unreadable('endOfInput', text.slice(at))
  }
  if (record.length > 0) close()
  return records
}

const quotedField = (text: string, start: number): { readonly text: string; readonly end: number } => {
  let value = ''
  let from = start + 1
  for (;;) {
    const quote = text.indexOf('"', from)
    if (quote < 0) throw unreadable('not enough input', '')
    value += text.slice(from, quote)
    if (text[quote + 1] !== '"') return { text: value, end: quote + 1 }
    value += '"'
    from = quote + 2
  }
}

/** Rows as JSON: texts, and null where it says NULL. */
export const csvToJson = (csv: string): { readonly text: string; readonly rows: number; readonly keys: readonly string[] } => {
  const [header, ...records] = recordsOf(csv)
  if (!header) throw unreadable('not enough input', '')
  const names = header.map((name) => JSON.stringify(name))
  const rows = records.map((record) => {
    if (record.length !== header.length) throw restErrors.body('All lines must have same number of fields')
    const members = record.map((value, index) => `${names[index]}:${value === 'NULL' ? 'null' : JSON.stringify(value)}`)
    return `{${members.join(',')}}`
  })
  return { text: `[${rows.join(',')}]`, rows: rows.length, keys: [...new Set(header)] }
}
