/** What was found. docs/supabase.md explains each. */
export type ExposureCode =
  | 'rowSecurityOff'
  | 'ownerIsCaller'
  | 'roleAboveRowSecurity'
  | 'schemaWritable'
  | 'schemaMissing'
  | 'grantWithoutPolicy'
  | 'truncateGranted'
  | 'deletesNotTold'
  | 'viewWithoutInvoker'
  | 'materializedView'
  | 'foreignTable'
  | 'sequenceGranted'
  | 'definerWithoutSearchPath'
  | 'definerExposed'
  | 'policyUserMetadata'
  | 'policyAlwaysTrue'
  | 'policyUidAsText'
  | 'policyRoleNeverHolds'
  | 'defaultPrivileges'

/** One thing that callers from outside reach and should not, or should not without a second thought. */
export interface ExposureFinding {
  /** `error`: rows are open to whom they should not be. `warning`: nothing is open yet, or perhaps on purpose. */
  readonly level: 'error' | 'warning'
  readonly code: ExposureCode
  /** As SQL writes it: `public.tours`, `public.search(text)`, `policy owner on public.tours`. */
  readonly object: string
  /** Which of the roles of callers it concerns. */
  readonly roles: readonly string[]
  readonly why: string
  /** SQL that mends it, or shows how. */
  readonly fix: string
}

export interface ExposureReport {
  /** No errors. Warnings do not count. */
  readonly ok: boolean
  readonly schemas: readonly string[]
  readonly findings: readonly ExposureFinding[]
}

export interface ExposureOptions {
  /** The schemas that the API serves. Default `['public']`. */
  readonly schemas?: readonly string[]
  /** Objects that are open on purpose, as `schema.name`: their errors become warnings. */
  readonly accepted?: readonly string[]
  /** The session is in a transaction, which goes on afterwards. Default false. */
  readonly inTransaction?: boolean
}
