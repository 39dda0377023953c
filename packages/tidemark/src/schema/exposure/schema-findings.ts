import type { ExposureFacts } from './exposure-facts.js'
import type { NamedFinding } from './find-exposure.js'
import { joined, verb } from './words.js'

/** Roles of callers that no policy holds, or that may become such a role. */
export const roleFindings = ({ roles }: ExposureFacts): readonly NamedFinding[] =>
  roles.flatMap(({ name, aboveRowSecurity, mayBecome }): readonly NamedFinding[] => {
    const found = { level: 'error', code: 'roleAboveRowSecurity', object: `role ${name}`, name, roles: [name] } as const
    if (aboveRowSecurity)
      return [
        {
          ...found,
          why: `${name} is a superuser or has BYPASSRLS: whoever acts as it sees and changes every row, whatever the policies say.`,
          fix: `alter role ${name} nosuperuser nobypassrls;`,
        },
      ]
    if (mayBecome.length === 0) return []
    return [
      {
        ...found,
        why: `${name} is a member of ${joined(mayBecome)}, which no policy holds: any function that it calls may SET ROLE to that.`,
        fix: `revoke ${mayBecome.join(', ')} from ${name};`,
      },
    ]
  })

const writable = ({ schemas }: ExposureFacts): readonly NamedFinding[] =>
  schemas
    .filter(({ writableBy }) => writableBy.length > 0)
    .map(({ name, object, writableBy }) => ({
      level: 'error',
      code: 'schemaWritable',
      object: `schema ${object}`,
      name,
      roles: writableBy,
      why:
        `${joined(writableBy)} may make objects in it: a function or table of a caller's own can stand where other code ` +
        'looks for one.',
      fix: `revoke create on schema ${object} from public, ${writableBy.join(', ')};`,
    }))

const missing = ({ missingSchemas }: ExposureFacts): readonly NamedFinding[] =>
  missingSchemas.map((name) => ({
    level: 'warning',
    code: 'schemaMissing',
    object: `schema ${name}`,
    name,
    roles: [],
    why: 'There is no such schema, so nothing in it was looked at.',
    fix: `create schema "${name.replaceAll('"', '""')}";`,
  }))

const defaults = ({ defaults: all }: ExposureFacts): readonly NamedFinding[] =>
  all.map(({ schema, grantor, roles }) => {
    const where = schema === null ? '' : ` in schema ${schema}`
    return {
      level: 'warning',
      code: 'defaultPrivileges',
      object: `default privileges of ${grantor}${where}`,
      name: schema ?? grantor,
      roles,
      why:
        `Every table that ${grantor} makes is granted to ${joined(roles)} at once, before anybody has written a policy. ` +
        `What ${verb(roles, 'it needs', 'they need')} is better granted table by table, beside the policies.`,
      fix: `alter default privileges for role ${grantor}${where} revoke all on tables from ${['public', ...roles].join(', ')};`,
    }
  })

/** What is wrong with whole schemas. */
export const schemaFindings = (facts: ExposureFacts): readonly NamedFinding[] => [
  ...missing(facts),
  ...writable(facts),
  ...defaults(facts),
]
