import { TidemarkError } from '../../errors.js'
import type { Migration, SchemaClient } from '../schema.js'
import { checkExposure } from './check-exposure.js'
import type { ExposureFinding, ExposureOptions } from './exposure.js'

/** What a migrator does about migrations that open rows to callers. */
export interface RowSecurityOptions extends Pick<ExposureOptions, 'schemas' | 'accepted'> {
  /** `refuse` (default): such a migration is taken back. `warn`: it is reported. */
  readonly mode?: 'refuse' | 'warn'
}

/** One role at a time, so that a finding that concerns fewer roles than before is nothing new. */
const keysOf = ({ level, code, object, roles }: ExposureFinding): readonly string[] =>
  (roles.length > 0 ? roles : ['']).map((role) => JSON.stringify([level, code, object, role]))

const newOnes = (now: readonly ExposureFinding[], before: readonly ExposureFinding[]): readonly ExposureFinding[] => {
  const known = new Set(before.flatMap(keysOf))
  return now.filter((finding) => keysOf(finding).some((key) => !known.has(key)))
}

const refusal = (migration: Migration, errors: readonly ExposureFinding[]): TidemarkError => {
  const [first] = errors
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''
  return new TidemarkError('TM_SCHEMA_EXPOSED', {
    version: migration.version,
    file: migration.file,
    object: `${first?.object}${more}`,
    reason: first?.why.replace(/\.$/, '') ?? '',
    sql: first?.fix ?? '',
    state: migration.transactional ? 'nothing of it was applied' : 'it stays applied, for it ran outside a transaction',
  })
}

/** Compares what is exposed before and after each migration of a run. */
export class ExposureWatch {
  readonly #client: SchemaClient
  readonly #options: RowSecurityOptions
  #first: readonly ExposureFinding[] = []
  #last: readonly ExposureFinding[] = []

  constructor(client: SchemaClient, options: RowSecurityOptions) {
    this.#client = client
    this.#options = options
  }

  async #look(inTransaction: boolean): Promise<readonly ExposureFinding[]> {
    const { schemas, accepted } = this.#options
    const report = await checkExposure(this.#client, {
      inTransaction,
      ...(schemas && { schemas }),
      ...(accepted && { accepted }),
    })
    return report.findings
  }

  async start(): Promise<void> {
    this.#first = await this.#look(false)
    this.#last = this.#first
  }

  /** After a migration, before its transaction ends where it has one. Raises TM_SCHEMA_EXPOSED. */
  async check(migration: Migration): Promise<void> {
    const now = await this.#look(migration.transactional)
    const errors = newOnes(now, this.#last).filter(({ level }) => level === 'error')
    if (errors.length > 0 && this.#options.mode !== 'warn') throw refusal(migration, errors)
    this.#last = now
  }

  /** What the whole run has brought and not mended. */
  news(): readonly ExposureFinding[] {
    return newOnes(this.#last, this.#first).filter(({ code }) => code !== 'schemaMissing')
  }
}
