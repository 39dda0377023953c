/** Deterministic, without a store, a model or a clock: nothing that can be down stands between a cry for help and its answer. */
import { readings } from './normalise.js'
import { innocentWords, type Phrase, phrases, type Severity } from './phrases.js'

export interface Risk {
  readonly severity: Severity
  /** The phrase of the list, not the words of the message. */
  readonly phrase: string
}

/** Letters from which on a word may be one letter off and still be meant. */
const nearFrom = 6

/** Whether one letter changed, added, left out, or swapped with its neighbour makes one word of the other. */
export const isOneOff = (a: string, b: string): boolean => {
  if (Math.abs(a.length - b.length) > 1) return false
  let start = 0
  while (start < Math.min(a.length, b.length) && a[start] === b[start]) start++
  const [restA, restB] = [a.slice(start), b.slice(start)]
  return (
    restA.slice(1) === restB.slice(1) ||
    restA.slice(1) === restB ||
    restA === restB.slice(1) ||
    (restA[0] === restB[1] && restA[1] === restB[0] && restA.slice(2) === restB.slice(2))
  )
}

const single = (word: string): string => word.replaceAll(/(.)\1+/gu, '$1')

/** Letters written twice for once (diee), not once for twice: `of` is not `off`. */
const isDrawnOut = (said: string, wanted: string): boolean => said.length > wanted.length && single(said) === single(wanted)

/** With stars for letters (k*ll), of which two at least are left. */
const isMasked = (said: string, wanted: string): boolean =>
  said.includes('*') &&
  said.length === wanted.length &&
  said.replaceAll('*', '').length >= 2 &&
  [...said].every((letter, i) => letter === '*' || letter === wanted[i])

const isMeant = (said: string, wanted: string): boolean => {
  if (said === wanted) return true
  // However it is written, it begins as it is meant.
  if (said[0] !== wanted[0]) return false
  if (isDrawnOut(said, wanted) || isMasked(said, wanted)) return true
  if (wanted.length < nearFrom || said.length < nearFrom || innocentWords.has(said)) return false
  return isOneOff(said, wanted)
}

const startsAt = (said: readonly string[], from: number, { words }: Phrase): boolean => {
  let at = from
  for (const [i, wanted] of words.entries()) {
    if (i > 0 && !isMeant(said[at] ?? '', wanted)) at++
    if (!isMeant(said[at] ?? '', wanted)) return false
    at++
  }
  return true
}

const asOneWord: ReadonlyMap<Phrase, string> = new Map(phrases.map((phrase) => [phrase, phrase.words.join('')]))

/** Also as one word, as tags are written (#wannadie). */
const isSaid = (said: readonly string[], phrase: Phrase): boolean => {
  const joined = asOneWord.get(phrase)
  return said.some((word, from) => word === joined || startsAt(said, from, phrase))
}

/** The gravest phrase that a message holds, or null. Negation changes nothing: "I don't want to kill myself" is answered too. */
export const detectRisk = (message: string): Risk | null => {
  const said = readings(message)
  const found = phrases.find((phrase) => said.some((words) => isSaid(words, phrase)))
  return found ? { severity: found.severity, phrase: found.text } : null
}
