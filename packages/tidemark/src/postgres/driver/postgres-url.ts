/** What stands in for a host that is left out, which libpq allows and the URL standard does not. */
export const noHost = 'no-host'

/** A `postgres://` text as a URL; undefined where it is none. */
export const parsePostgresUrl = (text: string): URL | undefined => {
  try {
    return new URL(text.replace(/^(postgres(?:ql)?:\/\/(?:[^/@?]*@)?)(?=[/?]|$)/i, `$1${noHost}`))
  } catch {
    return undefined
  }
}
