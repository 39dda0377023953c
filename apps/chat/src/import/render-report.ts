/** The report for a person. It names keys and reasons, never words of a chat. */
import { type Reason, reasons } from './plan.js'
import type { RemovalReport } from './remove-keys.js'
import { type ImportReport, isVerified, type Verification } from './report.js'
import { type ImportRun, keptReasons, type UndoReport } from './undo-import.js'

const listed = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .filter(([name, value]) => name !== 'seen' && value > 0)
    .map(([name, value]) => `${value} ${name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)}`)
    .join(', ') || 'none'

const verificationLines = (verification: Verification): readonly string[] => [
  isVerified(verification)
    ? 'verified: both sides are equal'
    : 'verified: both sides DIFFER; if Redis is still in use, import again',
  `  chats     ${listed(verification.chats)}`,
  `  messages  ${listed(verification.messages)}`,
  ...verification.differences.map(({ key, what }) => `  ${JSON.stringify(key)}: ${what}`),
]

export const renderReport = (report: ImportReport): string => {
  const { dryRun, run, source, chats, messages, notes, rejects, verification } = report
  const lines = [
    ...(dryRun ? ['dry run: nothing was written, this is what would be'] : []),
    ...(run === null ? [] : [`import    ${run}`]),
    `redis     ${source.lists} lists with ${source.listEntries} entries, ${chats.seen} chats` +
      (source.cacheKeys > 0 ? `, ${source.cacheKeys} keys of this app's caches left alone` : '') +
      (source.otherKeys > 0 ? `, ${source.otherKeys} keys like a list's that are none` : ''),
    `chats     ${chats.seen}: ${listed({ ...chats })}`,
    `messages  ${messages.seen}: ${listed({ ...messages })}`,
    ...Object.entries(notes).map(([reason, n]) => `  ${n} × ${reason}: ${reasons[reason as Reason]}`),
    ...(rejects.length > 0 ? ['rejected (chat_import_rejects has the bytes):'] : []),
    ...rejects.map(({ key, item, reason }) => `  ${JSON.stringify(key)}${item}: ${reasons[reason]}`),
    ...(verification ? verificationLines(verification) : []),
  ]
  return `${lines.join('\n')}\n`
}

const timeOf = (at: Date | null, otherwise: string): string => at?.toISOString() ?? otherwise

export const renderRuns = (runs: readonly ImportRun[]): string =>
  runs.length === 0
    ? 'no imports yet\n'
    : runs
        .map(({ id, started_at, finished_at, undone_at, chats }) => {
          const end = undone_at ? `taken back ${timeOf(undone_at, '')}` : timeOf(finished_at, 'not finished')
          return `${id}  ${timeOf(started_at, '')}  ${end}  ${chats} chats\n`
        })
        .join('')

export const renderUndo = ({ run, dryRun, chats, messages, kept }: UndoReport): string =>
  [
    ...(dryRun ? ['dry run: nothing was changed, this is what would be'] : []),
    `import    ${run}`,
    `chats     ${listed({ ...chats })}`,
    `messages  ${listed({ ...messages })}`,
    ...kept.map(({ key, reason }) => `  ${JSON.stringify(key)}: ${keptReasons[reason]}`),
    '',
  ].join('\n')

export const renderRemoval = ({ dryRun, verification, chats, listEntries }: RemovalReport): string =>
  [
    ...(dryRun ? ['dry run: nothing was removed, this is what would be'] : []),
    ...verificationLines(verification),
    ...(isVerified(verification)
      ? [`removed from Redis: ${chats.removed} of ${chats.seen} chats, ${listEntries.removed} entries of lists`]
      : ['nothing was removed from Redis']),
    ...(chats.changed > 0 ? [`  ${chats.changed} were written to meanwhile: import again`] : []),
    ...(chats.kept > 0 ? [`  ${chats.kept} are not wholly in Postgres (chat_import_rejects), and stay`] : []),
    '',
  ].join('\n')
