import type { Match } from '../tell/deliver.js'
import type { Telling } from '../tell/told-change.js'
import type { Beholder, Candidate, Visibility, VisibilityAnswer, VisibilityQuestion } from '../visibility-port.js'

/** Where the verdicts of one change are found in an answer. */
export interface Place {
  readonly candidate: number
  /** By beholder, its place among the verdicts of that change. */
  readonly beholders: ReadonlyMap<Beholder, number>
}

interface Asked {
  readonly telling: Telling | undefined
  readonly matches: readonly Match[]
}

const hasBounds = ({ now, entering, leaving }: Match): boolean => now.length + entering.length + leaving.length > 0

/** Beholders of one change, by their numbers; as a rule the next change has the same. */
interface Audience {
  readonly asked: readonly number[]
  readonly ascending: readonly number[]
  readonly places: Place['beholders']
}

const audienceOf = (asked: readonly number[], beholders: readonly Beholder[]): Audience => {
  const ascending = [...new Set(asked)].sort((a, b) => a - b)
  return { asked, ascending, places: new Map(ascending.map((number, index) => [beholders[number] as Beholder, index])) }
}

const areSame = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((number, index) => number === b[index])

/** One question about everything that waits, and for each of it where its answer will be; undefined where nothing has to be asked. */
export const questionOf = (
  batch: readonly Asked[],
): { readonly question: VisibilityQuestion; readonly places: readonly (Place | undefined)[] } => {
  const numbers = new Map<Beholder, number>()
  const beholders: Beholder[] = []
  const candidates: Candidate[] = []
  let last: Audience | undefined
  const places = batch.map(({ telling, matches }): Place | undefined => {
    if (!telling) return undefined
    const asked: number[] = []
    for (const match of matches) {
      const { state } = match
      if (state.closed || !hasBounds(match)) continue
      match.generation = state.generation
      let number = numbers.get(state.beholder)
      if (number === undefined) {
        number = beholders.length
        numbers.set(state.beholder, number)
        beholders.push(state.beholder)
      }
      asked.push(number)
    }
    if (asked.length === 0) return undefined
    if (!last || !areSame(last.asked, asked)) last = audienceOf(asked, beholders)
    candidates.push({ change: telling.placed.change, beholders: last.ascending })
    return { candidate: candidates.length - 1, beholders: last.places }
  })
  return { question: { beholders, candidates }, places }
}

/** The answer about one change, where it takes no time; undefined where it does. Postgres may be asked in vain then. */
export const askOne = (
  visibility: Visibility,
  telling: Telling,
  matches: readonly Match[],
): { readonly answer: VisibilityAnswer; readonly beholders: ReadonlyMap<Beholder, number> } | undefined => {
  const { question, places } = questionOf([{ telling, matches }])
  const [place] = places
  if (!place) return undefined
  const answer = visibility.judge(question)
  if (!(answer instanceof Promise)) return { answer, beholders: place.beholders }
  answer.catch(() => undefined)
  return undefined
}
