import type { Media } from './query.js'

const names = {
  json: 'application/json',
  object: 'application/vnd.pgrst.object+json',
  array: 'application/vnd.pgrst.array+json',
  csv: 'text/csv',
  geojson: 'application/geo+json',
  openapi: 'application/openapi+json',
  text: 'text/plain',
  octets: 'application/octet-stream',
} as const

/** The media type as PostgREST writes it, without its charset. */
export const mediaName = (media: Media): string => {
  switch (media.kind) {
    case 'object':
    case 'array':
      return `${names[media.kind]}${media.nullsStripped ? ';nulls=stripped' : ''}`
    case 'plan': {
      const options = media.options.length > 0 ? `; options=${media.options.join('|')}` : ''
      return `application/vnd.pgrst.plan+${media.format}; for="${names[media.of]}"${options}`
    }
    default:
      return names[media.kind]
  }
}
