import { signalAlerts } from '../../packages/tidemark/dist/alerts/rules/signal-alerts.js'
import { standardRules } from '../../packages/tidemark/dist/alerts/rules/standard-rules.js'

/** Whatever an alert can be named by itself: by a rule, or by a signal. */
const alertNames: readonly string[] = [...standardRules.map(({ name }) => name), ...Object.keys(signalAlerts)]

/** The names in the first column of the tables of a section. */
const rowsOf = (page: string, heading: string): readonly string[] => {
  const section = page.split(/^## /m).find((text) => text.startsWith(heading)) ?? ''
  const rows = section.split('\n').filter((line) => line.startsWith('| `'))
  return rows.flatMap((row) => [...row.split(' | ')[0]!.matchAll(/`([^`]+)`/g)].map((match) => match[1]!))
}

/** Who is woken by an alert finds what to do: each has its row, and no row is of something that there is not. */
export const alertRowProblems = (page: string, names: readonly string[] = alertNames): readonly string[] => {
  const rows = rowsOf(page, 'Alerts and what to do')
  return [
    ...names.filter((name) => !rows.includes(name)).map((name) => `docs/operations.md has no row for the alert ${name}.`),
    ...rows.filter((name) => !names.includes(name)).map((name) => `docs/operations.md has a row for ${name}, which is no alert.`),
    ...rows.filter((name, at) => rows.indexOf(name) !== at).map((name) => `docs/operations.md has two rows for ${name}.`),
  ]
}
