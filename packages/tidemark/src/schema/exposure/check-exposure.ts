import type { SchemaClient } from '../schema.js'
import type { ExposureOptions, ExposureReport } from './exposure.js'
import { readExposureFacts } from './exposure-facts.js'
import { findExposure } from './find-exposure.js'

const defaultSchemas: readonly string[] = ['public']

/**
 * Looks at what `anon` and `authenticated` reach in the exposed schemas, and at what row-level security does not hold there.
 * Reads catalogues only; inside a transaction it sees what that transaction has made.
 */
export const checkExposure = async (
  client: Pick<SchemaClient, 'query'>,
  options: ExposureOptions = {},
): Promise<ExposureReport> => {
  const schemas = options.schemas ?? defaultSchemas
  const facts = await readExposureFacts(client, schemas, options.inTransaction ?? false)
  const findings = findExposure(facts, options.accepted ?? [])
  return { ok: findings.every(({ level }) => level !== 'error'), schemas, findings }
}
