import type { ExposureFinding, ExposureReport } from '../../schema/exposure/exposure.js'
import type { Colors } from '../terminal/terminal.js'
import { counted } from './progress-text.js'

const mark = (level: ExposureFinding['level'], { red, yellow }: Colors): string => (level === 'error' ? red('✗') : yellow('!'))

/** What, why, and the SQL that mends it. */
export const exposureLines = ({ level, code, object, why, fix }: ExposureFinding, colors: Colors): string =>
  [`${mark(level, colors)} ${colors.bold(object)} ${colors.dim(`(${code})`)}`, `  ${why}`, `  ${colors.dim('→')} ${fix}`].join(
    '\n',
  )

/** The whole report. */
export const exposureText = ({ findings, schemas }: ExposureReport, colors: Colors): string => {
  if (findings.length === 0) return `Nothing in ${schemas.join(', ')} is open to anon or authenticated that should not be.`
  const errors = findings.filter(({ level }) => level === 'error').length
  const sums = [counted(errors, 'error'), counted(findings.length - errors, 'warning')].join(', ')
  return [...findings.map((finding) => exposureLines(finding, colors)), sums].join('\n')
}
