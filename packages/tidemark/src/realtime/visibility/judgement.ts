import type { Relation, Row, RowChange, Value } from '../../feed/feed.js'
import {
  type Beholder,
  type Candidate,
  seesNew,
  seesOld,
  undecided,
  type Verdict,
  type VisibilityQuestion,
} from '../changes/visibility-port.js'
import { type AccessRule, type RowQuestion, ruleOf } from './access-rule.js'
import { type ColumnPlaces, placesOf } from './row-text.js'
import type { TableAccess } from './table-access.js'

/** One row of one change that Postgres has to be asked about. */
export interface Entry {
  readonly candidate: number
  readonly bit: typeof seesOld | typeof seesNew
  readonly row: Row
  readonly places: ColumnPlaces
}

/** Where a beholder's answers go: which entries, and where in the verdicts of their candidates it stands. */
export interface Asked {
  readonly entries: readonly number[]
  readonly slots: readonly number[]
}

/** What has to be asked about one table under one role. */
export interface Inquiry {
  readonly access: TableAccess
  readonly question: RowQuestion
  readonly entries: readonly Entry[]
  /** By the index of the beholder. */
  readonly asked: ReadonlyMap<number, Asked>
}

/** Rules of tables, made once for each reading. */
const rules = new WeakMap<TableAccess, AccessRule>()

const ruleFor = (access: TableAccess): AccessRule => {
  const known = rules.get(access)
  if (known) return known
  const rule = ruleOf(access)
  rules.set(access, rule)
  return rule
}

const places = new WeakMap<TableAccess, WeakMap<Relation, ColumnPlaces>>()

const placesFor = (relation: Relation, access: TableAccess): ColumnPlaces => {
  const ofAccess = places.get(access) ?? new WeakMap<Relation, ColumnPlaces>()
  places.set(access, ofAccess)
  const known = ofAccess.get(relation)
  if (known) return known
  const found = placesOf(relation, access)
  ofAccess.set(relation, found)
  return found
}

const nameOf = ({ schema, table }: { readonly schema: string; readonly table: string }): string => `${schema}.${table}`

/** What the row has to tell for it to be decided. */
const tells = (row: Row | null, at: ColumnPlaces, needs: readonly number[]): row is Row =>
  row !== null && needs.every((need) => row[at[need] as number] !== undefined)

/** Whose the rows of a change were and are. */
export interface Owners {
  readonly old: Value
  readonly new: Value
}

const ownersAt = ({ old, new: row }: RowChange, at: ColumnPlaces, place: number): Owners => {
  const value = (values: Row | null): Value => (values === null ? undefined : values[at[place] as number])
  return { old: value(old), new: value(row) }
}

/** Undefined where no column of the change says so. */
export const ownersIn = (change: RowChange, access: TableAccess): Owners | undefined => {
  if (access.oid !== change.relation.oid) return undefined
  const rule = ruleFor(access)
  if (rule.kind !== 'own') return undefined
  const at = placesFor(change.relation, access)
  return change.new === null || tells(change.new, at, rule.question.needs) ? ownersAt(change, at, rule.place) : undefined
}

export interface JudgementOptions {
  readonly question: VisibilityQuestion
  /** By role and table. Null: there is no such role or table. */
  access(role: string, relation: Relation): TableAccess | null
  /** Undefined where it is not known. Null where the caller is nobody. */
  userId(beholder: Beholder): string | null | undefined
  /** Whether a column that names the owner may be compared here. */
  trusted(access: TableAccess): boolean
  /** Why the caller is asked for no more in that table. */
  failed(beholder: Beholder, access: TableAccess): string | undefined
}

interface Group {
  readonly access: TableAccess
  readonly question: RowQuestion
  readonly entries: Entry[]
  readonly asked: Map<number, { entries: number[]; slots: number[] }>
}

interface AskedRuling {
  readonly kind: 'asked'
  readonly access: TableAccess
  readonly group: Group
  readonly entries: readonly number[]
}

interface OwnRuling extends Owners {
  readonly kind: 'own'
  readonly asked: AskedRuling
}

/** One candidate under one role: worked out once, for all its beholders of that role. */
type Ruling = { readonly kind: 'verdict'; readonly verdict: Verdict; readonly reason?: string } | OwnRuling | AskedRuling

/** A candidate that was decided by comparing a column. */
export interface Compared {
  readonly candidate: number
  readonly ruling: OwnRuling
}

/** The verdicts of one question, as far as they can be found without Postgres, and what has to be asked. */
export class Judgement {
  readonly verdicts: readonly Uint8Array[]
  readonly reasons = new Map<number, string>()
  readonly failed = new Map<number, string>()
  /** Beholders who own rows, if it were known who they are. Until then Postgres is asked for them. */
  readonly unknown = new Set<Beholder>()
  /** Candidates that were decided by comparing a column, for whom. */
  readonly compared: Compared[] = []
  readonly #options: JudgementOptions
  readonly #groups = new Map<TableAccess, Group>()
  #users: readonly (string | null | undefined)[] | undefined

