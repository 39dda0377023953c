import { foldAscii, type Token, tokenize } from './tokenize.js'

/** Raised by the parsers of this folder and caught by their callers: the text is not in the form that was expected. */
export class UnexpectedSql extends Error {}

/** A place in a list of tokens, with the steps every parser here needs. */
export class TokenCursor {
  readonly sql: string
  readonly tokens: readonly Token[]
  position = 0

  constructor(sql: string) {
    this.sql = sql
    this.tokens = tokenize(sql)
  }

  get done(): boolean {
    return this.position >= this.tokens.length
  }

  peek(ahead = 0): Token | undefined {
    return this.tokens[this.position + ahead]
  }

  next(): Token {
    const token = this.tokens[this.position]
    if (!token) throw new UnexpectedSql('the text ends too early')
    if (token.kind === 'illegal') throw new UnexpectedSql(`${JSON.stringify(token.text)} is no SQL`)
    this.position++
    return token
  }

  /** True where the next tokens are these words or operators. Words in quotes are names, never keywords. */
  at(...wanted: readonly string[]): boolean {
    return wanted.every((text, i) => {
      const token = this.peek(i)
      if (!token || (token.kind !== 'word' && token.kind !== 'operator')) return false
      return foldAscii(token.text) === foldAscii(text)
    })
  }

  /** Steps over these words or operators where they come next. */
  take(...wanted: readonly string[]): boolean {
    if (!this.at(...wanted)) return false
    this.position += wanted.length
    return true
  }

  expect(...wanted: readonly string[]): void {
    if (!this.take(...wanted)) {
      const found = this.peek()
      throw new UnexpectedSql(`${wanted.join(' ')} was expected ${found ? `before ${JSON.stringify(found.text)}` : 'at the end'}`)
    }
  }

  /** A name in any of the forms that SQLite takes: bare, "x", [x], `x` or 'x'. */
  name(): string {
    const token = this.next()
    if (token.kind === 'word' || token.kind === 'quoted' || token.kind === 'string') return token.value
    throw new UnexpectedSql(`a name was expected before ${JSON.stringify(token.text)}`)
  }

  /** Steps over `( … )` and gives the text between, without blanks and comments at its ends. */
  parenthesised(): string {
    this.expect('(')
    const from = this.position
    this.skipUntil(')')
    const text = this.textOf(from, this.position)
    this.expect(')')
    return text
  }

  /** Steps on to one of these operators at the depth of the start; stays before it. */
  skipUntil(...ends: readonly string[]): void {
    for (let depth = 0; ; ) {
      const token = this.peek()
      if (!token || (depth === 0 && ends.some((end) => this.at(end)))) return
      if (token.text === '(') depth++
      else if (token.text === ')' && --depth < 0) throw new UnexpectedSql('the parentheses do not match')
      this.next()
    }
  }

  /** The text of the tokens from one index up to another, as written. */
  textOf(from: number, to: number): string {
    const first = this.tokens[from]
    const last = this.tokens[to - 1]
    return first && last && to > from ? this.sql.slice(first.start, last.end) : ''
  }

  /** `( name , name … )` */
  nameList(): string[] {
    this.expect('(')
    const names: string[] = []
    do {
      names.push(this.name())
      this.skipUntil(',', ')')
    } while (this.take(','))
    this.expect(')')
    return names
  }
}

/** The text without the blanks and comments at its ends. */
export const trimSql = (sql: string): string => {
  const { tokens } = new TokenCursor(sql)
  return sql.slice(tokens[0]?.start ?? 0, tokens.at(-1)?.end ?? 0)
}
