import type { Relation, RowChange } from '../../feed/feed.js'
import type { TableId } from '../../feed/table-id.js'
import { type Logger, type Metrics, type Signals, silentLogger } from '../../observability/observability.js'
import { type Clock, systemClock } from '../../time/clock.js'
import type { Beholder, ReadableColumns, Visibility, VisibilityAnswer, VisibilityQuestion } from '../changes/visibility-port.js'
import { type AccessCacheOptions, type AccessKey, createAccessCache } from './access-cache.js'
import { createAskPostgres } from './ask-postgres.js'
import { inquire, type Trouble } from './inquire.js'
import { Judgement, type Owners, ownersIn } from './judgement.js'
import type { Budget } from './judging-block.js'
import { createOwnSampler, type LeftOut, type OwnSampler } from './own-sampler.js'
import { createStrikes } from './strikes.js'
import type { TableAccess } from './table-access.js'
import { createUserIds } from './user-ids.js'
import { createVisibilityReports } from './visibility-reports.js'

export interface OpenVisibilityOptions extends AccessCacheOptions {
  /** As `search_path` has it: where functions of policies look for names without a schema. Default `public`. */
  readonly searchPath?: string | undefined
  /** Default 500 ms for a turn, 1,000 ms until Postgres ends what one caller's policies are at. */
  readonly budget?: Budget | undefined
  /** For how long callers that were not reached are asked for again. Default 5,000. */
  readonly patienceMs?: number | undefined
  /** Of the changes that are decided by comparing a column, this part is also asked of Postgres. Default 0.01, and at least one a second. */
  readonly sampleShare?: number | undefined
  readonly metrics?: Metrics | undefined
  readonly signals?: Signals | undefined
  readonly log?: Logger | undefined
  readonly clock?: Clock | undefined
}

export interface OpenVisibility extends Required<Visibility> {
  stop(): Promise<void>
}

const nothing: ReadableColumns = { columns: new Set(), rowSecurity: true }
const readables = new WeakMap<TableAccess, ReadableColumns>()

/** The same object for as long as the access is. */
const readableOf = (access: TableAccess | null | undefined): ReadableColumns => {
  if (!access) return nothing
  const known = readables.get(access)
  if (known) return known
  const names = access.reaches ? access.columns.flatMap(({ name, readable }) => (readable ? [name] : [])) : []
  // Of what may not be read at all nothing follows from row security being off.
  const found = { columns: new Set(names), rowSecurity: !access.bypasses || names.length === 0 }
  readables.set(access, found)
  return found
}

/** What is known of each role in each table of one question. */
class Accesses {
  readonly #byTable = new Map<string, Map<string, TableAccess | null>>()

  constructor(keys: readonly AccessKey[], accesses: readonly (TableAccess | null)[]) {
    keys.forEach(({ role, ...table }, index) => {
      const roles = this.#byTable.get(Accesses.key(table)) ?? new Map<string, TableAccess | null>()
      this.#byTable.set(Accesses.key(table), roles)
      roles.set(role, accesses[index] ?? null)
    })
  }

  static key({ schema, table }: TableId): string {
    return JSON.stringify([schema, table])
  }

  of(role: string, table: TableId): TableAccess | null {
    return this.#byTable.get(Accesses.key(table))?.get(role) ?? null
  }
}

const keysOf = ({ beholders, candidates }: VisibilityQuestion): readonly AccessKey[] => {
  const rolesOf = new Map<Relation, Set<string>>()
  for (const { change, beholders: own } of candidates) {
    const roles = rolesOf.get(change.relation) ?? new Set()
    rolesOf.set(change.relation, roles)
    for (const which of own) roles.add((beholders[which] as Beholder).role)
  }
  return [...rolesOf].flatMap(([{ schema, table }, roles]) => [...roles].map((role) => ({ role, schema, table })))
}

class PolicyVisibility implements OpenVisibility {
  readonly #cache: ReturnType<typeof createAccessCache>
  readonly #ask: ReturnType<typeof createAskPostgres>
  readonly #users: ReturnType<typeof createUserIds>
  readonly #strikes: ReturnType<typeof createStrikes>
  readonly #reports: ReturnType<typeof createVisibilityReports>
  readonly #sampler: OwnSampler
  readonly #stopping = new AbortController()
  readonly #clock: Clock
  #generation = 0

