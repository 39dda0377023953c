import { TidemarkError } from '../../errors.js'

/** A command line as its arguments: blanks part them, quotes keep them together. No shell looks at it. */
export const splitCommand = (text: string): readonly string[] => {
  const parts = [...text.matchAll(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g)].map(([part]) => part)
  if (parts.length === 0 || parts.join('').length !== text.replaceAll(/\s+(?=(?:[^'"]|'[^']*'|"[^"]*")*$)/g, '').length) {
    throw new TidemarkError('TM_CLI_USAGE', {
      reason: 'A quote in the command is not closed, or the command is empty.',
      command: 'tidemark move',
    })
  }
  return parts.map((part) =>
    part.replaceAll(/'([^']*)'|"([^"]*)"/g, (_all, single?: string, double?: string) => single ?? double ?? ''),
  )
}
