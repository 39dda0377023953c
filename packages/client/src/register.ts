import type { AnyDatabase } from './schema.js'

/**
 * Says once for an application which types its database has; clients and hooks know them from then on:
 *
 * ```ts
 * declare module '@tidemark/client' {
 *   interface Register { database: Database }
 * }
 * ```
 */
// biome-ignore lint/suspicious/noEmptyInterface: applications add to it
export interface Register {}

export type RegisteredDatabase = Register extends { database: infer Database } ? Database : AnyDatabase
