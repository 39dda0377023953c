import { type ExposureFacts, type PolicyFact, type Privilege, type RelationFact, userMetadataPattern } from './exposure-facts.js'
import type { NamedFinding } from './find-exposure.js'
import { joined } from './words.js'

/** One policy with what is around it. */
interface Scene {
  readonly policy: PolicyFact
  readonly table: RelationFact
  readonly facts: ExposureFacts
}

const found = ({ policy, table }: Scene) => ({
  object: `policy ${policy.quoted} on ${table.object}`,
  name: table.name,
  roles: policy.roles,
})

const textOf = ({ using, check }: PolicyFact): string => `${using ?? ''}\n${check ?? ''}`

// A key in a literal ('user_metadata', '{user_metadata,role}'), or the column; a column of the table that is called user_metadata is its own affair.
const namesUserMetadata = new RegExp(`'[^']*${userMetadataPattern}[^']*'|raw_${userMetadataPattern}`)

/** C2: whoever is signed in can write anything into its own user_metadata. */
const userMetadata = (scene: Scene): readonly NamedFinding[] => {
  const { policy, facts } = scene
  const reader = facts.functions.find(({ id, readsUserMetadata }) => readsUserMetadata && policy.functions.includes(id))
  const direct = namesUserMetadata.test(textOf(policy))
  if (!direct && !reader) return []
  const how = direct ? 'It decides by user_metadata' : `It calls ${reader?.object}, which decides by user_metadata`
  return [
    {
      ...found(scene),
      level: 'error',
      code: 'policyUserMetadata',
      why: `${how}, which users write themselves (updateUser): anybody can claim to be an admin. app_metadata is written by the server alone.`,
      fix: `alter policy ${policy.quoted} on ${scene.table.object} using (…); -- (select auth.jwt() -> 'app_metadata' ->> 'role') in its place`,
    },
  ]
}

/** How an expression goes on after a call: closing brackets, and the name that a sub-select gives its column. */
const tail = '(?:\\)| AS (?:"[^"]*"|\\w+))*'
const uidAsText = new RegExp(`auth\\.uid\\(\\)${tail}::(?:text|character varying)`)
const roleCompared = new RegExp(
  `(?:auth\\.role\\(\\)|auth\\.jwt\\(\\) ->> 'role'::text)${tail} = (?:ANY \\(+ARRAY\\[([^\\]]*)\\]|('(?:[^']|'')*'))`,
  'g',
)

/** C1: where ids are text, subjects need not be uuids, and auth.uid() raises on those. */
const castUid = (scene: Scene): readonly NamedFinding[] =>
  uidAsText.test(textOf(scene.policy))
    ? [
        {
          ...found(scene),
          level: 'warning',
          code: 'policyUidAsText',
          why: 'It compares auth.uid() with text. Where a subject is no uuid, auth.uid() raises, and every statement of that caller fails; without the cast it would not even compile.',
          fix: `alter policy ${scene.policy.quoted} on ${scene.table.object} using (…); -- (select auth.jwt() ->> 'sub') in place of auth.uid()::text`,
        },
      ]
    : []

/** C2: the role of a token is the database's role; an application's roles stand elsewhere. */
const neverHolds = (scene: Scene): readonly NamedFinding[] => {
  const { policy, table, facts } = scene
  const known = new Set(facts.roleNames)
  const wrong = [...textOf(policy).matchAll(roleCompared)].flatMap(([, list, one]) => {
    const values = [...(list ?? one ?? '').matchAll(/'((?:[^']|'')*)'/g)].map(([, value = '']) => value.replaceAll("''", "'"))
    return values.some((value) => known.has(value)) ? [] : values
  })
  if (wrong.length === 0) return []
  return [
    {
      ...found(scene),
      level: 'warning',
      code: 'policyRoleNeverHolds',
      why: `It waits for the role ${joined(wrong.map((value) => `'${value}'`))}, which no token has: the role of a token is a role of the database (anon, authenticated, service_role).`,
      fix: `alter policy ${policy.quoted} on ${table.object} using (…); -- (select auth.jwt() -> 'app_metadata' ->> 'role') in its place`,
    },
  ]
}

const writes = [
  { privilege: 'INSERT', command: 'a', word: 'insert any row' },
  { privilege: 'UPDATE', command: 'w', word: 'update any row' },
  { privilege: 'DELETE', command: 'd', word: 'delete any row' },
] as const satisfies readonly { privilege: Privilege; command: PolicyFact['command']; word: string }[]

type Write = (typeof writes)[number]

const applies = (policy: PolicyFact, { command }: Write): boolean => policy.command === '*' || policy.command === command

const isTrue = (expression: string | null): boolean => expression === 'true'

/** What a write may do that a condition of nothing but `true` leaves open. */
const openWord = (policy: PolicyFact, write: Write): string | undefined => {
  if (!applies(policy, write)) return undefined
  const check = policy.check ?? policy.using
  if (write.command === 'a') return isTrue(check) ? write.word : undefined
  if (write.command === 'd') return isTrue(policy.using) ? write.word : undefined
  if (isTrue(policy.using)) return write.word
  return isTrue(check) ? 'give its rows to anybody' : undefined
}

const restricted = ({ policy, facts }: Scene, role: string, write: Write): boolean =>
  facts.policies.some(
    (other) => other.table === policy.table && !other.permissive && other.roles.includes(role) && applies(other, write),
  )

const alwaysTrue = (scene: Scene): readonly NamedFinding[] => {
  const { policy, table } = scene
  if (!policy.permissive) return []
  const open = policy.roles.flatMap((role) =>
    writes.flatMap((write) => {
      const word = openWord(policy, write)
      if (word === undefined || restricted(scene, role, write)) return []
      return [{ role, word, granted: table.privileges[role]?.includes(write.privilege) === true }]
    }),
  )
  if (open.length === 0) return []
  const granted = open.filter((one) => one.granted)
  const counted = granted.length > 0 ? granted : open
  const roles = [...new Set(counted.map(({ role }) => role))]
  const may = joined([...new Set(counted.map(({ word }) => word))])
  return [
    {
      ...found(scene),
      roles,
      level: granted.some(({ role }) => role === 'anon') ? 'error' : 'warning',
      code: 'policyAlwaysTrue',
      why:
        `Its condition is true: ${joined(roles)} may ${may}${granted.length > 0 ? '' : ', as soon as it is granted'}.` +
        (roles.includes('anon') ? ' anon is everybody.' : ' Whoever signs up is authenticated.'),
      fix: `drop policy ${policy.quoted} on ${table.object}; -- or a condition that names the owner of the row`,
    },
  ]
}

/** What is wrong with the policies of the exposed schemas. Those for roles of the server are its own affair. */
export const policyFindings = (facts: ExposureFacts): readonly NamedFinding[] =>
  facts.policies
    .filter(({ roles }) => roles.length > 0)
    .flatMap((policy) => {
      const table = facts.relations.find(({ id }) => id === policy.table)
      if (!table) return []
      const scene: Scene = { policy, table, facts }
      return [...userMetadata(scene), ...alwaysTrue(scene), ...neverHolds(scene), ...castUid(scene)]
    })
