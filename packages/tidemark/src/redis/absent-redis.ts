import { TidemarkError } from '../errors.js'
import type { Redis } from './redis.js'

const absent = async (): Promise<never> => {
  throw new TidemarkError('TM_REDIS_ABSENT', {})
}

/** The Redis of a process that has none: every call rejects at once with TM_REDIS_ABSENT. */
export const createAbsentRedis = (): Redis => ({
  driver: 'none',
  state: 'absent',
  target: '',
  command: absent,
  pipeline: absent,
  script: absent,
  subscribe: absent,
  subscribeBytes: absent,
  ping: absent,
  onState: () => () => {},
  stop: async () => {},
})
