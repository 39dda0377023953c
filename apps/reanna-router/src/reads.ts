/** The reads that caches answer. A cache knows no callers, so each checks whose tour it is. */
import type { Answer, OpenCache } from 'tidemark'
import { type Read, type ReadContext, readOf } from 'tidemark/app'
import { type Caller, sees } from './access.js'
import type { TourWithVisits } from './answers.js'
import type { ReannaCaches } from './caches.js'
import { ReannaError } from './reanna-error.js'
import type { Tour, Visit } from './rows.js'

/** All raise REANNA_NOT_FOUND, also for what belongs to another. */
export interface TourReads {
  tour(caller: Caller, id: string, context: ReadContext): Promise<Read<TourWithVisits>>
  /** The first stop still to come; null after the last. */
  nextVisit(caller: Caller, tourId: string, context: ReadContext): Promise<Read<Visit | null>>
  /** Counts of everything; for admins. */
  dashboard(): Promise<Read<Readonly<Record<string, Readonly<Record<string, number>>>>>>
}

export const createCachedReads = ({ entries, position }: Pick<OpenCache<ReannaCaches>, 'entries' | 'position'>): TourReads => {
  const told = <T>(answer: Answer<T>): Read<T> => readOf(answer, position())

  const own = async (caller: Caller, id: string, context: ReadContext): Promise<Read<Tour>> => {
    const read = told(await entries.tour.lookup({ tour_id: id }, context))
    if (read.value === null || !sees(caller, read.value.agent_id)) throw new ReannaError('REANNA_NOT_FOUND')
    return { ...read, value: read.value }
  }

  return {
    tour: async (caller, id, context) => {
      const tour = await own(caller, id, context)
      const visits = told(await entries.visits.lookup({ tour_id: id }, context))
      const cache = tour.cache === 'HIT' && visits.cache === 'HIT' ? 'HIT' : 'MISS'
      return { ...tour, cache, value: { ...tour.value, visits: visits.value } }
    },
    nextVisit: async (caller, tourId, context) => {
      await own(caller, tourId, context)
      return told(await entries.nextVisit.lookup({ tour_id: tourId }, context))
    },
    dashboard: async () => told(await entries.dashboard.lookup({})),
  }
}
