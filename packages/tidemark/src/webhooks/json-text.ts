import { isAscii } from 'node:buffer'

/** JSON of strangers, as text: what it holds is found without changing a digit of it. */

const quote = 0x22
const backslash = 0x5c
const openBracket = 0x5b
const openBrace = 0x7b
const closeBracket = 0x5d
const closeBrace = 0x7d
const minus = 0x2d

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39
/** Digits, and what else a number is written with. */
const isOfNumber = (code: number): boolean =>
  isDigit(code) || code === 0x2e || code === 0x65 || code === 0x45 || code === 0x2b || code === minus

/** A double holds every whole number of fewer digits. */
const exactDigits = 15
/** A number with a larger exponent would take kilobytes to write out, for the few bytes it was sent in. */
const largestExponent = 308

export interface JsonScan {
  /** How deep lists and objects stand in one another. */
  readonly depth: number
  /** Where numbers stand that a double may not hold: pairs of start and end. */
  readonly long: readonly number[]
  /** A number is out of the range of a double. */
  readonly outOfRange: boolean
  /** Escapes that may stand for what Postgres cannot hold: NUL, and halves of a pair of surrogates. */
  readonly escapes: boolean
}

const exponentOf = (number: string): number => Math.abs(Number(/[eE](.+)$/.exec(number)?.[1] ?? 0))

const isOutOfRange = (number: string): boolean => !Number.isFinite(Number(number)) || exponentOf(number) > largestExponent

/** Where the string ends that begins at `at`; past its closing quote. */
const endOfString = (text: string, at: number): number => {
  let end = text.indexOf('"', at + 1)
  while (end > 0) {
    let before = end - 1
    while (text.charCodeAt(before) === backslash) before -= 1
    if ((end - before) % 2 === 1) return end + 1
    end = text.indexOf('"', end + 1)
  }
  return text.length
}

const endOfNumber = (text: string, at: number): number => {
  let end = at + 1
  while (isOfNumber(text.charCodeAt(end))) end += 1
  return end
}

const hazardousEscape = /\\u(?:0000|[dD][89a-fA-F])/

/** Looks through text that may or may not be JSON, once and without recursion. */
export const scanJson = (text: string): JsonScan => {
  let depth = 0
  let open = 0
  let outOfRange = false
  const long: number[] = []
  for (let at = 0; at < text.length; ) {
    const code = text.charCodeAt(at)
    if (code === quote) {
      at = endOfString(text, at)
      continue
    }
    if (code === openBrace || code === openBracket) {
      open += 1
      if (open > depth) depth = open
    } else if (code === closeBrace || code === closeBracket) open -= 1
    else if (isDigit(code) || code === minus) {
      const end = endOfNumber(text, at)
      if (end - at > exactDigits) long.push(at, end)
      // Few digits may stand for many.
      if (end - at > 3 && isOutOfRange(text.slice(at, end))) outOfRange = true
      at = end
      continue
    }
    at += 1
  }
  return { depth, long, outOfRange, escapes: text.includes('\\u') && hazardousEscape.test(text) }
}

const isWhole = (number: string): boolean => /^-?\d+$/.test(number)

/** The text with whole numbers beyond 2^53 as strings. */
const withQuotedIntegers = (text: string, long: readonly number[]): string => {
  let quoted = ''
  let from = 0
  for (let pair = 0; pair < long.length; pair += 2) {
    const [start, end] = [long[pair]!, long[pair + 1]!]
    const number = text.slice(start, end)
    if (!isWhole(number) || Number.isSafeInteger(Number(number))) continue
    quoted += `${text.slice(from, start)}"${number}"`
    from = end
  }
  return from === 0 ? text : quoted + text.slice(from)
}

const valuesOf = (text: string, long: readonly number[]): unknown => {
  const values: unknown = JSON.parse(text)
  return long.length === 0 ? values : JSON.parse(withQuotedIntegers(text, long))
}

/** The values of JSON text. A whole number beyond 2^53 comes as text, digit for digit. Raises SyntaxError. */
export const parseJson = (text: string): unknown => valuesOf(text, scanJson(text).long)

export interface JsonLimits {
  readonly maxDepth: number
}

export type ReadJson =
  | {
      readonly ok: true
      readonly value: unknown
      /** As it came, but for what Postgres cannot hold. */
      readonly text: string
      /** The text is what the bytes of the body say, without a change. */
      readonly verbatim: boolean
    }
  | { readonly ok: false; readonly reason: string }

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Most bodies are nothing but ASCII, which needs no decoding. */
const decode = (raw: Buffer): string | undefined => {
  if (isAscii(raw)) return raw.toString('latin1')
  try {
    return decoder.decode(raw)
  } catch {
    return undefined
  }
}

const byteOrderMark = '\ufeff'

const replacement = '\\ufffd'
const escapes =
  /\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})|u[0-9a-fA-F]{4}|[^u])/g

/** NUL and lonely surrogates as U+FFFD, which is what a decoder makes of them. */
const storable = (text: string): string =>
  text.replace(escapes, (whole, _high: string | undefined, _low: string | undefined, alone: string | undefined) =>
    alone === undefined ? whole : replacement,
  )

const refused = (reason: string): ReadJson => ({ ok: false, reason })

/** Reads a body. What is no UTF-8, begins with a byte order mark, is too deep or is no JSON gives the reason. */
export const readJson = (raw: Buffer, { maxDepth }: JsonLimits): ReadJson => {
  const text = decode(raw)
  if (text === undefined) return refused('it is not UTF-8')
  const json = text.startsWith(byteOrderMark) ? text.slice(1) : text
  const { depth, long, outOfRange, escapes } = scanJson(json)
  if (depth > maxDepth) return refused(`it is nested deeper than ${maxDepth}`)
  if (outOfRange) return refused('a number in it is out of range')
  try {
    const value = valuesOf(json, long)
    return { ok: true, value, text: escapes ? storable(json) : json, verbatim: !escapes && json === text }
  } catch {
    // The parser's own words quote the body.
    return refused('it is not JSON')
  }
}

const endOfValue = (text: string, at: number): number => {
  const first = text.charCodeAt(at)
  if (first === quote) return endOfString(text, at)
  if (first !== openBrace && first !== openBracket) {
    const rest = /[,\]}\s]/g
    rest.lastIndex = at
    return rest.exec(text)?.index ?? text.length
  }
  let open = 0
  for (let here = at; here < text.length; ) {
    const code = text.charCodeAt(here)
    if (code === quote) {
      here = endOfString(text, here)
      continue
    }
    if (code === openBrace || code === openBracket) open += 1
    else if (code === closeBrace || code === closeBracket) open -= 1
    here += 1
    if (open === 0) return here
  }
  return text.length
}

/** The texts of the elements of a list, which is known to be JSON. */
export const elementTexts = (list: string): readonly string[] => {
  const elements: string[] = []
  let at = list.indexOf('[') + 1
  for (;;) {
    while (/[\s,]/.test(list[at] ?? '')) at += 1
    if (at >= list.length || list[at] === ']') return elements
    const end = endOfValue(list, at)
    elements.push(list.slice(at, end))
    at = end
  }
}
