import type { AskPostgres, Inquiry } from '../filters/ask-postgres.js'
import { addBound, type Question } from './find-matches.js'
import type { ListenerState } from './listener-state.js'

/** Listeners whose condition Postgres cannot decide, and why. */
export type Refused = ReadonlyMap<ListenerState, string>

interface Open {
  readonly question: Question
  /** Its conditions that are still to hold. */
  left: number
  failed: boolean
}

/** Asks Postgres about all conditions of a turn, each once for all of its values; what holds becomes part of its match. */
export const confirmQuestions = async (ask: AskPostgres, questions: readonly Question[]): Promise<Refused> => {
  const refused = new Map<ListenerState, string>()
  if (questions.length === 0) return refused
  const inquiries = new Map<string, Inquiry & { readonly values: (string | null)[]; readonly openOf: Open[] }>()
  const opened = questions.map((question): Open => ({ question, left: question.tests.length, failed: false }))
  for (const open of opened) {
    const { bound, tests, row } = open.question
    for (const test of tests) {
      const inquiry = inquiries.get(test.id) ?? { test, values: [], openOf: [] }
      inquiries.set(test.id, inquiry)
      inquiry.values.push(valueIn(open.question, test.column, row))
      inquiry.openOf.push(open)
    }
    if (bound.listener.closed) open.failed = true
  }
  const asked = [...inquiries.values()]
  const findings = await ask(asked)
  asked.forEach(({ openOf }, index) => {
    const finding = findings[index] ?? 'there was no answer'
    openOf.forEach((open, place) => {
      if (typeof finding === 'string') refused.set(open.question.bound.listener, finding)
      else if (finding[place] === true) open.left -= 1
      else open.failed = true
    })
  })
  for (const { question, left, failed } of opened) {
    if (left === 0 && !failed) addBound(question.match, question.which, question.bound)
  }
  return refused
}

const valueIn = ({ facts }: Question, column: string, row: Question['row']): string | null => {
  const index = facts.positions.get(column)
  return (index === undefined ? null : row[index]) ?? null
}
