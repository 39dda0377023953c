import { randomFillSync } from 'node:crypto'
import { idLength } from './frame.js'

const tokenBytes = (idLength * 3) / 4
/** Random bytes for so many tokens at once: the way to them takes longer than all else that a lease asks of this process. */
const tokensAtOnce = 256
const bytes = Buffer.alloc(tokenBytes * tokensAtOnce)
let at = bytes.length

/** Of {@link idLength} characters, like no other. */
export const newToken = (): string => {
  if (at === bytes.length) {
    randomFillSync(bytes)
    at = 0
  }
  at += tokenBytes
  return bytes.toString('base64url', at - tokenBytes, at)
}
