import type { Statement } from './schema.js'

const blank = /\s/
const wordStart = /[A-Za-z_\u0080-\uffff]/
const wordPart = /[\w$\u0080-\uffff]/
const dollarTag = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y

/** What the scanner steps over in one go. */
interface Token {
  readonly kind: 'blank' | 'comment' | 'quoted' | 'word' | 'other'
  readonly start: number
  readonly end: number
}

const endOfQuoted = (sql: string, open: number, quote: string, backslashes: boolean): number => {
  for (let at = open + 1; at < sql.length; at += 1) {
    const character = sql[at]
    if (backslashes && character === '\\') at += 1
    else if (character === quote && sql[at + 1] === quote) at += 1
    else if (character === quote) return at + 1
  }
  return sql.length
}

const endOfBlockComment = (sql: string, open: number): number => {
  let depth = 0
  for (let at = open; at < sql.length; at += 1) {
    const pair = sql.slice(at, at + 2)
    if (pair === '/*') {
      depth += 1
      at += 1
    } else if (pair === '*/') {
      depth -= 1
      at += 1
      if (depth === 0) return at + 1
    }
  }
  return sql.length
}

const endOfDollarQuoted = (sql: string, open: number): number | undefined => {
  dollarTag.lastIndex = open
  const tag = dollarTag.exec(sql)?.[0]
  if (tag === undefined) return undefined
  const close = sql.indexOf(tag, open + tag.length)
  return close < 0 ? sql.length : close + tag.length
}

const endOfRun = (sql: string, start: number, part: RegExp): number => {
  let at = start + 1
  while (at < sql.length && part.test(sql[at] as string)) at += 1
  return at
}

const tokenAt = (sql: string, start: number): Token => {
  const character = sql[start] as string
  const token = (kind: Token['kind'], end: number): Token => ({ kind, start, end })
  if (blank.test(character)) return token('blank', endOfRun(sql, start, blank))
  if (sql.startsWith('--', start)) {
    const newline = sql.indexOf('\n', start)
    return token('comment', newline < 0 ? sql.length : newline + 1)
  }
  if (sql.startsWith('/*', start)) return token('comment', endOfBlockComment(sql, start))
  if (character === "'" || character === '"') return token('quoted', endOfQuoted(sql, start, character, false))
  // Only E'…' has backslash escapes: standard_conforming_strings has been on by default since 9.1.
  if ((character === 'e' || character === 'E') && sql[start + 1] === "'") {
    return token('quoted', endOfQuoted(sql, start + 1, "'", true))
  }
  if (character === '$') {
    const end = endOfDollarQuoted(sql, start)
    if (end !== undefined) return token('quoted', end)
  }
  if (wordStart.test(character)) return token('word', endOfRun(sql, start, wordPart))
  return token('other', start + 1)
}

/** Every token of the text, in order and without gaps. */
function* tokens(sql: string): Generator<Token> {
  for (let at = 0; at < sql.length; ) {
    const token = tokenAt(sql, at)
    yield token
    at = token.end
  }
}

const routine = /^create (or replace )?(function|procedure)$/

/** Knows whether a semicolon ends the statement: not inside parentheses (rules), nor inside a BEGIN ATOMIC … END body. */
class Nesting {
  #parentheses = 0
  #bodies = 0
  #head = ''
  #previous = ''

  word(text: string): void {
    const word = text.toLowerCase()
    if (this.#head.split(' ').length < 4) this.#head = `${this.#head} ${word}`.trim()
    if (this.#bodies > 0) {
      if (word === 'case' || word === 'begin') this.#bodies += 1
      else if (word === 'end') this.#bodies -= 1
    } else if (word === 'atomic' && this.#previous === 'begin' && this.#inRoutine()) this.#bodies = 1
    this.#previous = word
  }

  other(character: string): void {
    if (character === '(') this.#parentheses += 1
    else if (character === ')') this.#parentheses = Math.max(0, this.#parentheses - 1)
  }

  get outside(): boolean {
    return this.#parentheses === 0 && this.#bodies === 0
  }

  #inRoutine(): boolean {
    const words = this.#head.split(' ')
    return routine.test(words.slice(0, 2).join(' ')) || routine.test(words.slice(0, 4).join(' '))
  }
}

const lineStarts = (text: string): ((offset: number) => number) => {
  let line = 1
  let seen = 0
  return (offset) => {
    for (; seen < offset; seen += 1) if (text[seen] === '\n') line += 1
    return line
  }
}

/**
 * The statements of a file, as psql would take them apart: quotes, dollar quotes, nested comments, rules in parentheses and
 * BEGIN ATOMIC bodies are known. Comments before a statement stay with it; what holds only comments is left out.
 */
export const splitStatements = (sql: string): readonly Statement[] => {
  const statements: Statement[] = []
  const lineAt = lineStarts(sql)
  let nesting = new Nesting()
  let start = 0
  let first: number | undefined
  const finish = (end: number) => {
    if (first !== undefined) {
      const text = sql.slice(start, end)
      const textLine = lineAt(start + text.length - text.trimStart().length)
      statements.push({ text: text.trim(), textLine, line: lineAt(first) })
    }
    start = end + 1
    first = undefined
    nesting = new Nesting()
  }
  for (const token of tokens(sql)) {
    if (token.kind === 'blank' || token.kind === 'comment') continue
    const text = sql.slice(token.start, token.end)
    if (text === ';' && nesting.outside) {
      finish(token.start)
      continue
    }
    first ??= token.start
    if (token.kind === 'word') nesting.word(text)
    else if (token.kind === 'other') nesting.other(text)
  }
  finish(sql.length)
  return statements
}

/** The statement without comments and with every run of blanks as one: equal for two texts that say the same. */
export const canonicalStatement = (sql: string): string => {
  let canonical = ''
  let gap = false
  for (const token of tokens(sql)) {
    if (token.kind === 'blank' || token.kind === 'comment') {
      gap = true
      continue
    }
    canonical += `${gap && canonical !== '' ? ' ' : ''}${sql.slice(token.start, token.end)}`
    gap = false
  }
  return canonical
}

/** What stands above the first statement: blanks and comments. */
export const headOf = (sql: string): string => {
  for (const token of tokens(sql)) {
    if (token.kind !== 'blank' && token.kind !== 'comment') return sql.slice(0, token.start)
  }
  return sql
}

/** The first words of a statement in lower case, for telling what it is. */
export const leadingWords = (sql: string, count: number): readonly string[] => {
  const words: string[] = []
  for (const token of tokens(sql)) {
    if (words.length === count) break
    if (token.kind === 'word') words.push(sql.slice(token.start, token.end).toLowerCase())
    else if (token.kind === 'quoted' || token.kind === 'other') break
  }
  return words
}
