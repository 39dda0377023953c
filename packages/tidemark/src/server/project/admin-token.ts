import { createHash, timingSafeEqual } from 'node:crypto'
import type { TidemarkConfig } from '../../config/config.js'
import type { State } from '../../state/state.js'

/**
 * The tokens that open /admin/v1. The first is the one to show: the configured one, else the project's own. The project's own
 * always counts, because the commands of this project find it in the state folder, whatever the server was started with; those of before
 * count too, so that a token can be replaced while its users go on.
 */
export const adminTokensOf = async ({ server }: TidemarkConfig, state: State): Promise<readonly [string, ...string[]]> => {
  const own = await state.secret('admin-token')
  const others = server.previousAdminTokens ?? []
  return server.adminToken === undefined ? [own, ...others] : [server.adminToken, own, ...others]
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** True where `Authorization: Bearer` carries one of the tokens. Takes as long for a near miss as for a wild guess. */
export const createTokenCheck = (tokens: readonly string[]): ((authorization: string | undefined) => boolean) => {
  const known = tokens.map(digest)
  return (authorization) => {
    const given = digest(/^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? '')
    let found = false
    for (const token of known) found = timingSafeEqual(token, given) || found
    return found
  }
}
