import { randomBytes } from 'node:crypto'

/** A name that no other process has. */
export const newInstance = (): string => `${process.pid}-${randomBytes(6).toString('hex')}`
