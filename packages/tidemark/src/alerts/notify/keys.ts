import type { Alert } from '../alerts.js'

/** What names each thing that is told: the same whichever way it goes, and over all attempts. */
export const noticeKeys = {
  firing: ({ id, severity }: Pick<Alert, 'id' | 'severity'>): string => `${id}:firing:${severity}`,
  resolved: ({ id }: Pick<Alert, 'id'>): string => `${id}:resolved`,
  escalated: ({ id }: Pick<Alert, 'id'>): string => `${id}:escalated`,
  flapping: ({ id }: Pick<Alert, 'id'>): string => `${id}:flapping`,
  repeat: ({ id }: Pick<Alert, 'id'>, count: number): string => `${id}:repeat:${count}`,
  /** In place of another channel that does not take it. */
  instead: (key: string, channel: string): string => `${key}:instead-of:${channel}`,
} as const