  constructor(options: OpenVisibilityOptions) {
    const {
      pool,
      searchPath = 'public',
      budget = { turnMs: 500, hardMs: 1_000 },
      patienceMs = 5_000,
      sampleShare = 0.01,
    } = options
    const { clock = systemClock, log = silentLogger, metrics, signals } = options
    this.#clock = clock
    this.#cache = createAccessCache(options)
    this.#ask = createAskPostgres({ pool, searchPath, budget, patienceMs, clock, signal: this.#stopping.signal })
    this.#users = createUserIds(this.#ask)
    this.#strikes = createStrikes(clock)
    this.#reports = createVisibilityReports({ log, metrics, signals, clock })
    const shared = { ask: this.#ask, clock, share: sampleShare, reports: this.#reports }
    this.#sampler = createOwnSampler({ ...shared, isStill: (access) => this.#isStill(access) })
  }

  judge(question: VisibilityQuestion): VisibilityAnswer | Promise<VisibilityAnswer> {
    const keys = keysOf(question)
    const known = keys.map((key) => this.#cache.peek(key))
    if (known.every((access) => access !== undefined)) return this.#decide(question, new Accesses(keys, known))
    return this.#cache.get(keys).then((accesses) => this.#decide(question, new Accesses(keys, accesses)))
  }

  seesNothing(change: RowChange): ((beholder: Beholder) => boolean) | undefined {
    this.#forgetUsersOfBefore()
    const { schema, table } = change.relation
    let leftOut: LeftOut | undefined
    let role: string | undefined
    let owners: Owners | undefined
    return (beholder) => {
      if (beholder.role !== role) {
        role = beholder.role
        const access = this.#cache.peek({ role, schema, table })
        owners = access && this.#sampler.trusts(access) ? ownersIn(change, access) : undefined
      }
      if (!owners) return false
      const user = this.#users.of(beholder)
      if (user === undefined || (user !== null && (user === owners.old || user === owners.new))) return false
      leftOut ??= this.#sampler.leaveOut(change)
      leftOut.count += 1
      return leftOut.chance === 0 || Math.random() >= leftOut.chance
    }
  }

  async readable(role: string, { schema, table }: TableId): Promise<ReadableColumns> {
    const [access] = await this.#cache.get([{ role, schema, table }])
    return readableOf(access)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all([this.#cache.stop(), this.#sampler.stop()])
  }

  #decide(question: VisibilityQuestion, accesses: Accesses): VisibilityAnswer | Promise<VisibilityAnswer> {
    this.#forgetUsersOfBefore()
    const judgement = this.#judgementOf(question, accesses)
    if (judgement.unknown.size > 0) return this.#findUsers(question, accesses, judgement)
    return this.#complete(question, accesses, judgement)
  }

  #forgetUsersOfBefore(): void {
    if (this.#generation !== this.#cache.generation) this.#users.forget()
    this.#generation = this.#cache.generation
  }

  async #findUsers(question: VisibilityQuestion, accesses: Accesses, { unknown }: Judgement): Promise<VisibilityAnswer> {
    // Those of whom it cannot be found out are left to the question itself, which says what is wrong with them.
    await this.#users.find([...unknown])
    return this.#complete(question, accesses, this.#judgementOf(question, accesses))
  }

  #judgementOf(question: VisibilityQuestion, accesses: Accesses): Judgement {
    return new Judgement({
      question,
      access: (role, relation) => accesses.of(role, relation),
      userId: (beholder) => this.#users.of(beholder),
      trusted: (access) => this.#sampler.trusts(access),
      failed: (beholder, access) => this.#strikes.failed(beholder, access),
    })
  }

  #complete(
    question: VisibilityQuestion,
    accesses: Accesses,
    judgement: Judgement,
  ): VisibilityAnswer | Promise<VisibilityAnswer> {
    this.#sampler.see(question, judgement)
    const answer: VisibilityAnswer = {
      verdicts: judgement.verdicts,
      reasons: judgement.reasons,
      failed: judgement.failed,
      readable: (role, table) => readableOf(accesses.of(role, table)),
    }
    if (judgement.inquiries.length === 0) return answer
    return this.#inquire(question, judgement).then(() => answer)
  }

  async #inquire({ beholders }: VisibilityQuestion, judgement: Judgement): Promise<void> {
    const startedAt = this.#clock.monotonicMs()
    const claims = beholders.map((beholder) => beholder.claims)
    const troubles = await inquire(judgement, claims, this.#ask)
    this.#reports.asked(this.#clock.monotonicMs() - startedAt, troubles.length)
    this.#count(troubles, beholders, judgement)
  }

  /** Whoever raises or dawdles again and again is asked for no more; whoever could be answered once begins anew. */
  #count(troubles: readonly Trouble[], beholders: readonly Beholder[], judgement: Judgement): void {
    const answered = new Set(
      troubles.flatMap(({ kind, inquiry, beholder }) => (kind === 'answered' ? [`${inquiry.access.oid} ${beholder}`] : [])),
    )
    const counted = new Set<string>()
    for (const {
      inquiry: { access },
      beholder: which,
      kind,
      sqlstate,
    } of troubles) {
      const key = `${access.oid} ${which}`
      const beholder = beholders[which] as Beholder
      if (kind === 'unreached' || counted.has(key)) continue
      if (answered.has(key)) this.#strikes.clear(beholder, access)
      else if (kind !== 'answered') this.#strikes.add(beholder, access, kind, judgement.reasons.get(which) ?? kind)
      counted.add(key)
      if (kind !== 'answered') this.#reports.trouble(access, kind, sqlstate)
      const failed = this.#strikes.failed(beholder, access)
      if (failed !== undefined) judgement.failed.set(which, failed)
    }
  }

  /** Whether what was read of a table is still what Postgres says. */
  async #isStill({ role, schema, table, digest }: TableAccess): Promise<boolean> {
    const before = this.#cache.generation
    this.#cache.doubt()
    const [now] = await this.#cache.get([{ role, schema, table }])
    return this.#cache.generation === before && now?.digest === digest
  }
}

/** Who may see a change, by the policies and grants of the database (RT-1). Nothing is connected before the first question. */
export const openVisibility = (options: OpenVisibilityOptions): OpenVisibility => new PolicyVisibility(options)
