const mask = '***'

const urlCredentials = /\b([a-z][a-z0-9+.-]*:\/\/)([^\s/@:]*):(\S*)@/gi
const secretParameters =
  /\b((?:api[-_]?key|apikey|access_token|refresh_token|token|secret|password|passwd|pwd|sslpassword|signature)=)[^\s&"']+/gi
const jsonWebTokens = /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g
const secretKeys = /\bsb_secret_[\w-]{8,}/g

/** Text with the passwords of URLs, secret parameters, secret keys and JSON web tokens replaced by `***` (SEC-2). */
export const maskSecrets = (text: string): string =>
  text
    .replace(urlCredentials, (_whole, scheme: string, user: string) => `${scheme}${user}:${mask}@`)
    .replace(secretParameters, (_whole, name: string) => `${name}${mask}`)
    .replace(jsonWebTokens, mask)
    .replace(secretKeys, mask)

/** A secret as it may be shown: its first characters at most, never enough to use. */
export const maskValue = (value: string): string => (value.length > 16 ? `${value.slice(0, 4)}${mask}` : mask)
