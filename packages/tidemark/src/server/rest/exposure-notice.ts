import type { TidemarkConfig } from '../../config/config.js'
import type { Runtime } from '../runtime.js'

/** One line about what the API serves past row-level security; undefined where there is nothing to say. */
export const exposureNotice = async (runtime: Runtime, { rest, schema }: TidemarkConfig): Promise<string | undefined> => {
  const { checkExposure } = await import('../../schema/exposure/check-exposure.js')
  const options = { schemas: rest.schemas, accepted: schema.accepted, inTransaction: true }
  const { findings } = await runtime.pools.migration.transaction((client) => checkExposure(client, options), {
    readOnly: true,
  })
  const open = findings.filter(({ level }) => level === 'error').map(({ object }) => object)
  if (open.length === 0) return undefined
  const named = `${open.slice(0, 3).join(', ')}${open.length > 3 ? ' …' : ''}`
  return `Open to callers past row-level security: ${named}. \`tidemark schema check\` says why, and how to close it.`
}
