import type { RowChange } from '../../feed/feed.js'
import type { Clock } from '../../time/clock.js'
import { type Beholder, type Candidate, seesNew, seesOld, type VisibilityQuestion } from '../changes/visibility-port.js'
import type { AskPostgres } from './ask-postgres.js'
import type { Compared, Entry, Judgement } from './judgement.js'
import { rowsText, rowText } from './row-text.js'
import type { TableAccess } from './table-access.js'
import type { VisibilityReports } from './visibility-reports.js'

/** Compares what was found by comparing a column with what Postgres says, all the time, for a small part. */
export interface OwnSampler {
  /** False where the two have differed: Postgres is asked from then on. */
  trusts(access: TableAccess): boolean
  /** Those who see nothing of a change are about to be left out of the question. */
  leaveOut(change: RowChange): LeftOut
  /** Takes one of what was just decided, now and then. Does not wait. */
  see(question: VisibilityQuestion, judgement: Judgement): void
  stop(): Promise<void>
}

/** Who is left out of a question by the column. */
export interface LeftOut {
  /** That one of them is asked about nevertheless: 0 for most changes. */
  readonly chance: number
  /** How many there were. */
  count: number
}

export interface OwnSamplerOptions {
  readonly ask: AskPostgres
  readonly share: number
  readonly clock: Clock
  readonly reports: Pick<VisibilityReports, 'sampled'>
  /** Whether the policies are those by which it was decided. */
  isStill(access: TableAccess): Promise<boolean>
}

const everyMs = 1_000
const sampledBeholders = 8
const sampledOthers = sampledBeholders / 2

/** Whom it concerns: those who were told, and others. */
const pick = (verdicts: Uint8Array): readonly number[] => {
  const told = [...verdicts.keys()].filter((slot) => verdicts[slot] !== 0).slice(0, sampledBeholders - sampledOthers)
  const from = Math.floor(Math.random() * verdicts.length)
  const others = [...verdicts.keys()].slice(from, from + sampledOthers)
  return [...new Set([...told, ...others])]
}

const entriesOf = ({ ruling: { asked } }: Compared): readonly Entry[] =>
  asked.entries.map((entry) => asked.group.entries[entry] as Entry)

export const createOwnSampler = ({ ask, share, clock, reports, isStill }: OwnSamplerOptions): OwnSampler => {
  const distrusted = new WeakSet<TableAccess>()
  let sampledAt = Number.NEGATIVE_INFINITY
  let running: Promise<void> | undefined
  /** Of which a few more are asked about, so that it is found out as well who should not have been left out. */
  const chosen = new WeakSet<RowChange>()
  let last: LeftOut = { chance: 0, count: 0 }

  const isDue = (changes: number): boolean =>
    !running && (clock.monotonicMs() - sampledAt >= everyMs || Math.random() < share * changes)

  const compare = async (question: VisibilityQuestion, judgement: Judgement, compared: Compared): Promise<void> => {
    const { access, group } = compared.ruling.asked
    const verdicts = judgement.verdicts[compared.candidate] as Uint8Array
    const { beholders } = question.candidates[compared.candidate] as { beholders: readonly number[] }
    const slots = pick(verdicts).filter(
      (slot) => (question.beholders[beholders[slot] as number] as Beholder).role === access.role,
    )
    const entries = entriesOf(compared)
    const { question: asks } = group
    const rows = rowsText(entries.map(({ row, places }) => rowText(row, places, asks.needs)))
    const claims = slots.map((slot) => (question.beholders[beholders[slot] as number] as Beholder).claims)
    const [outcomes = []] = await ask([{ role: access.role, question: asks, rows, claims, readByServer: false }])
    const differs = slots.some((slot, at) => {
      const outcome = outcomes[at]
      if (outcome?.type !== 'answer') return outcome?.type === 'raised'
      const said = entries.reduce((sum, { bit }, place) => sum | (outcome.text[place] === '1' ? bit : 0), 0)
      const compares = entries.reduce((sum, { bit }) => sum | bit, 0) & (seesOld | seesNew)
      return said !== ((verdicts[slot] as number) & compares)
    })
    if (!differs) reports.sampled(access, true)
    else if (await isStill(access)) {
      distrusted.add(access)
      reports.sampled(access, false)
    }
  }

  return {
    trusts: (access) => !distrusted.has(access),
    leaveOut: (change) => {
      const isChosen = isDue(1)
      if (isChosen) chosen.add(change)
      // About as many are left out of one change as of the one before.
      last = { chance: isChosen ? sampledOthers / Math.max(sampledOthers, last.count) : 0, count: 0 }
      return last
    },
    see: (question, judgement) => {
      const { compared } = judgement
      if (compared.length === 0 || running) return
      const wanted = compared.find(({ candidate }) => chosen.has((question.candidates[candidate] as Candidate).change))
      if (!wanted && !isDue(compared.length)) return
      const one = wanted ?? (compared[Math.floor(Math.random() * compared.length)] as Compared)
      if (one.ruling.asked.entries.length === 0) return
      sampledAt = clock.monotonicMs()
      running = compare(question, judgement, one)
        // Postgres being away is told by those who need it.
        .catch(() => undefined)
        .finally(() => {
          running = undefined
        })
    },
    stop: async () => running,
  }
}
