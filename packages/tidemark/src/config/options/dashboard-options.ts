import { boolean, databaseNames, durationMs, text } from './kinds.js'
import { option } from './option.js'

export const dashboardOptions = {
  'dashboard.enabled': option(boolean, {
    help: 'Whether the server shows the dashboard at /, for whoever can reach the server. Unset, it is shown in development, to this machine alone.',
    env: ['TIDEMARK_DASHBOARD'],
    defaultText: 'in development, for browsers of this machine',
  }),
  'dashboard.databases': option(databaseNames, {
    help: "Databases beside the project's own, on the same Postgres, in which the screen Systems looks for applications that are not in it.",
    env: ['TIDEMARK_DASHBOARD_DATABASES'],
    default: ['re_engine'],
  }),
  'dashboard.sessionMs': option(durationMs(60_000, 86_400_000), {
    help: 'How long an operator stays signed in without doing anything.',
    env: ['TIDEMARK_DASHBOARD_SESSION'],
    default: 3_600_000,
    defaultText: '1h',
  }),
  'dashboard.sessionSecret': option(
    text({
      pattern: /^\S{32,}$/,
      reason: 'it is shorter than 32 characters or holds a space',
      expected: 'at least 32 characters without spaces',
    }),
    {
      help: 'Signs the sessions of operators. Servers behind one address share it.',
      env: ['TIDEMARK_DASHBOARD_SECRET'],
      secret: true,
      defaultText: 'drawn once and kept in the state folder',
    },
  ),
} as const
