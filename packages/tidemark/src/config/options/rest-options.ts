import { boolean, bytes, durationMs, integer, schemaNames, someSchemaNames, text } from './kinds.js'
import { option } from './option.js'

export const restOptions = {
  'rest.enabled': option(boolean, {
    help: 'Whether this server answers /rest/v1 where no cloud project does.',
    default: true,
  }),
  'rest.schemas': option(someSchemaNames, {
    help: 'Schemas whose tables and functions requests reach, and which `tidemark schema check` looks at; the first is that of a request that names none.',
    env: ['TIDEMARK_REST_SCHEMAS', 'PGRST_DB_SCHEMAS'],
    default: ['public'],
  }),
  'rest.extraSearchPath': option(schemaNames, {
    help: 'Schemas in which Postgres looks for names after that of the request.',
    default: ['public', 'extensions'],
  }),
  'rest.maxRows': option(integer(0, 1_000_000_000), {
    help: 'Most rows of an answer, and of each list inside one; 0 for no limit.',
    default: 1000,
  }),
  'rest.maxBodyBytes': option(bytes(1024, 1024 ** 3), {
    help: 'Most bytes of the body of a request.',
    default: 20 * 1024 ** 2,
    defaultText: '20MiB',
  }),
  'rest.preRequest': option(
    text({
      pattern: /^[^.\s"]{1,63}\.[^.\s"]{1,63}$/,
      reason: 'it is not of the form schema.function',
      expected: 'a function as schema.function',
      argument: 'function',
    }),
    {
      help: 'Function without arguments that is called before each request, in its transaction.',
      defaultText: 'none',
    },
  ),
  'rest.aggregates': option(boolean, {
    help: 'Whether requests may use avg(), count(), max(), min() and sum().',
    default: true,
  }),
  'rest.plans': option(boolean, {
    help: "Whether requests may ask for a statement's plan (application/vnd.pgrst.plan), which tells about all data.",
    default: false,
  }),
  'rest.transactionOverride': option(boolean, {
    help: 'Whether requests may ask that nothing stays of them (Prefer: tx=rollback).',
    default: true,
  }),
  'rest.sendTimeoutMs': option(durationMs(1000, 3_600_000), {
    help: 'A caller that takes nothing of its answer for so long is cut off.',
    default: 60_000,
  }),
} as const
