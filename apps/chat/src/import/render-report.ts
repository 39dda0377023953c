/** The report for a person. It names keys and reasons, never words of a chat. */
import { type Reason, reasons } from './plan.js'
import { type ImportReport, isVerified, type Verification } from './report.js'

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
  const { dryRun, source, chats, messages, notes, rejects, verification } = report
  const lines = [
    ...(dryRun ? ['dry run: nothing was written, this is what would be'] : []),
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
