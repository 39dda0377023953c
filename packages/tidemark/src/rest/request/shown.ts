const controls = [
  ...['NUL', 'SOH', 'STX', 'ETX', 'EOT', 'ENQ', 'ACK', 'a', 'b', 't', 'n', 'v', 'f', 'r', 'SO', 'SI', 'DLE', 'DC1', 'DC2'],
  ...['DC3', 'DC4', 'NAK', 'SYN', 'ETB', 'CAN', 'EM', 'SUB', 'ESC', 'FS', 'GS', 'RS', 'US'],
]

const escaped = (char: string, quote: string): string => {
  const code = char.codePointAt(0) ?? 0
  if (char === '\\' || char === quote) return `\\${char}`
  if (code < 32) return `\\${controls[code]}`
  if (code === 127) return '\\DEL'
  return code > 127 ? `\\${code}` : char
}

/** A text of one character as PostgREST's messages write it: `"("`, `"\1084"`. */
export const shownText = (char: string): string => `"${escaped(char, '"')}"`

/** A character likewise: `'('`. */
export const shownCharacter = (char: string): string => `'${escaped(char, "'")}'`

/** Line and column of a place, counted in characters from 1, with tab stops every eight. */
export const lineAndColumn = (text: string, offset: number): string => {
  let line = 1
  let column = 1
  for (const char of text.slice(0, offset)) {
    if (char === '\n') {
      line += 1
      column = 1
    } else column += char === '\t' ? 8 - ((column - 1) % 8) : 1
  }
  return `(line ${line}, column ${column})`
}