  constructor(options: JudgementOptions) {
    this.#options = options
    this.verdicts = options.question.candidates.map(({ beholders }) => new Uint8Array(beholders.length))
    for (const [index, candidate] of options.question.candidates.entries()) this.#judge(candidate, index)
  }

  get inquiries(): readonly Inquiry[] {
    return [...this.#groups.values()].filter(({ asked }) => asked.size > 0)
  }

  /** Says that it could not be found out what this beholder sees of the candidate. */
  leaveOpen(beholder: number, candidate: number, slot: number, reason: string): void {
    const own = this.verdicts[candidate]
    if (own) own[slot] = undecided
    this.reasons.set(beholder, reason)
  }

  #judge(candidate: Candidate, index: number): void {
    const { beholders } = this.#options.question
    const rulings = new Map<string, Ruling>()
    let role: string | undefined
    let ruling: Ruling = { kind: 'verdict', verdict: 0 }
    candidate.beholders.forEach((which, slot) => {
      const beholder = beholders[which] as Beholder
      if (beholder.role !== role) {
        role = beholder.role
        ruling = rulings.get(role) ?? this.#rule(candidate, index, role)
        rulings.set(role, ruling)
      }
      this.#apply(ruling, beholder, which, index, slot)
    })
  }

  /** Looked up once for all candidates. */
  #user(which: number): string | null | undefined {
    this.#users ??= this.#options.question.beholders.map((beholder) => this.#options.userId(beholder))
    return this.#users[which]
  }

  #apply(ruling: Ruling, beholder: Beholder, which: number, candidate: number, slot: number): void {
    const own = this.verdicts[candidate] as Uint8Array
    if (ruling.kind === 'verdict') {
      own[slot] = ruling.verdict
      if (ruling.reason !== undefined) this.reasons.set(which, ruling.reason)
      return
    }
    if (ruling.kind === 'own') {
      const user = this.#user(which)
      if (user === undefined) {
        this.unknown.add(beholder)
        this.#apply(ruling.asked, beholder, which, candidate, slot)
        return
      }
      if (this.compared.at(-1)?.ruling !== ruling) this.compared.push({ candidate, ruling })
      if (user !== null) own[slot] = (ruling.old === user ? seesOld : 0) | (ruling.new === user ? seesNew : 0)
      return
    }
    const reason = this.#options.failed(beholder, ruling.access)
    if (reason !== undefined) {
      this.leaveOpen(which, candidate, slot, reason)
      this.failed.set(which, reason)
      return
    }
    if (ruling.entries.length === 0) return
    const asked = ruling.group.asked.get(which) ?? { entries: [], slots: [] }
    ruling.group.asked.set(which, asked)
    for (const entry of ruling.entries) {
      asked.entries.push(entry)
      asked.slots.push(slot)
    }
  }

  #rule({ change }: Candidate, index: number, role: string): Ruling {
    const { relation } = change
    const access = this.#options.access(role, relation)
    if (access === null) return { kind: 'verdict', verdict: 0 }
    // Under its name there is another one now: who may see rows of the one before is nowhere to be read any more.
    if (access.oid !== relation.oid) {
      return { kind: 'verdict', verdict: undecided, reason: `the table ${nameOf(relation)} was replaced or renamed` }
    }
    const rule = ruleFor(access)
    if (rule.kind === 'none') return { kind: 'verdict', verdict: 0 }
    if (rule.kind === 'all') return { kind: 'verdict', verdict: (change.old ? seesOld : 0) | (change.new ? seesNew : 0) }
    const at = placesFor(relation, access)
    const { needs } = rule.question
    if (change.new !== null && !tells(change.new, at, needs)) {
      const reason = `a policy on ${nameOf(relation)} reads a value that the log does not tell`
      return { kind: 'verdict', verdict: undecided, reason }
    }
    const asked = this.#ask(access, rule.question, change, index, at)
    if (rule.kind === 'asked' || !this.#options.trusted(access)) return asked
    return { kind: 'own', asked, ...ownersAt(change, at, rule.place) }
  }

  /** An old row that lacks what the policy reads is nobody's to see. */
  #ask(access: TableAccess, question: RowQuestion, change: RowChange, candidate: number, places: ColumnPlaces): AskedRuling {
    const group: Group = this.#groups.get(access) ?? { access, question, entries: [], asked: new Map() }
    this.#groups.set(access, group)
    const entries: number[] = []
    const add = (bit: Entry['bit'], row: Row): void => {
      entries.push(group.entries.push({ candidate, bit, row, places }) - 1)
    }
    if (tells(change.old, places, question.needs)) add(seesOld, change.old)
    if (change.new !== null) add(seesNew, change.new)
    return { kind: 'asked', access, group, entries }
  }
}
