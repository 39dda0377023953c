import type { TableAccess } from './table-access.js'

const identifier = '(?<column>[a-z_][a-z0-9_$]*|"(?:[^"]|"")+")'
const uid = String.raw`(?:auth\.uid\(\)|\( SELECT auth\.uid\(\) AS uid\))`
const uidText = String.raw`(?:\(auth\.uid\(\)\)::text|\(\( SELECT auth\.uid\(\) AS uid\)\)::text|\( SELECT \(auth\.uid\(\)\)::text AS uid\))`
const equal = (column: string, user: string): string =>
  String.raw`(?:\(${column} = ${user}\)|\(${user} = ${column.replace('?<column>', '?<mirrored>')}\))`

/** What Postgres prints under an empty search path, where `=` is its own and nothing else. */
const forms = {
  uuid: new RegExp(`^${equal(identifier, uid)}$`),
  text: new RegExp(`^${equal(identifier, uidText)}$`),
  varchar: new RegExp(`^${equal(String.raw`\(${identifier}\)::text`, uidText)}$`),
} as const

const unquoted = (name: string): string => (name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name)

/**
 * The column of a table whose rows belong to whom it names: where the one policy that counts is exactly `column = auth.uid()`, in any of the
 * ways to write that.
 */
export const ownColumn = ({ columns, policies }: TableAccess): string | undefined => {
  const [policy, ...others] = policies
  if (!policy?.permissive || others.length > 0) return undefined
  const match = forms.uuid.exec(policy.qual) ?? forms.text.exec(policy.qual) ?? forms.varchar.exec(policy.qual)
  const name = match?.groups?.['column'] ?? match?.groups?.['mirrored']
  if (name === undefined) return undefined
  const found = columns.find((column) => column.name === unquoted(name))
  const needs = forms.uuid.test(policy.qual) ? 'uuid' : 'text'
  return found?.exactText === needs && found.generated === null ? found.name : undefined
}
