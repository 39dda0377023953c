/** The times of a day's stops. */
import type { Travel } from './order-stops.js'

export interface Stop {
  readonly squareFootage?: number | null | undefined
  /** When it may be visited: arrival and departure lie within. */
  readonly window?: { readonly from: Date; readonly until: Date } | undefined
}

export interface PlannedStop {
  /** Which of the stops that were given. */
  readonly stop: number
  readonly arrival: Date
  readonly departure: Date
  readonly travelMinutes: number
  readonly visitMinutes: number
  /** The visit ends after its window does. */
  readonly isLate: boolean
}

export interface PlannedDay {
  readonly stops: readonly PlannedStop[]
  /** How much longer it takes than the day is. */
  readonly overrunMinutes: number
}

const [shortestMinutes, longestMinutes, usualMinutes] = [20, 60, 30]

/** A quarter of an hour and five minutes for each 500 square feet, from 20 to 60 minutes; half an hour where the size is not known. */
export const visitMinutes = (squareFootage: number | null | undefined): number => {
  if (squareFootage == null || !(squareFootage > 0)) return usualMinutes
  return Math.min(longestMinutes, Math.max(shortestMinutes, 15 + Math.ceil(squareFootage / 500) * 5))
}

/** Between two stops, where nobody knows how far apart they are. */
const assumedTravelMinutes = 15

const minuteMs = 60_000

/** One stop after the other, from the beginning of the day on. Who is early for a window waits. */
export const planDay = (
  { start, end, stops }: { readonly start: Date; readonly end: Date; readonly stops: readonly Stop[] },
  order: readonly number[],
  travel?: Travel,
): PlannedDay => {
  const planned: PlannedStop[] = []
  for (const stop of order) {
    const { squareFootage, window } = stops[stop]!
    const before = planned.at(-1)
    const seconds = before ? travel?.between[before.stop]?.[stop] : (travel?.fromOrigin?.[stop] ?? 0)
    const travelMinutes = seconds === undefined ? assumedTravelMinutes : Math.ceil(seconds / 60)
    const there = (before?.departure ?? start).getTime() + travelMinutes * minuteMs
    const arrival = new Date(Math.max(there, window?.from.getTime() ?? there))
    const minutes = visitMinutes(squareFootage)
    const departure = new Date(arrival.getTime() + minutes * minuteMs)
    const isLate = window !== undefined && departure > window.until
    planned.push({ stop, arrival, departure, travelMinutes, visitMinutes: minutes, isLate })
  }
  const endsAt = planned.at(-1)?.departure ?? start
  return { stops: planned, overrunMinutes: Math.max(0, Math.ceil((endsAt.getTime() - end.getTime()) / minuteMs)) }
}
