import { mediaName } from '../media-name.js'
import type { Media } from '../query.js'
import { restErrors } from '../rest-errors.js'
import { type MediaType, parseMediaType, splitOutsideQuotes } from './media-type.js'

/** What is asked for decides what can be had: some forms exist for the result of a function, or for the root alone. */
export type Subject = 'relation' | 'function' | 'root'

const planOptions = ['analyze', 'verbose', 'settings', 'buffers', 'wal'] as const

const json: Media = { kind: 'json', nullsStripped: false }

const planOf = (type: MediaType, format: 'text' | 'json'): Media | undefined => {
  const of = mediaOf(parseMediaType(type.parameters.get('for') ?? 'application/json'))
  if (of?.kind !== 'json' && of?.kind !== 'object' && of?.kind !== 'csv' && of?.kind !== 'geojson') return undefined
  const wanted = type.parameters.get('options')?.split('|') ?? []
  return { kind: 'plan', format, options: planOptions.filter((option) => wanted.includes(option)), of: of.kind }
}

const mediaOf = (type: MediaType): Media | undefined => {
  const nullsStripped = type.parameters.get('nulls') === 'stripped'
  switch (type.essence) {
    case '*/*':
    case 'application/*':
    case 'application/json':
      return json
    case 'application/vnd.pgrst.object+json':
    case 'application/vnd.pgrst.object':
      return { kind: 'object', nullsStripped }
    case 'application/vnd.pgrst.array+json':
    case 'application/vnd.pgrst.array':
      return nullsStripped ? { kind: 'array', nullsStripped } : json
    case 'text/csv':
      return { kind: 'csv' }
    case 'application/geo+json':
      return { kind: 'geojson' }
    case 'application/openapi+json':
      return { kind: 'openapi' }
    case 'text/plain':
      return { kind: 'text' }
    case 'application/octet-stream':
      return { kind: 'octets' }
    case 'application/vnd.pgrst.plan':
    case 'application/vnd.pgrst.plan+text':
      return planOf(type, 'text')
    case 'application/vnd.pgrst.plan+json':
      return planOf(type, 'json')
    default:
      return undefined
  }
}

const isPossible = (media: Media, subject: Subject, plans: boolean): boolean => {
  if (subject === 'root') return media.kind === 'json' || media.kind === 'openapi'
  if (media.kind === 'text' || media.kind === 'octets') return subject === 'function'
  return media.kind === 'plan' ? plans : media.kind !== 'openapi'
}

interface Accepted {
  readonly name: string
  readonly media: Media | undefined
  readonly quality: number
  /** Of two that are liked alike, the one that says more comes first. */
  readonly precision: number
}

const qualityOf = (text: string | undefined): number => {
  const quality = Number(text ?? 1)
  return Number.isFinite(quality) ? Math.min(Math.max(quality, 0), 1) : 1
}

const accepted = (text: string): Accepted => {
  const type = parseMediaType(text)
  const media = mediaOf(type)
  const own = [...type.parameters.keys()].filter((name) => name !== 'q').length
  const stars = type.essence === '*/*' ? 2 : type.essence.endsWith('/*') ? 1 : 0
  const isAny = type.essence === '*/*' || type.essence === 'application/*'
  const bare = text.replace(/;\s*q=[^;]*/i, '').replace(/\s+/g, '')
  return {
    name: media && !isAny ? mediaName(media) : bare,
    media,
    quality: qualityOf(type.parameters.get('q')),
    precision: own - stars,
  }
}

/** The forms that the header Accept allows, the one that is liked best first. Raises PGRST107 where there is none. */
export const parseAccept = (
  header: string | undefined,
  subject: Subject,
  plans: boolean,
): { readonly media: readonly Media[]; readonly names: readonly string[] } => {
  const texts = splitOutsideQuotes(header ?? '', ',').filter((text) => text.trim() !== '')
  if (texts.length === 0) return { media: [json], names: ['*/*'] }
  const all = texts
    .map(accepted)
    .filter(({ quality }) => quality > 0)
    .sort((one, other) => other.quality - one.quality || other.precision - one.precision)
  const names = all.map(({ name }) => name)
  const media = all.flatMap((one) => (one.media && isPossible(one.media, subject, plans) ? [one.media] : []))
  if (media.length === 0) throw restErrors.mediaTypes(names)
  return { media, names }
}
