/**
 * Takes apart what Postgres writes for a row, `(1,"a ""b""",,"")`: each value in its own text form. Nothing at all is NULL, `""` the empty
 * text. Within quotes, quotes and backslashes stand twice.
 */
export const parseRecordText = (text: string): (string | null)[] => {
  const values: (string | null)[] = []
  const end = text.length - 1
  for (let at = 1; at <= end; at += 1) {
    if (text[at] !== '"') {
      let comma = text.indexOf(',', at)
      if (comma < 0) comma = end
      values.push(comma === at ? null : text.slice(at, comma))
      at = comma
      continue
    }
    let value = ''
    let from = at + 1
    for (at = from; ; at += 1) {
      const character = text[at]
      if (character === undefined) break
      if (character !== '"' && character !== '\\') continue
      value += text.slice(from, at)
      from = at + 1
      if (text[from] !== character) break
      // The second of the two stays, as the first of what follows.
      at = from
    }
    values.push(value)
    at += 1
  }
  return values
}
