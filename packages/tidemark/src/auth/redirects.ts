import type { AuthSettings } from './settings.js'

type Places = Pick<AuthSettings, 'siteUrl' | 'redirectUrls'>

/** `*` stands for a part of a name or path, `**` for anything, `?` for one character of a part. */
const patternOf = (glob: string): RegExp => {
  const source = glob
    .split(/(\*\*|\*|\?)/)
    .map((piece) =>
      piece === '**' ? '.*' : piece === '*' ? '[^./]*' : piece === '?' ? '[^./]' : piece.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'),
    )
    .join('')
  return new RegExp(`^${source}$`, 'i')
}

/** Schemes that run in the browser of whoever follows the link. */
const dangerous = /^(?:javascript|data|vbscript|file|blob|about|view-source):/i

const parse = (url: string): URL | undefined => {
  if (!URL.canParse(url)) return undefined
  const parsed = new URL(url)
  // A name before the host makes an address look like another.
  return dangerous.test(parsed.protocol) || parsed.username !== '' || parsed.password !== '' ? undefined : parsed
}

const isWeb = ({ protocol }: URL): boolean => protocol === 'http:' || protocol === 'https:'

/** An address as it is compared: without its fragment, once with and once without a slash at the end. */
const formsOf = (parsed: URL): readonly string[] => {
  const bare = new URL(parsed)
  bare.hash = ''
  return [bare.href, bare.href.replace(/\/$/, '')]
}

/** This very machine, by any of its names. */
const isLoopback = (hostname: string): boolean => /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(hostname)

const isSameHost = (a: string, b: string): boolean => a === b || (isLoopback(a) && isLoopback(b))

const isAllowed = (parsed: URL, { siteUrl, redirectUrls }: Places): boolean => {
  const site = new URL(siteUrl)
  if (isWeb(parsed) && isSameHost(parsed.hostname, site.hostname)) return true
  const forms = formsOf(parsed)
  return redirectUrls.some((glob) => {
    const pattern = patternOf(glob)
    return forms.some((form) => pattern.test(form))
  })
}

/** Where a link may lead: the first of the wishes that is allowed, else the application itself. */
export const redirectOf = (wishes: readonly (string | undefined)[], places: Places): string => {
  for (const wish of wishes) {
    const parsed = wish === undefined || wish === '' ? undefined : parse(wish)
    // As it was given, where that is unambiguous.
    if (parsed && isAllowed(parsed, places)) return `${wish}/` === parsed.href ? wish! : parsed.href
  }
  return places.siteUrl
}
