interface Box {
  readonly left: number
  readonly right: number
  readonly width: number
  readonly height: number
}

interface Part {
  readonly parentElement: Part | null
  readonly tagName: string
  readonly textContent: string | null
  readonly clientWidth: number
  readonly scrollWidth: number
  closest(selector: string): Part | null
  getBoundingClientRect(): Box
  querySelector(selector: string): Part | null
}

interface Text {
  readonly textContent: string
  readonly parentElement: Part
}

interface RoomPage {
  readonly innerWidth: number
  readonly document: {
    readonly documentElement: Part
    readonly body: Part
    querySelectorAll(selector: string): Iterable<Part>
    createTreeWalker(root: unknown, what: number): { nextNode(): Text | null }
    createRange(): { selectNodeContents(node: unknown): void; getClientRects(): Iterable<Box> }
  }
  getComputedStyle(part: Part): {
    readonly overflowX: string
    readonly position: string
    readonly fontSize: string
    readonly visibility: string
  }
}

/** A line longer than that is lost on the way back to the next one. */
const longestLine = 130

/** What does not fit the window, or wastes it: in words, with where it is. `isWide` where there is so much room that it can be wasted. */
export const misfits = ([isWide, longest]: readonly [isWide: boolean, longest: number]): readonly string[] => {
  const page = globalThis as unknown as RoomPage
  const { document, innerWidth } = page
  const found: string[] = []
  const name = (part: Part): string => `<${part.tagName.toLowerCase()}> ${(part.textContent ?? '').slice(0, 60)}`
  const over = document.documentElement.scrollWidth - innerWidth
  if (over > 0) found.push(`the page is ${over} wider than the window`)
  const scrolls = (part: Part | null): boolean =>
    part !== null &&
    part !== document.body &&
    (page.getComputedStyle(part).overflowX !== 'visible' || scrolls(part.parentElement))
  for (const part of document.querySelectorAll('body *')) {
    const { left, right, width, height } = part.getBoundingClientRect()
    if (width === 0 || height === 0 || (left >= -1 && right <= innerWidth + 1)) continue
    if (!scrolls(part.parentElement) && part.closest('.hidden, .skip') === null) found.push(`outside the window: ${name(part)}`)
  }
  const walker = document.createTreeWalker(document.body, 4)
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    if (text.textContent.length <= longest || text.parentElement.closest('.table, pre, code, script, style, .hidden')) continue
    const range = document.createRange()
    range.selectNodeContents(text)
    const letter = Number.parseFloat(page.getComputedStyle(text.parentElement).fontSize) * 0.5
    const line = Math.max(0, ...[...range.getClientRects()].map(({ width }) => width)) / letter
    if (line > longest) found.push(`a line of ${Math.round(line)} letters: ${text.textContent.slice(0, 60)}`)
  }
  if (!isWide) return found
  const screen = document.querySelectorAll('#screen')[Symbol.iterator]().next().value as Part | undefined
  if (screen && screen.getBoundingClientRect().right < innerWidth - 24) found.push('the screen ends before the window does')
  for (const table of document.querySelectorAll('.table')) {
    const { width } = (table.closest('.panel') ?? table.parentElement ?? table).getBoundingClientRect()
    if (table.clientWidth < width - 40) found.push(`a table takes ${table.clientWidth} of ${Math.round(width)}`)
  }
  for (const cell of document.querySelectorAll('[role="columnheader"]'))
    if (cell.scrollWidth > cell.clientWidth + 1) found.push(`a column has no room for its title ${cell.textContent}`)
  return found
}

/** Widths and heights of windows, from a telephone to a large screen. */
export const windows = [
  { width: 3840, height: 2160, args: [true, longestLine] },
  { width: 360, height: 780, args: [false, longestLine] },
] as const
