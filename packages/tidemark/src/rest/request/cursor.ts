import type { RestError } from '../rest-error.js'
import { restErrors } from '../rest-errors.js'
import { limits } from './limits.js'
import { lineAndColumn, shownCharacter, shownText } from './shown.js'

/** Something that did not fit, in a chain with what else did not fit at the same place. Made often: a class of one shape. */
class Miss {
  readonly at: number
  /** Where the character stands that was not wanted; -1 where `shown` says it. The end of the text is one, too. */
  readonly unexpected: number
  readonly shown: string | undefined
  /** What would have fitted. */
  readonly labels: readonly string[]
  readonly earlier: Miss | undefined

  constructor(at: number, unexpected: number, shown: string | undefined, labels: readonly string[], earlier: Miss | undefined) {
    this.at = at
    this.unexpected = unexpected
    this.shown = shown
    this.labels = labels
    this.earlier = earlier
  }
}

const holds = (chain: Miss | undefined, one: Miss): boolean => {
  for (let link = chain; link; link = link.earlier) if (link === one) return true
  return false
}

/** The chain of both; of two places, the further one counts alone. */
const joined = (first: Miss | undefined, second: Miss | undefined): Miss | undefined => {
  if (!first || !second) return second ?? first
  if (first.at !== second.at) return first.at > second.at ? first : second
  if (holds(second, first)) return second
  return new Miss(second.at, second.unexpected, second.shown, second.labels, joined(first, second.earlier))
}

const inOrder = (miss: Miss | undefined): readonly Miss[] => {
  const chain: Miss[] = []
  for (let one = miss; one; one = one.earlier) chain.push(one)
  return chain.reverse()
}

const listed = (words: readonly string[]): string => {
  const unique = [...new Set(words)]
  const last = unique.pop() ?? ''
  return unique.length === 0 ? last : `${unique.join(', ')} or ${last}`
}

const endLabels = ['end of input']
const wordLabels = new Map<string, readonly string[]>()
const labelsOf = (word: string): readonly string[] => {
  const known = wordLabels.get(word)
  if (known) return known
  const labels = [`"${word.replace(/[\\"]/g, '\\$&')}"`]
  wordLabels.set(word, labels)
  return labels
}

/**
 * A place in a text that is being read, and the memory of what would have fitted at the furthest place reached, so that a refusal
 * says what PostgREST says. Its rules: what was tried without success at one place adds up; reading on forgets it; a reader that
 * gives up after it has read something fails for good, unless {@link back} undoes it.
 */
export class Cursor {
  at = 0
  miss: Miss | undefined
  readonly text: string
  readonly #subject: string
  #depth = 0

  /** `subject` is what a refusal calls the text: `failed to parse filter (…)`. */
  constructor(text: string, subject: string) {
    this.text = text
    this.#subject = subject
  }

  /** Notes what would have fitted here. */
  expected(labels: readonly string[], unexpected = this.at): void {
    this.#add(this.at, unexpected, undefined, labels)
  }

  /** Notes that the character before `at` is one too many. */
  unwanted(at: number): void {
    const shown = shownCharacter(this.text[at - 1] ?? '')
    this.#add(at, -1, shown, [])
  }

  #add(at: number, unexpected: number, shown: string | undefined, labels: readonly string[]): void {
    const known = this.miss
    if (known !== undefined && known.at > at) return
    this.miss = new Miss(at, unexpected, shown, labels, known !== undefined && known.at === at ? known : undefined)
  }

  /** Reads up to `at`. */
  moveTo(at: number): void {
    this.at = at
    this.miss = undefined
  }

  /** Reads one character (of one UTF-16 unit), if it is here. */
  take(char: string): boolean {
    if (this.text[this.at] !== char) {
      this.expected(labelsOf(char))
      return false
    }
    this.moveTo(this.at + 1)
    return true
  }

  /** Reads a word. Where only its beginning is here, that has been read all the same. */
  word(word: string): boolean {
    const { at, text } = this
    if (text.startsWith(word, at)) {
      this.moveTo(at + word.length)
      return true
    }
    let same = 0
    while (text[at + same] === word[same]) same += 1
    if (same > 0) this.miss = undefined
    this.expected(labelsOf(word), at + same)
    this.at = at + same
    return false
  }

  spaces(): void {
    let end = this.at
    while (this.text[end] === ' ' || this.text[end] === '\t') end += 1
    if (end > this.at) this.moveTo(end)
  }

  /** Forgets that something was read since `at`, where `before` was the {@link miss}; what did not fit is remembered. */
  back(at: number, before: Miss | undefined): void {
    this.at = at
    this.miss = joined(before, this.miss)
  }

  /** What did not fit since `before` gets one name for all of it. */
  relabel(labels: readonly string[], before: Miss | undefined): void {
    const chain = inOrder(this.miss)
    const [first] = chain
    if (!first) {
      this.miss = before
      return
    }
    const unexpected = chain.find((one) => one.unexpected >= 0)?.unexpected ?? -1
    const shown = chain.find((one) => one.shown !== undefined)?.shown
    this.miss = joined(before, new Miss(first.at, unexpected, shown, labels, undefined))
  }

  /** Notes that the text should have ended here; true where it does. */
  ends(): boolean {
    if (this.at >= this.text.length) return true
    const char = String.fromCodePoint(this.text.codePointAt(this.at) ?? 0)
    const shown = shownCharacter(char)
    this.#add(this.at, -1, shown, endLabels)
    return false
  }

  /** Around what may hold itself: raises where that goes too deep ({@link limits}). */
  nested<T>(read: (cursor: Cursor) => T): T {
    this.#depth += 1
    if (this.#depth > limits.depth) throw this.#refused(this.at, `nested deeper than ${limits.depth} levels`)
    const result = read(this)
    this.#depth -= 1
    return result
  }

  /** Why nothing could be read. */
  refusal(): RestError {
    const chain = inOrder(this.miss)
    const shown = chain.flatMap((one) => one.shown ?? [])
    const first = chain.find((one) => one.unexpected >= 0)
    const expected = chain.flatMap((one) => one.labels)
    const unexpected = shown.length > 0 ? listed(shown) : first && this.#characterAt(first.unexpected)
    const parts = [unexpected && `unexpected ${unexpected}`, expected.length > 0 && `expecting ${listed(expected)}`]
    return this.#refused(chain[0]?.at ?? this.at, parts.filter(Boolean).join(' ') || 'unknown parse error')
  }

  #characterAt(offset: number): string {
    const code = this.text.codePointAt(offset)
    return code === undefined ? 'end of input' : shownText(String.fromCodePoint(code))
  }

  #refused(at: number, details: string): RestError {
    return restErrors.parse(`"${this.#subject}" ${lineAndColumn(this.text, at)}`, details)
  }
}

/** The value as an error repeats it. */
const cut = (value: string): string => (value.length > limits.shown ? `${value.slice(0, limits.shown)}…` : value)

/**
 * Reads `text` with `read`, which gives undefined where it cannot. What follows the part that was read is left alone, as PostgREST
 * does. `value` is what the caller wrote, where that is not all of `text`.
 */
export const parsed = <T>(what: string, text: string, read: (cursor: Cursor) => T | undefined, value = text): T => {
  const cursor = new Cursor(text, `failed to parse ${what} (${cut(value)})`)
  const result = read(cursor)
  if (result === undefined) throw cursor.refusal()
  return result
}
