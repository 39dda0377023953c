import { exitCodes } from '../../errors.js'
import type { Finding, Verdict } from '../../server/operations/doctor/finding.js'
import { commandProject } from '../command-project.js'
import type { Run } from '../context.js'
import type { Colors } from '../terminal/terminal.js'

const marks: Readonly<Record<Verdict, (colors: Colors) => string>> = {
  ok: ({ green }) => green('✓'),
  warn: ({ yellow }) => yellow('!'),
  fail: ({ red }) => red('✗'),
}

const line = ({ check, verdict, message, fix }: Finding, width: number, colors: Colors): string => {
  const head = `${marks[verdict](colors)} ${check.padEnd(width)}  ${message}`
  return fix === null ? head : `${head}\n${' '.repeat(width + 4)}${colors.dim(`→ ${fix}`)}`
}

export const doctor: Run = async (context) => {
  const { examine } = await import('../../server/operations/doctor/doctor.js')
  const examination = await examine(await commandProject(context), { serving: false })
  const { findings, ok, unreachable } = examination
  const width = Math.max(...findings.map(({ check }) => check.length))
  context.terminal.result(examination, (colors) => findings.map((finding) => line(finding, width, colors)).join('\n'))
  if (ok) return exitCodes.ok
  return unreachable ? exitCodes.unreachable : exitCodes.failed
}
