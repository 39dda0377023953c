import type { FastifyRequest } from 'fastify'
import { type Clock, systemClock } from '../../time/clock.js'
import { nameOf } from './access.js'
import type { Operator } from './operator.js'

/** Reads through the eyes of somebody else. They change nothing; who looked is noted all the same. */
const looks: Readonly<Record<string, 'each' | 'once'>> = {
  // Whoever joins a channel is there until it leaves.
  'GET /realtime/inspect': 'each',
  // A table is read page by page, and counted beside it.
  'GET /data/rows': 'once',
  'GET /data/count': 'once',
}

/** The same look again, within this time, is the same look. */
const sameForMs = 10 * 60_000
const mostKept = 1_000

export interface Looks {
  /** True for what has to be noted: a look that nobody noted shortly before. */
  begins(request: FastifyRequest, operator: Operator): boolean
}

export const isLook = (request: FastifyRequest): boolean => looks[nameOf(request)] !== undefined

const keyOf = ({ query }: FastifyRequest, { name }: Operator): string => {
  const { offset: _offset, limit: _limit, sort: _sort, whole: _whole, ...seen } = query as Readonly<Record<string, unknown>>
  return JSON.stringify([name, Object.entries(seen).sort(([a], [b]) => (a < b ? -1 : 1))])
}

export const createLooks = (clock: Clock = systemClock): Looks => {
  const noted = new Map<string, number>()
  return {
    begins: (request, operator) => {
      const kind = looks[nameOf(request)]
      if (kind !== 'once') return kind === 'each'
      const key = keyOf(request, operator)
      const at = noted.get(key)
      if (at !== undefined && clock.now() - at < sameForMs) return false
      noted.delete(key)
      noted.set(key, clock.now())
      for (const [oldest] of noted) if (noted.size > mostKept) noted.delete(oldest)
      return true
    },
  }
}
