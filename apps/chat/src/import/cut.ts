/** The first so many code points. */
export const cutTo = (text: string, most: number): string => {
  let units = 0
  let points = 0
  for (const point of text) {
    if (points === most) break
    points += 1
    units += point.length
  }
  return text.slice(0, units)
}
