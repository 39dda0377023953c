import { undecided } from '../changes/visibility-port.js'
import type { AskPostgres } from './ask-postgres.js'
import type { Asked, Entry, Inquiry, Judgement } from './judgement.js'
import type { Job, Outcome } from './judging-block.js'
import { rowsText, rowText } from './row-text.js'
import type { TableAccess } from './table-access.js'

/** What became of a beholder in one inquiry, for whoever counts. */
export interface Trouble {
  readonly inquiry: Inquiry
  readonly beholder: number
  readonly kind: 'answered' | 'raised' | 'slow' | 'unreached'
  readonly sqlstate?: string | undefined
}

/** Beholders that are asked about the same rows, under one role. */
interface Bunch {
  readonly inquiry: Inquiry
  /** Different ones, as text. */
  readonly rows: readonly string[]
  /** By entry: which of the rows it is. */
  readonly places: readonly number[]
  readonly members: { readonly beholder: number; readonly asked: Asked }[]
}

/** What raises is asked again row by row, so that one row does not hide the others; so many of them in a turn. */
const maxSingles = 2_000

/** Rows that are alike in what the policies read are one: changes of one room, the row before an update and the row after it. */
const bunchOf = (inquiry: Inquiry, texts: readonly string[], entries: readonly number[]): Bunch => {
  const places = new Map<string, number>()
  const place = (text: string): number => {
    const known = places.get(text) ?? places.size
    places.set(text, known)
    return known
  }
  const found = entries.map((entry) => place(texts[entry] as string))
  return { inquiry, rows: [...places.keys()], places: found, members: [] }
}

const bunchesOf = (inquiry: Inquiry): readonly Bunch[] => {
  const bunches = new Map<string, Bunch>()
  const texts = inquiry.entries.map(({ row, places }) => rowText(row, places, inquiry.question.needs))
  for (const [beholder, asked] of inquiry.asked) {
    const key = asked.entries.join()
    const bunch = bunches.get(key) ?? bunchOf(inquiry, texts, asked.entries)
    bunches.set(key, bunch)
    bunch.members.push({ beholder, asked })
  }
  return [...bunches.values()]
}

/** Tables whose policies name what lies in schemas that the caller's role may not use. */
const readByServer = new WeakSet<TableAccess>()

const jobOf = ({ inquiry, rows, members }: Bunch, claims: readonly string[]): Job => ({
  role: inquiry.access.role,
  question: inquiry.question,
  readByServer: readByServer.has(inquiry.access),
  rows: rowsText(rows),
  claims: members.map(({ beholder }) => claims[beholder] as string),
})

/** A bunch for each of its rows. */
const singly = ({ inquiry, rows, places, members }: Bunch): readonly Bunch[] =>
  members.flatMap(({ beholder, asked }) =>
    asked.entries.map((entry, at) => ({
      inquiry,
      rows: [rows[places[at] as number] as string],
      places: [0],
      members: [{ beholder, asked: { entries: [entry], slots: [asked.slots[at] as number] } }],
    })),
  )

const table = ({ access }: Inquiry): string => `${access.schema}.${access.table}`

const reasonFor = (inquiry: Inquiry, outcome: Exclude<Outcome, { type: 'answer' }>): string => {
  if (outcome.type === 'raised') return `a policy on ${table(inquiry)} raises SQLSTATE ${outcome.sqlstate}`
  if (outcome.type === 'slow') return `the policies on ${table(inquiry)} take too long`
  return `the policies on ${table(inquiry)} could not be asked in time`
}

/** What may be done about it is found out once for each table: a right may be missing to a schema only, or to what it holds. */
const isRefused = (bunch: Bunch, outcomes: readonly Outcome[] | undefined): boolean =>
  !readByServer.has(bunch.inquiry.access) &&
  outcomes?.some((outcome) => outcome.type === 'raised' && outcome.sqlstate === '42501') === true

const askAsNeeded = async (
  bunches: readonly Bunch[],
  ask: (bunches: readonly Bunch[]) => Promise<readonly (readonly Outcome[])[]>,
): Promise<readonly (readonly Outcome[])[]> => {
  if (bunches.length === 0) return []
  const outcomes = await ask(bunches)
  const refused = bunches.filter((bunch, which) => isRefused(bunch, outcomes[which]))
  if (refused.length === 0) return outcomes
  for (const { inquiry } of refused) readByServer.add(inquiry.access)
  const again = await ask(refused)
  return bunches.map((bunch, which) => {
    const place = refused.indexOf(bunch)
    return (place < 0 ? outcomes[which] : again[place]) ?? []
  })
}

/** Asks Postgres what the judgement leaves to it, and writes its verdicts. Raises TM_POSTGRES_*. */
export const inquire = async (judgement: Judgement, claims: readonly string[], ask: AskPostgres): Promise<readonly Trouble[]> => {
  const settle = ({ inquiry, rows, places, members }: Bunch, outcomes: readonly Outcome[]): readonly Trouble[] =>
    members.map(({ beholder, asked }, at) => {
      const outcome = outcomes[at] ?? { type: 'unreached' }
      const found = outcome.type === 'answer' && outcome.text.length === rows.length ? outcome.text : undefined
      asked.entries.forEach((entry, place) => {
        const { candidate, bit } = inquiry.entries[entry] as Entry
        const slot = asked.slots[place] as number
        const verdicts = judgement.verdicts[candidate] as Uint8Array
        if (outcome.type !== 'answer') judgement.leaveOpen(beholder, candidate, slot, reasonFor(inquiry, outcome))
        // A row that could not be decided before stays so.
        else if (found === undefined) verdicts[slot] = undecided
        else if (found[places[place] as number] === '1' && verdicts[slot] !== undecided)
          verdicts[slot] = (verdicts[slot] as number) | bit
      })
      const kind = outcome.type === 'answer' ? 'answered' : outcome.type
      return { inquiry, beholder, kind, sqlstate: outcome.type === 'raised' ? outcome.sqlstate : undefined }
    })

  const askAll = (bunches: readonly Bunch[]): Promise<readonly (readonly Outcome[])[]> =>
    askAsNeeded(bunches, (some) => ask(some.map((bunch) => jobOf(bunch, claims))))

  const bunches = judgement.inquiries.flatMap(bunchesOf)
  const outcomes = await askAll(bunches)
  const troubles: Trouble[] = []
  const again: Bunch[] = []
  bunches.forEach((bunch, which) => {
    const own = outcomes[which] ?? []
    const isAgain = (at: number): boolean => own[at]?.type === 'raised' && bunch.places.length > 1
    const raised = bunch.members.filter((_member, at) => isAgain(at))
    again.push(...singly({ ...bunch, members: raised }))
    const members = bunch.members.filter((_member, at) => !isAgain(at))
    troubles.push(
      ...settle(
        { ...bunch, members },
        own.filter((_outcome, at) => !isAgain(at)),
      ),
    )
  })
  const singles = again.slice(0, maxSingles)
  const answers = await askAll(singles)
  for (const [which, bunch] of singles.entries()) troubles.push(...settle(bunch, answers[which] ?? []))
  for (const bunch of again.slice(maxSingles)) troubles.push(...settle(bunch, []))
  return troubles
}
