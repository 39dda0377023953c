import type { ExposureFacts, PolicyFact, Privilege, RelationFact } from './exposure-facts.js'
import type { NamedFinding } from './find-exposure.js'
import { joined, verb } from './words.js'

const rowPrivileges: readonly Privilege[] = ['SELECT', 'INSERT', 'UPDATE', 'DELETE']

/** Who reaches rows of it by SQL that an API sends. */
export const rolesThatTouch = ({ privileges }: RelationFact): readonly string[] =>
  Object.entries(privileges)
    .filter(([, held]) => held.some((privilege) => rowPrivileges.includes(privilege)))
    .map(([role]) => role)
    .toSorted()

/** What they may do, in words: `read, insert`. */
const doings: Readonly<Partial<Record<Privilege, string>>> = {
  SELECT: 'read',
  INSERT: 'insert',
  UPDATE: 'update',
  DELETE: 'delete',
}

export const doingsOf = ({ privileges }: RelationFact): string =>
  joined(
    Object.entries(doings)
      .filter(([privilege]) => Object.values(privileges).some((held) => held.includes(privilege as Privilege)))
      .map(([, word]) => word),
  )

const withoutRowSecurity = (table: RelationFact, policies: readonly PolicyFact[]): readonly NamedFinding[] => {
  if (table.rowSecurity) return []
  const roles = rolesThatTouch(table)
  const idle =
    policies.length > 0 ? ` Its ${policies.length === 1 ? 'policy has' : `${policies.length} policies have`} no effect.` : ''
  const found = { code: 'rowSecurityOff', object: table.object, name: table.name, roles } as const
  const enable = `alter table ${table.object} enable row level security;`
  if (roles.length === 0)
    return [
      {
        ...found,
        level: 'warning',
        why: `It has no row-level security. Nobody from outside is granted anything on it yet; one GRANT would open every row.${idle}`,
        fix: enable,
      },
    ]
  return [
    {
      ...found,
      level: 'error',
      why: `${joined(roles)} may ${doingsOf(table)} every row: the table has no row-level security.${idle}`,
      fix:
        policies.length > 0 ? enable : `${enable} -- and a policy, or: revoke all on ${table.object} from ${roles.join(', ')};`,
    },
  ]
}

const ownedByCaller = (table: RelationFact): readonly NamedFinding[] => {
  if (table.forced || table.ownedBy.length === 0) return []
  const { ownedBy, object, name } = table
  return [
    {
      level: 'error',
      code: 'ownerIsCaller',
      object,
      name,
      roles: ownedBy,
      why: `${joined(ownedBy)} ${verb(ownedBy, 'owns', 'own')} it, and policies do not hold the owner of a table.`,
      fix: `alter table ${object} owner to current_user;`,
    },
  ]
}

/** Granted, but no policy shows the role a row: an application that expects some gets none, and no error. */
const grantedInVain = (table: RelationFact, policies: readonly PolicyFact[]): readonly NamedFinding[] => {
  if (!table.rowSecurity) return []
  const roles = rolesThatTouch(table).filter(
    (role) => !policies.some((policy) => policy.permissive && policy.roles.includes(role)),
  )
  if (roles.length === 0) return []
  return [
    {
      level: 'warning',
      code: 'grantWithoutPolicy',
      object: table.object,
      name: table.name,
      roles,
      why: `${joined(roles)} may ${doingsOf(table)}, but no policy shows ${verb(roles, 'it', 'them')} a row: the grant is of no use, and the next policy decides alone.`,
      fix: `revoke all on ${table.object} from ${roles.join(', ')}; -- or: create policy … on ${table.object} to ${roles.join(', ')} using (…);`,
    },
  ]
}

const truncateGranted = ({ privileges, object, name }: RelationFact): readonly NamedFinding[] => {
  const roles = Object.keys(privileges)
    .filter((role) => privileges[role]?.includes('TRUNCATE'))
    .toSorted()
  if (roles.length === 0) return []
  return [
    {
      level: 'warning',
      code: 'truncateGranted',
      object,
      name,
      roles,
      why: `${joined(roles)} may TRUNCATE it, which no policy holds. The REST API has no word for it, but a function or a direct session has.`,
      fix: `revoke truncate, references, trigger on ${object} from public, ${roles.join(', ')};`,
    },
  ]
}

/** Who may see a deleted row is not known from its key, so realtime tells them nothing of it. */
const deletesNotTold = (table: RelationFact, policies: readonly PolicyFact[]): readonly NamedFinding[] => {
  if (!table.rowSecurity || !table.tellsKeysOfDeleted) return []
  const reading = policies.filter(
    ({ command, readsBeyondIdentity }) => (command === 'r' || command === '*') && readsBeyondIdentity,
  )
  const roles = rolesThatTouch(table).filter((role) => reading.some((policy) => policy.roles.includes(role)))
  if (roles.length === 0) return []
  return [
    {
      level: 'warning',
      code: 'deletesNotTold',
      object: table.object,
      name: table.name,
      roles,
      why: `Realtime tells ${joined(roles)} of no deleted row, nor of one that leaves their sight: the log holds its key alone, and policies read more than that.`,
      fix: `alter table ${table.object} replica identity full;`,
    },
  ]
}

const foreignTable = (table: RelationFact): readonly NamedFinding[] => {
  const roles = rolesThatTouch(table)
  if (roles.length === 0) return []
  return [
    {
      level: 'error',
      code: 'foreignTable',
      object: table.object,
      name: table.name,
      roles,
      why: `${joined(roles)} may ${doingsOf(table)} every row of a foreign table, which cannot have row-level security.`,
      fix: `revoke all on ${table.object} from public, ${roles.join(', ')};`,
    },
  ]
}

/** What is wrong with the tables of the exposed schemas. */
export const tableFindings = ({ relations, policies }: ExposureFacts): readonly NamedFinding[] =>
  relations
    .filter(({ exposed }) => exposed)
    .flatMap((relation) => {
      if (relation.kind === 'f') return foreignTable(relation)
      if (relation.kind !== 'r' && relation.kind !== 'p') return []
      const own = policies.filter(({ table }) => table === relation.id)
      return [
        ...withoutRowSecurity(relation, own),
        ...ownedByCaller(relation),
        ...grantedInVain(relation, own),
        ...truncateGranted(relation),
        ...deletesNotTold(relation, own),
      ]
    })
