/** Who knows how long the way takes. */
import { CallError, type HttpService } from 'tidemark/app'
import { z } from 'zod'
import type { Coordinates } from '../day/distances.js'

export interface Place {
  readonly address?: string | undefined
  readonly coordinates?: Coordinates | undefined
}

export interface Routing {
  /** Seconds from each place to each, by car. Raises CallError, TM_RESILIENCE_*. */
  travelSeconds(places: readonly Place[]): Promise<readonly (readonly number[])[]>
}

const matrix = z.array(
  z.object({
    originIndex: z.number().int().min(0).default(0),
    destinationIndex: z.number().int().min(0).default(0),
    condition: z.string().optional(),
    duration: z
      .string()
      .regex(/^\d+(\.\d+)?s$/)
      .optional(),
  }),
)

const waypoint = ({ address, coordinates }: Place) => ({
  waypoint: coordinates ? { location: { latLng: coordinates } } : { address },
})

/** Google's Routes API: `POST /distanceMatrix/v2:computeRouteMatrix`. The service brings the key along as `X-Goog-Api-Key`. */
export const createGoogleRouting = (service: HttpService): Routing => ({
  travelSeconds: async (places) => {
    const waypoints = places.map(waypoint)
    const answer = await service.call({
      method: 'POST',
      path: '/distanceMatrix/v2:computeRouteMatrix',
      headers: { 'x-goog-fieldmask': 'originIndex,destinationIndex,condition,duration' },
      body: { origins: waypoints, destinations: waypoints, travelMode: 'DRIVE', routingPreference: 'TRAFFIC_UNAWARE' },
    })
    const parsed = matrix.safeParse(answer)
    if (!parsed.success) throw new CallError('UNREADABLE', `${service.service} answered with what is no table of routes.`)
    const seconds = places.map((_from, i) => places.map((_to, j) => (i === j ? 0 : Number.NaN)))
    for (const { originIndex: from, destinationIndex: to, condition, duration } of parsed.data) {
      if (from === to || condition !== 'ROUTE_EXISTS' || duration === undefined) continue
      if (seconds[from]?.[to] !== undefined) seconds[from]![to] = Number(duration.slice(0, -1))
    }
    if (seconds.some((row) => row.some(Number.isNaN)))
      throw new CallError('REFUSED', `${service.service} knows no way between two of the places.`)
    return seconds
  },
})
