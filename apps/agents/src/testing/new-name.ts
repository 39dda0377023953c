import { randomUUID } from 'node:crypto'

export const newName = (kind: string): string => `${kind}-${randomUUID().slice(0, 8)}`
