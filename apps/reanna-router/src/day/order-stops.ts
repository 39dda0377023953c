/** In which order a day's stops are driven to. */
export const strategies = ['optimise', 'furthest', 'closest'] as const

export type Strategy = (typeof strategies)[number]

/** Seconds on the road. */
export interface Travel {
  /** From each stop to each. */
  readonly between: readonly (readonly number[])[]
  /** From where the day begins to each stop; undefined where it begins at the first stop. */
  readonly fromOrigin?: readonly number[] | undefined
}

const to = ({ between }: Travel, from: number, stop: number): number => between[from]?.[stop] ?? 0

const first = ({ fromOrigin }: Travel, stop: number): number => fromOrigin?.[stop] ?? 0

/** The whole way, one after the other. */
export const lengthOf = (travel: Travel, order: readonly number[]): number =>
  order.reduce((sum, stop, i) => sum + (i === 0 ? first(travel, stop) : to(travel, order[i - 1]!, stop)), 0)

/** Of equal ones the first that was given. */
const least = (stops: readonly number[], costOf: (stop: number) => number): number =>
  stops.reduce((best, stop) => (costOf(stop) < costOf(best) ? stop : best))

const nearestNext = (travel: Travel, start: number, stops: readonly number[]): readonly number[] => {
  const order = [start]
  let left = stops.filter((stop) => stop !== start)
  while (left.length > 0) {
    const next = least(left, (stop) => to(travel, order.at(-1)!, stop))
    order.push(next)
    left = left.filter((stop) => stop !== next)
  }
  return order
}

/** Turns pieces of the way around as long as that makes it shorter. `fixed` stops at the beginning stay. */
const untangle = (travel: Travel, order: readonly number[], fixed: number): readonly number[] => {
  let best = order
  for (let shorter = true; shorter; ) {
    shorter = false
    for (let from = fixed; from < best.length - 1; from++)
      for (let until = from + 2; until <= best.length; until++) {
        const turned = [...best.slice(0, from), ...best.slice(from, until).reverse(), ...best.slice(until)]
        if (lengthOf(travel, turned) >= lengthOf(travel, best) - 1e-9) continue
        best = turned
        shorter = true
      }
  }
  return best
}

/**
 * Numbers of the stops in the order of the day. `closest` begins with the stop nearest to where the day begins and goes on to the nearest each time,
 * `furthest` begins at the other end, `optimise` makes the whole way short. A day without a place to begin at begins at the first stop that was
 * given, or for `furthest` at the one furthest from that.
 */
export const orderStops = (travel: Travel, strategy: Strategy): readonly number[] => {
  const stops = travel.between.map((_times, stop) => stop)
  if (stops.length < 2) return stops
  const away = (stop: number): number => (travel.fromOrigin ? first(travel, stop) : to(travel, 0, stop))
  if (strategy === 'furthest')
    return nearestNext(
      travel,
      least(stops, (stop) => -away(stop)),
      stops,
    )
  const near = nearestNext(travel, least(stops, away), stops)
  return strategy === 'closest' ? near : untangle(travel, near, travel.fromOrigin ? 0 : 1)
}
