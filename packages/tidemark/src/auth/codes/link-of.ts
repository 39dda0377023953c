/** An address of these characters means the same in a query as it does alone, and mails show it as people know it. */
const plainAddress = /^[A-Za-z0-9:/._~-]+$/

export interface LinkParts {
  /** Under which clients reach this server. */
  readonly externalUrl: string
  readonly token: string
  readonly type: string
  readonly redirectTo: string
}

/** The address that a click on a link opens. */
export const linkOf = ({ externalUrl, token, type, redirectTo }: LinkParts): string => {
  const to = plainAddress.test(redirectTo) ? redirectTo : encodeURIComponent(redirectTo)
  return `${externalUrl}/auth/v1/verify?${new URLSearchParams({ token, type })}&redirect_to=${to}`
}
