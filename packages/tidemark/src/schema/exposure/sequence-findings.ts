import type { ExposureFacts, RelationFact } from './exposure-facts.js'
import type { NamedFinding } from './find-exposure.js'
import { joined } from './words.js'

const may = ({ privileges }: RelationFact, role: string, privilege: 'UPDATE' | 'USAGE' | 'INSERT'): boolean =>
  privileges[role]?.includes(privilege) === true

/** Sequences that a caller may set, or draw from without a table to insert the number into. */
export const sequenceFindings = ({ relations }: ExposureFacts): readonly NamedFinding[] =>
  relations
    .filter(({ kind, exposed }) => kind === 'S' && exposed)
    .flatMap((sequence): readonly NamedFinding[] => {
      const roles = Object.keys(sequence.privileges).toSorted()
      const table = relations.find(({ id }) => id === sequence.belongsTo)
      const setting = roles.filter((role) => may(sequence, role, 'UPDATE'))
      const drawing = roles.filter((role) => may(sequence, role, 'USAGE') && !(table && may(table, role, 'INSERT')))
      const named = [...new Set([...setting, ...drawing])]
      if (named.length === 0) return []
      const why =
        setting.length > 0
          ? `${joined(setting)} may set it back, after which keys are given twice.`
          : `${joined(drawing)} may draw numbers from it, and inserts into nothing that needs them.`
      const keeping = setting.filter((role) => !drawing.includes(role))
      const revoke = (what: string, from: readonly string[]): string =>
        from.length > 0 ? `revoke ${what} on sequence ${sequence.object} from ${['public', ...from].join(', ')};` : ''
      return [
        {
          level: 'warning',
          code: 'sequenceGranted',
          object: sequence.object,
          name: sequence.name,
          roles: named,
          why,
          fix: `${revoke('all', drawing)} ${revoke('update', keeping)}`.trim(),
        },
      ]
    })
