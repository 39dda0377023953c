import type { Media } from '../../query.js'
import type { RowLimit } from '../request-plan.js'
import type { StatementRequest } from '../statement-options.js'

/** One object is made of one row, and PUT writes one; `max-affected` counts what is changed, where it is to be taken at its word. */
export const rowLimit = (request: StatementRequest, media: Media): RowLimit | undefined => {
  if (media.kind === 'plan') return undefined
  const isPut = request.kind === 'insert' && request.put
  if (isPut || media.kind === 'object') return { least: 1, most: 1 }
  const { maxAffected, handling } = request.preferences
  const counts = request.kind === 'update' || request.kind === 'delete' || request.kind === 'call'
  return counts && handling === 'strict' && maxAffected !== undefined ? { least: 0, most: maxAffected } : undefined
}
