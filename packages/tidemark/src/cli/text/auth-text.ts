import type { KeptCode } from '../../auth/codes/code-file.js'
import type { KeyReport } from '../../auth/keys/change-keys.js'
import { table } from './table.js'

const time = (iso: string): string => iso.replace('T', ' ').slice(0, 19)

/** The keys of a project, as lines. */
export const keysText = (keys: readonly KeyReport[]): string =>
  table(
    ['kind', 'state', 'since', 'until', 'id', 'key'],
    keys.map(({ kind, state, createdAt, until, id, value }) => [
      kind,
      state,
      time(createdAt),
      until === null ? '' : time(until),
      id,
      value ?? '',
    ]),
  )

/** Codes that would have been sent, the latest first, each with its link below it. */
export const codesText = (codes: readonly KeptCode[]): string =>
  codes
    .map(
      ({ kind, to, code, madeAt, link }) =>
        `${code}  ${to}  ${kind}  ${time(madeAt)}${link === undefined ? '' : `\n        ${link}`}`,
    )
    .join('\n')
