/** A column of a view that shows a column of another relation as it is. */
export interface ViewColumn {
  readonly column: number
  readonly table: number
  readonly tableColumn: number
}

const backslash = 92
const isBlank = (code: number): boolean => code === 32 || (code >= 9 && code <= 13)
const isOpening = (code: number): boolean => code === 123 || code === 40
const isClosing = (code: number): boolean => code === 125 || code === 41

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

  /** Goes to the next letter that is no blank, and gives its code; NaN at the end. */
  #next(): number {
    let code = this.#text.charCodeAt(this.#at)
    while (isBlank(code)) {
      this.#at += 1
      code = this.#text.charCodeAt(this.#at)
    }
    return code
  }

  /** Passes over that bracket, if it comes next. */
  bracket(bracket: '{' | '(' | '}' | ')'): boolean {
    if (this.#next() !== bracket.charCodeAt(0)) return false
    this.#at += 1
    return true
  }

  /** A bare word, empty where a bracket or the end comes next. */
  word(): string {
    let code = this.#next()
    const from = this.#at
    while (this.#at < this.#text.length && !isBlank(code) && !isOpening(code) && !isClosing(code)) {
      this.#at += code === backslash ? 2 : 1
      code = this.#text.charCodeAt(this.#at)
    }
    return this.#text.slice(from, this.#at)
  }

  /** Passes over a word or a whole group. Most of a query is passed over here. */
  skipValue(): void {
    if (!isOpening(this.#next())) {
      this.word()
      return
    }
    const text = this.#text
    let at = this.#at
    let depth = 0
    do {
      const code = text.charCodeAt(at)
      if (code === backslash) at += 1
      else if (isOpening(code)) depth += 1
      else if (isClosing(code)) depth -= 1
      at += 1
    } while (depth > 0 && at < text.length)
    this.#at = at
  }
}

/** One column of the result, whose `{` was just read. */
const readTarget = (reader: NodeReader): ViewColumn => {
  let [column, table, tableColumn] = [0, 0, 0]
  reader.word()
  for (let field = reader.word(); field !== ''; field = reader.word()) {
    if (field === ':resno') column = Number(reader.word())
    else if (field === ':resorigtbl') table = Number(reader.word())
    else if (field === ':resorigcol') tableColumn = Number(reader.word())
    // The expression, or the name, which may look like anything.
    else reader.skipValue()
  }
  reader.bracket('}')
  return { column, table, tableColumn }
}

const readTargets = (reader: NodeReader): readonly ViewColumn[] => {
  const columns: ViewColumn[] = []
  if (!reader.bracket('(')) return columns
  while (reader.bracket('{')) columns.push(readTarget(reader))
  return columns.filter(({ table, tableColumn }) => table > 0 && tableColumn > 0)
}

/** What a view's rewrite rule tells of the origin of its columns. Subqueries, expressions and CTEs inside do not count as columns of it. */
export const viewColumns = (rule: string): readonly ViewColumn[] => {
  const reader = new NodeReader(rule)
  if (!reader.bracket('(') || !reader.bracket('{')) return []
  reader.word()
  for (let field = reader.word(); field !== ''; field = reader.word()) {
    if (field === ':targetList') return readTargets(reader)
    reader.skipValue()
  }
  return []
}
