/** How long the way takes as far as coordinates tell, where no service says it. */
export interface Coordinates {
  readonly latitude: number
  readonly longitude: number
}

const earthRadiusKm = 6371
/** Streets are longer than the straight line, and there are lights. */
const kmPerHour = 30

const radians = (degrees: number): number => (degrees * Math.PI) / 180

/** Along the straight line. */
export const kmBetween = (one: Coordinates, other: Coordinates): number => {
  const [a, b] = [radians(one.latitude), radians(other.latitude)]
  const half = Math.sin((b - a) / 2) ** 2
  const turn = Math.sin(radians(other.longitude - one.longitude) / 2) ** 2
  return 2 * earthRadiusKm * Math.asin(Math.min(1, Math.sqrt(half + Math.cos(a) * Math.cos(b) * turn)))
}

/** Undefined where one of them is not known. */
export const secondsByDistance = (places: readonly (Coordinates | undefined)[]): readonly (readonly number[])[] | undefined => {
  if (places.some((place) => place === undefined)) return undefined
  const known = places as readonly Coordinates[]
  return known.map((from) => known.map((place) => (kmBetween(from, place) / kmPerHour) * 3600))
}
