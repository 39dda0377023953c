/** SQLite's tokens, as its own tokenizer cuts them. Blanks and comments are left out; offsets point into the text. */

export type TokenKind = 'word' | 'quoted' | 'string' | 'blob' | 'number' | 'operator' | 'parameter' | 'illegal'

export interface Token {
  readonly kind: TokenKind
  /** As written. */
  readonly text: string
  /** The name or string meant: without quotes, doubled quotes halved. For other kinds the text. */
  readonly value: string
  readonly start: number
  readonly end: number
}

const blanks = new Set([' ', '\t', '\n', '\f', '\r', '\ufeff'])
const operators = ['->>', '->', '||', '<<', '>>', '<=', '>=', '<>', '!=', '==', ...'=<>+-*/%&|~,.;()'] as const

const isDigit = (c: string | undefined): boolean => c !== undefined && c >= '0' && c <= '9'
const isHexDigit = (c: string | undefined): boolean => c !== undefined && /^[0-9a-f]$/i.test(c)
const isWordPart = (c: string | undefined): boolean => c !== undefined && (/^[a-z0-9_$]$/i.test(c) || c > '\u007f')
const isWordStart = (c: string | undefined): boolean => isWordPart(c) && !isDigit(c) && c !== '$'

/** Index behind the blanks and comments that begin at `at`. An unfinished comment reaches to the end, as in SQLite. */
const skipBlanks = (sql: string, at: number): number => {
  let i = at
  for (;;) {
    if (blanks.has(sql[i] ?? '')) i++
    else if (sql.startsWith('--', i)) {
      const end = sql.indexOf('\n', i)
      i = end < 0 ? sql.length : end + 1
    } else if (sql.startsWith('/*', i)) {
      const end = sql.indexOf('*/', i + 2)
      i = end < 0 ? sql.length : end + 2
    } else return i
  }
}

/** Index behind a text in quotes that begins at `at`, or -1 where it never ends. Doubled quotes belong to it. */
const quotedEnd = (sql: string, at: number, quote: string): number => {
  for (let i = at + 1; i < sql.length; i++) {
    if (sql[i] !== quote) continue
    if (quote !== ']' && sql[i + 1] === quote) i++
    else return i + 1
  }
  return -1
}

const digitsEnd = (sql: string, at: number, isPart: (c: string | undefined) => boolean): number => {
  let i = at
  while (isPart(sql[i]) || (sql[i] === '_' && isPart(sql[i - 1]) && isPart(sql[i + 1]))) i++
  return i
}

const numberEnd = (sql: string, at: number): number => {
  if (sql[at] === '0' && /^x$/i.test(sql[at + 1] ?? '') && isHexDigit(sql[at + 2])) return digitsEnd(sql, at + 2, isHexDigit)
  let i = digitsEnd(sql, at, isDigit)
  if (sql[i] === '.') i = digitsEnd(sql, i + 1, isDigit)
  const exponent = /^e[+-]?[0-9]/i.exec(sql.slice(i, i + 3))
  if (exponent) i = digitsEnd(sql, i + exponent[0].length, isDigit)
  return i
}

const unquote = (text: string): string => {
  const quote = text.charAt(0)
  const inside = text.slice(1, -1)
  return quote === '[' ? inside : inside.replaceAll(quote + quote, quote)
}

const kindOfQuote: Readonly<Record<string, TokenKind>> = { "'": 'string', '"': 'quoted', '`': 'quoted', '[': 'quoted' }

const tokenAt = (sql: string, start: number): Token => {
  const c = sql.charAt(start)
  const make = (kind: TokenKind, end: number): Token => {
    const text = sql.slice(start, end)
    return { kind, text, value: kind === 'string' || kind === 'quoted' ? unquote(text) : text, start, end }
  }
  const quoteKind = kindOfQuote[c]
  if (quoteKind) {
    const end = quotedEnd(sql, start, c === '[' ? ']' : c)
    return end < 0 ? make('illegal', sql.length) : make(quoteKind, end)
  }
  if (/^x$/i.test(c) && sql[start + 1] === "'") {
    const end = quotedEnd(sql, start + 1, "'")
    const whole = end > 0 && /^x'(?:[0-9a-f]{2})*'$/i.test(sql.slice(start, end))
    return whole ? make('blob', end) : make('illegal', end < 0 ? sql.length : end)
  }
  if (isDigit(c) || (c === '.' && isDigit(sql[start + 1]))) {
    const end = numberEnd(sql, start)
    return isWordPart(sql[end]) ? make('illegal', digitsEnd(sql, end, isWordPart)) : make('number', end)
  }
  if (isWordStart(c)) return make('word', digitsEnd(sql, start, isWordPart))
  if ('?:@$#'.includes(c)) return make('parameter', digitsEnd(sql, start + 1, isWordPart))
  const operator = operators.find((o) => sql.startsWith(o, start))
  return operator ? make('operator', start + operator.length) : make('illegal', start + 1)
}

/** Cuts SQL text into tokens. Never throws: what SQLite would refuse comes as `illegal`. */
export const tokenize = (sql: string): Token[] => {
  const tokens: Token[] = []
  for (let i = skipBlanks(sql, 0); i < sql.length && sql[i] !== '\0'; ) {
    const token = tokenAt(sql, i)
    tokens.push(token)
    i = skipBlanks(sql, token.end)
  }
  return tokens
}

/** A name in double quotes, for SQLite. */
export const quoteSqliteName = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** Lower-cases A to Z only, as SQLite compares names. */
export const foldAscii = (text: string): string => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
