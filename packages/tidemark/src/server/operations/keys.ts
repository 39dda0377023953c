/** The project's keys: which there are, and one of them as it is. */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { hidden, type ProjectStatus } from './status.js'

export const keyNames = ['anon', 'service_role', 'admin', 'database', 'pusher'] as const

export type KeyName = (typeof keyNames)[number]

export interface KeyView {
  readonly name: KeyName
  /** As it may be shown: the anon key is made to be public, of the others nothing is. */
  readonly shown: string
  /** The beginning of its SHA-256, by which two are compared. */
  readonly fingerprint: string
}

export const revealRequest = z.strictObject({ name: z.enum(keyNames) })

const secretOf = ({ keys, admin, database, pusher }: ProjectStatus, name: KeyName): string | undefined => {
  switch (name) {
    case 'anon':
      return keys.anon
    case 'service_role':
      return keys.service
    case 'admin':
      return admin.token
    case 'database':
      return database.url
    case 'pusher':
      return pusher?.secret
  }
}

export const keysList = (status: ProjectStatus): { readonly keys: readonly KeyView[] } => ({
  keys: keyNames.flatMap((name) => {
    const value = secretOf(status, name)
    if (value === undefined) return []
    const fingerprint = createHash('sha256').update(value).digest('hex').slice(0, 12)
    return [{ name, shown: name === 'anon' ? value : hidden, fingerprint }]
  }),
})

/** Null where there is none. */
export const keyReveal = (status: ProjectStatus, name: KeyName): { readonly value: string | null } => ({
  value: secretOf(status, name) ?? null,
})
