import { schemaNames } from './kinds.js'
import { option } from './option.js'

export const restOptions = {
  'rest.schemas': option(schemaNames, {
    help: 'Schemas that the API serves; the first is the one that a request without a profile means. What `tidemark schema check` looks at.',
    env: ['TIDEMARK_REST_SCHEMAS', 'PGRST_DB_SCHEMAS'],
    default: ['public'],
  }),
} as const
