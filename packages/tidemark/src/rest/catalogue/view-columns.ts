/** A column of a view that shows a column of another relation as it is. */
export interface ViewColumn {
  readonly column: number
  readonly table: number
  readonly tableColumn: number
}

/**
 * Reads Postgres' own notation of a parsed query: `{NODE :field value …}`, lists in parentheses, and a backslash before
 * each blank or bracket that belongs to a name.
 */
class NodeReader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  #skipBlanks(): void {
    while (/\s/.test(this.#text[this.#at] ?? '')) this.#at += 1
  }

  /** The next bracket, if it is that one. */
  open(bracket: '{' | '(' | '}' | ')'): boolean {
    this.#skipBlanks()
    if (this.#text[this.#at] !== bracket) return false
    this.#at += 1
    return true
  }

  /** A bare word, empty where a bracket or the end comes next. */
  word(): string {
    this.#skipBlanks()
    const from = this.#at
    for (; this.#at < this.#text.length; this.#at += 1) {
      const letter = this.#text[this.#at]!
      if (letter === '\\') this.#at += 1
      else if (/[\s(){}]/.test(letter)) break
    }
    return this.#text.slice(from, this.#at)
  }

  /** Passes over a word or a whole group. Most of a query is passed over here. */
  skipValue(): void {
    this.#skipBlanks()
    if (!/[({]/.test(this.#text[this.#at] ?? '')) {
      this.word()
      return
    }
    let depth = 0
    do {
      const code = this.#text.charCodeAt(this.#at)
      if (code === 92) this.#at += 1
      else if (code === 123 || code === 40) depth += 1
      else if (code === 125 || code === 41) depth -= 1
      this.#at += 1
    } while (depth > 0 && this.#at < this.#text.length)
  }
}

/** The numbers among the fields of a node whose `{` was just read, up to its end. */
const readNumbers = (reader: NodeReader): ReadonlyMap<string, number> => {
  const numbers = new Map<string, number>()
  reader.word()
  for (let field = reader.word(); field !== ''; field = reader.word()) {
    // The expression, and the name, which may look like anything.
    if (field === ':resno' || field === ':resorigtbl' || field === ':resorigcol') numbers.set(field, Number(reader.word()))
    else reader.skipValue()
  }
  reader.open('}')
  return numbers
}

const readTargets = (reader: NodeReader): readonly ViewColumn[] => {
  const columns: ViewColumn[] = []
  if (!reader.open('(')) return columns
  while (reader.open('{')) {
    const numbers = readNumbers(reader)
    const [column = 0, table = 0, tableColumn = 0] = [':resno', ':resorigtbl', ':resorigcol'].map((field) => numbers.get(field))
    if (table > 0 && tableColumn > 0) columns.push({ column, table, tableColumn })
  }
  return columns
}

/** What a view's rewrite rule tells of the origin of its columns. Subqueries, expressions and CTEs inside do not count as columns of it. */
export const viewColumns = (rule: string): readonly ViewColumn[] => {
  const reader = new NodeReader(rule)
  if (!reader.open('(') || !reader.open('{')) return []
  reader.word()
  for (let field = reader.word(); field !== ''; field = reader.word()) {
    if (field === ':targetList') return readTargets(reader)
    reader.skipValue()
  }
  return []
}
