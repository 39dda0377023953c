const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 })

/** `1,234,567` */
export const count = (value: number): string => whole.format(value)

/** `1.2M`, for where room is short. */
export const compact = (value: number): string => (Math.abs(value) < 10_000 ? whole.format(value) : short.format(value))

/** For the axis of a chart: as many digits as tell its marks apart. */
export const mark = (value: number): string =>
  value === 0 ? '0' : value < 1 ? value.toFixed(2) : value < 10 ? value.toFixed(1) : compact(value)

/** `1 row`, `2 rows` */
export const counted = (value: number, one: string, many = `${one}s`): string => `${count(value)} ${value === 1 ? one : many}`

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** `12.3 MiB` */
export const bytes = (value: number): string => {
  const power = value < 1 ? 0 : Math.min(Math.floor(Math.log2(value) / 10), units.length - 1)
  const scaled = value / 1024 ** power
  return `${power === 0 || scaled >= 100 ? Math.round(scaled) : scaled.toFixed(1)} ${units[power]}`
}

/** `850 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h` */
export const duration = (ms: number): string => {
  if (ms < 1) return '0 ms'
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`
  const seconds = Math.round(ms / 1_000)
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor((seconds % 86_400) / 3_600), 'h'],
    [Math.floor((seconds % 3_600) / 60), 'min'],
    [seconds % 60, 's'],
  ] as const
  const first = parts.findIndex(([value]) => value > 0)
  return parts
    .slice(first, first + 2)
    .filter(([value]) => value > 0)
    .map(([value, unit]) => `${value} ${unit}`)
    .join(' ')
}

/** `12 s ago`, `just now`; what is ahead is `in 5 min`. */
export const ago = (at: string | number, nowMs: number): string => {
  const ms = nowMs - (typeof at === 'number' ? at : Date.parse(at))
  if (Math.abs(ms) < 2_000) return 'just now'
  const text = duration(Math.abs(ms)).split(' ').slice(0, 2).join(' ')
  return ms < 0 ? `in ${text}` : `${text} ago`
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })

/** `14:05:09`, in the reader's zone. */
export const timeOfDay = (at: string | number): string => clock.format(typeof at === 'number' ? at : Date.parse(at))

/** `97.3 %`; a dash where nothing is known. */
export const percent = (share: number | null | undefined): string =>
  share === null || share === undefined ? '–' : `${(share * 100).toFixed(share >= 0.9995 || share === 0 ? 0 : 1)} %`

/** A path that a shell takes as one word. */
export const shellWord = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`)

/** Options of a command that have a value, each with a space before it. */
export const shellOptions = (options: Readonly<Record<string, string | undefined>>): string =>
  Object.entries(options)
    .map(([name, value]) => (value === undefined ? '' : ` --${name} ${shellWord(value)}`))
    .join('')
