import { createHash } from 'node:crypto'
import type { AlertLabels, ConditionName } from './alerts.js'

/** All labels of a condition, type and entity included, as matchers see them. */
export const labelsOf = ({ alertType, entityType, entityId, labels }: ConditionName): AlertLabels => ({
  ...labels,
  alert_type: alertType,
  entity_type: entityType,
  entity_id: entityId,
})

const bytewise = ([one]: readonly [string, string], [other]: readonly [string, string]): number =>
  Buffer.compare(Buffer.from(one), Buffer.from(other))

/** What names a condition: its sorted labels, each with its length, digested. `tidemark.alert_fingerprint` says the same. */
export const fingerprintOf = (condition: ConditionName): string => {
  const text = Object.entries(labelsOf(condition))
    .sort(bytewise)
    .map(([label, value]) => `${label}=${Buffer.byteLength(value)}:${value};`)
    .join('')
  return createHash('sha256').update(text).digest('hex')
}
