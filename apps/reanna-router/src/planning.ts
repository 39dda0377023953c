/** Makes a day of what was asked for: an order, times, and what a map service or coordinates say of the way. */
import { randomUUID } from 'node:crypto'
import type { Routing } from './calls/routing.js'
import { secondsByDistance } from './day/distances.js'
import { orderStops, type Travel } from './day/order-stops.js'
import { planDay, type Stop } from './day/plan-day.js'
import { dayIn, timeIn, timeOnDay, zoneOf } from './day/zones.js'
import type { NewProperty, NewTour } from './input.js'
import { ReannaError } from './reanna-error.js'

export interface PlannedVisit {
  readonly id: string
  readonly property: NewProperty
  readonly arrival: Date
  readonly departure: Date
}

export interface PlannedTour {
  readonly start: Date
  readonly end: Date
  readonly timeZone: string
  /** In the order of the day. */
  readonly visits: readonly PlannedVisit[]
  readonly routeData: object
}

interface Way {
  /** Who said how long it takes; `given`: nobody, so the stops stay in the order in which they came. */
  readonly source: 'service' | 'distance' | 'given'
  readonly travel?: Travel
  readonly error?: { readonly code: string; readonly message: string }
}

/** Raises REANNA_INVALID for a window that the day does not hold. */
const stopsOf = (
  { start, end, timeZone }: Pick<PlannedTour, 'start' | 'end' | 'timeZone'>,
  given: readonly NewProperty[],
): Stop[] =>
  given.map(({ square_footage: squareFootage, window }, i) => {
    if (!window) return { squareFootage }
    const day = dayIn(timeZone, start)
    const [from, until] = [timeOnDay(timeZone, day, window.from), timeOnDay(timeZone, day, window.until)]
    if (from < start || until > end) throw new ReannaError('REANNA_INVALID', `properties.${i}.window: lies outside of the tour.`)
    return { squareFootage, window: { from, until } }
  })

/** Of a table that has the beginning of the day in front, where it has one. */
const travelOf = (seconds: readonly (readonly number[])[], hasOrigin: boolean): Travel => {
  if (!hasOrigin) return { between: seconds }
  return { fromOrigin: seconds[0]!.slice(1), between: seconds.slice(1).map((row) => row.slice(1)) }
}

/** A service that fails costs nobody a tour: it is planned without, and says so. */
const findWay = async ({ origin, properties }: NewTour, routing: Routing | undefined): Promise<Way> => {
  const places = [...(origin ? [origin] : []), ...properties]
  const byDistance = secondsByDistance(places.map(({ coordinates }) => coordinates))
  const own: Way = byDistance ? { source: 'distance', travel: travelOf(byDistance, origin !== undefined) } : { source: 'given' }
  if (!routing || properties.length === 0 || places.length < 2) return own
  try {
    return { source: 'service', travel: travelOf(await routing.travelSeconds(places), origin !== undefined) }
  } catch (error) {
    const code = String((error as { readonly code?: unknown }).code ?? 'unexpected')
    return { ...own, error: { code, message: 'The way could not be asked for; the order is made without.' } }
  }
}

/** Raises REANNA_INVALID. */
export const planTour = async (wanted: NewTour, routing?: Routing): Promise<PlannedTour> => {
  const [start, end] = [new Date(wanted.start_time), new Date(wanted.end_time)]
  const timeZone = wanted.time_zone ?? zoneOf(wanted.start_time)
  const stops = stopsOf({ start, end, timeZone }, wanted.properties)
  const { source, travel, error } = await findWay(wanted, routing)
  const order = travel ? orderStops(travel, wanted.strategy) : wanted.properties.map((_property, i) => i)
  const day = planDay({ start, end, stops }, order, travel)
  const visits = day.stops.map(({ stop, arrival, departure }) => ({
    id: randomUUID(),
    property: wanted.properties[stop]!,
    arrival,
    departure,
  }))
  const routeData = {
    strategy: wanted.strategy,
    source,
    ...(error && { error }),
    ...(day.overrunMinutes > 0 && { overrun_minutes: day.overrunMinutes }),
    stops: day.stops.map(({ travelMinutes, visitMinutes, isLate }, i) => ({
      visit_id: visits[i]!.id,
      arrival: timeIn(timeZone, visits[i]!.arrival),
      travel_minutes: travelMinutes,
      visit_minutes: visitMinutes,
      ...(visits[i]!.property.coordinates && { coordinates: visits[i]!.property.coordinates }),
      ...(visits[i]!.property.window && { window: visits[i]!.property.window }),
      ...(isLate && { is_late: true }),
    })),
  }
  return { start, end, timeZone, visits, routeData }
}
