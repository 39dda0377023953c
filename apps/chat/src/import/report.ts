/** What an import found and did. Every chat and every message is in exactly one of the counts beside `seen`. */
import type { Note, Reason } from './plan.js'

export interface ChatCounts {
  /** Keys that are, or look like, a chat. */
  seen: number
  /** New in Postgres. */
  imported: number
  /** Were there, and got further messages. */
  grown: number
  /** Were there with all their messages. */
  present: number
  /** Were imported before and deleted since: they stay deleted. */
  deleted: number
  purged: number
  rejected: number
}

export interface MessageCounts {
  /** Elements of the lists of all chats that could be read. */
  seen: number
  imported: number
  present: number
  /** Of chats that are deleted or purged here, or rejected for their id. */
  skipped: number
  rejected: number
}

export interface Difference {
  readonly key: string
  readonly what: string
}

export interface Verification {
  readonly chats: { equal: number; different: number; missing: number; deleted: number }
  /** `changedHere`: edited or deleted in Postgres since. */
  readonly messages: { equal: number; changedHere: number; different: number; missing: number }
  /** The first 20. */
  readonly differences: Difference[]
}

export interface ImportReport {
  readonly dryRun: boolean
  /** By which it can be taken back; null where nothing was written. */
  run: string | null
  readonly source: { lists: number; listEntries: number; cacheKeys: number; otherKeys: number }
  readonly chats: ChatCounts
  readonly messages: MessageCounts
  readonly notes: Partial<Record<Reason, number>>
  /** The first 20 that were rejected. */
  readonly rejects: Pick<Note, 'key' | 'item' | 'reason'>[]
  verification: Verification | null
}

const mostExamples = 20

export const createReport = (dryRun: boolean): ImportReport => ({
  dryRun,
  run: null,
  source: { lists: 0, listEntries: 0, cacheKeys: 0, otherKeys: 0 },
  chats: { seen: 0, imported: 0, grown: 0, present: 0, deleted: 0, purged: 0, rejected: 0 },
  messages: { seen: 0, imported: 0, present: 0, skipped: 0, rejected: 0 },
  notes: {},
  rejects: [],
  verification: null,
})

export const countNotes = (report: ImportReport, notes: readonly Note[]): void => {
  for (const { key, item, reason, outcome } of notes) {
    report.notes[reason] = (report.notes[reason] ?? 0) + 1
    if (outcome === 'rejected' && report.rejects.length < mostExamples) report.rejects.push({ key, item, reason })
  }
}

export const createVerification = (): Verification => ({
  chats: { equal: 0, different: 0, missing: 0, deleted: 0 },
  messages: { equal: 0, changedHere: 0, different: 0, missing: 0 },
  differences: [],
})

export const addDifference = ({ differences }: Verification, difference: Difference): void => {
  if (differences.length < mostExamples) differences.push(difference)
}

export const isVerified = ({ chats, messages }: Verification): boolean =>
  chats.different + chats.missing + messages.different + messages.missing === 0

/** Whether the counts add up; if not, this program is wrong. */
export const isBalanced = ({ chats, messages }: ImportReport): boolean => {
  const total = ({ seen: _seen, ...rest }: ChatCounts | MessageCounts) => Object.values(rest).reduce((sum, n) => sum + n, 0)
  return chats.seen === total(chats) && messages.seen === total(messages)
}
