/** A plan in words: for the terminal, and as a Markdown page to keep. */
import { formatDuration } from '../time/durations.js'
import type { ColumnPlan, Conversion, Hazard, MovePlan, ObjectDecision, TablePlan } from './move.js'

const count = (value: number): string => value.toLocaleString('en-US')
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
const code = (text: string): string => (text === '' ? '' : `\`${cell(text).replaceAll('`', "'")}\``)

const formatBytes = (bytes: number): string => {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  let [value, unit] = [bytes, 0]
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

const conversionText = (conversion: Conversion): string => {
  switch (conversion.kind) {
    case 'boolean':
      return `boolean: ${conversion.truthy.join(', ')} / ${conversion.falsy.join(', ')}`
    case 'timestamptz':
      return conversion.format ? `timestamptz, in ${conversion.timeZone}` : `timestamptz, any ISO form, in ${conversion.timeZone}`
    case 'epoch':
      return `${conversion.unit} since 1970`
    case 'uuid':
      return `uuid, ${conversion.form}`
    default:
      return conversion.kind
  }
}

const columnLine = (column: ColumnPlan): string =>
  `| ${code(column.source)} | ${code(column.declaredType)} | ${code(column.target)} ${code(column.targetType)} | ${cell(conversionText(column.conversion))}${column.invertible ? '' : ' (one-way)'} | ${cell(column.why)} |`

const tableSection = (table: TablePlan): string[] => [
  `### ${cell(table.source)} → ${cell(table.targetSchema)}.${cell(table.target)}`,
  '',
  `${count(table.rows)} rows; read by ${table.rowKey.kind === 'none' ? 'one pass' : table.rowKey.kind === 'rowid' ? `\`${table.rowKey.name}\`` : table.rowKey.columns.map(code).join(', ')}.`,
  '',
  '| column | declared | becomes | conversion | why |',
  '|---|---|---|---|---|',
  ...table.columns.map(columnLine),
  '',
]

const outcomeText = { kept: 'kept', translated: 'translated', notCarried: '**not carried**' } as const

const objectLine = ({ type, table, name, outcome, why, suggestion }: ObjectDecision): string =>
  `| ${type} | ${table ? code(table) : ''} | ${code(name)} | ${outcomeText[outcome]} | ${cell(why)}${suggestion ? ` — ${cell(suggestion)}` : ''} |`

const place = ({ table, column }: Hazard): string => (column === null ? table : `${table}.${column}`)

const hazardLine = (hazard: Hazard): string =>
  `| ${hazard.severity} | ${code(place(hazard))} | ${count(hazard.count)} | ${cell(hazard.message)} | ${cell(hazard.keys.join('; '))} | ${cell(hazard.suggestion)} |`

/** The plan as a Markdown page. */
export const renderPlan = (plan: MovePlan): string => {
  const { totals } = plan
  const rank = { notCarried: 0, translated: 1, kept: 2 } as const
  const objects = [...plan.objects].sort((a, b) => rank[a.outcome] - rank[b.outcome])
  return [
    `# Move of ${plan.fileName} into schema ${plan.targetSchema}`,
    '',
    `${count(totals.tables)} tables, ${count(totals.rows)} rows, ${formatBytes(totals.bytes)}; about ${formatDuration(totals.estimatedMs)} to copy. Nothing was written.`,
    ...(plan.excluded.length > 0 ? ['', `Left where they are by choice: ${plan.excluded.map(code).join(', ')}.`] : []),
    '',
    '## Hazards',
    '',
    ...(plan.hazards.length === 0
      ? ['None found.']
      : [
          '| severity | where | rows | what | first keys | what to do |',
          '|---|---|---|---|---|---|',
          ...plan.hazards.map(hazardLine),
        ]),
    '',
    '## Objects',
    '',
    ...(objects.length === 0
      ? ['None besides the tables.']
      : ['| kind | table | name | outcome | why |', '|---|---|---|---|---|', ...objects.map(objectLine)]),
    '',
    '## Tables',
    '',
    ...plan.tables.flatMap(tableSection),
  ].join('\n')
}

export interface SummaryOptions {
  /** Marks severities with ANSI colours. */
  readonly color: boolean
}

/** One line of at most 160 characters. */
const brief = (text: string): string => {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > 160 ? `${line.slice(0, 159)}…` : line
}

const paint = (color: boolean, ansi: number, text: string): string => (color ? `\u001b[${ansi}m${text}\u001b[39m` : text)

/** The plan in a screenful: tables with their row counts, what is not carried, and every hazard. */
export const renderPlanSummary = (plan: MovePlan, { color }: SummaryOptions): string => {
  const { totals } = plan
  const width = Math.max(5, ...plan.tables.map(({ source }) => source.length))
  const lost = plan.objects.filter(({ outcome }) => outcome === 'notCarried')
  const translated = plan.objects.filter(({ outcome }) => outcome === 'translated').length
  const kept = plan.objects.filter(({ outcome }) => outcome === 'kept').length
  const colors = { info: 36, warning: 33, loss: 31 } as const
  return [
    `${plan.fileName} → schema ${plan.targetSchema}: ${count(totals.tables)} tables, ${count(totals.rows)} rows, ${formatBytes(totals.bytes)}, about ${formatDuration(totals.estimatedMs)}`,
    ...plan.tables.map(
      ({ source, rows, columns }) => `  ${source.padEnd(width)}  ${count(rows).padStart(12)} rows  ${columns.length} columns`,
    ),
    `Objects: ${kept} kept, ${translated} translated, ${lost.length} not carried.`,
    ...lost.map(({ type, table, name, why, suggestion }) =>
      paint(color, 33, `  ${type} ${table ? `${table}.` : ''}${brief(name)}: ${brief(`${why}. ${suggestion ?? ''}`)}`),
    ),
    plan.hazards.length === 0 ? 'Hazards: none found.' : `Hazards: ${plan.hazards.length}.`,
    ...plan.hazards.map((hazard) =>
      [
        paint(
          color,
          colors[hazard.severity],
          `  ${hazard.severity} ${place(hazard)}: ${count(hazard.count)} × ${hazard.message}.`,
        ),
        ...(hazard.keys.length > 0 ? [`    first: ${hazard.keys.join('; ')}`] : []),
        `    ${hazard.suggestion}`,
      ].join('\n'),
    ),
  ].join('\n')
}
