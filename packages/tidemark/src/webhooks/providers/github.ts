import { textAt } from './fields.js'
import { hmacKey } from './keys.js'
import { hmacProof } from './proofs.js'
import { defineProvider, type Provider } from './provider.js'

/**
 * GitHub, and those who sign like it: `sha256=` and the digest of the body. Its id of a delivery stands in a header that is not
 * signed; whoever has caught a delivery could change it. So the digest of the body tells deliveries apart.
 */
export const github = (name = 'github'): Provider =>
  defineProvider({
    name,
    proof: hmacProof({ header: 'x-hub-signature-256', encoding: 'hex', prefix: 'sha256=' }),
    readKey: hmacKey,
    headers: ['x-github-event', 'x-github-delivery'],
    describe: (data, delivery) => {
      const event = delivery.header('x-github-event')
      const action = textAt(data, 'action')
      const sourceType = [event, action].filter((part) => part !== undefined).join('.')
      const repository = textAt(data, 'repository.id')
      return {
        sourceType,
        type: sourceType === '' ? 'unknown' : sourceType,
        entity: repository === undefined ? undefined : { type: 'repository', externalId: repository },
      }
    },
  })
