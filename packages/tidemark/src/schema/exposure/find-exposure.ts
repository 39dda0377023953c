import type { ExposureFinding } from './exposure.js'
import type { ExposureFacts } from './exposure-facts.js'
import { functionFindings } from './function-findings.js'
import { policyFindings } from './policy-findings.js'
import { roleFindings, schemaFindings } from './schema-findings.js'
import { sequenceFindings } from './sequence-findings.js'
import { tableFindings } from './table-findings.js'
import { viewFindings } from './view-findings.js'

/** A finding, with the plain name of the object that an exception would name. */
export interface NamedFinding extends ExposureFinding {
  readonly name: string
}

const levels: readonly ExposureFinding['level'][] = ['error', 'warning']

const order = (a: ExposureFinding, b: ExposureFinding): number => levels.indexOf(a.level) - levels.indexOf(b.level)

/** What is wrong with the facts: errors first, otherwise in the order of the objects. */
export const findExposure = (facts: ExposureFacts, accepted: readonly string[]): readonly ExposureFinding[] =>
  [
    ...roleFindings(facts),
    ...schemaFindings(facts),
    ...tableFindings(facts),
    ...policyFindings(facts),
    ...viewFindings(facts),
    ...functionFindings(facts),
    ...sequenceFindings(facts),
  ]
    .map(
      ({ name, ...finding }): ExposureFinding =>
        finding.level === 'error' && accepted.includes(name)
          ? { ...finding, level: 'warning', why: `Accepted by the configuration: ${finding.why}` }
          : finding,
    )
    .toSorted(order)
