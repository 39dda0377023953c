import type { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'

/** The part of node-postgres' connection that is listened to: each message of the server is an event. */
interface Wire extends EventEmitter {
  readonly stream: Duplex
}

const mechanism = 'SCRAM-SHA-256-PLUS'

/** Raised inside the driver, and told apart by its code when errors are mapped. */
export class ChannelBindingError extends Error {
  readonly code = 'TM_CHANNEL_BINDING'
}

/**
 * Makes `channel_binding=require` mean it. The driver binds where the server offers to, and logs in without where it does
 * not; here a server that offers only a login that a man in the middle could pass on is cut off before the password, or
 * anything made of it, is sent. Call it before the client connects.
 */
export const requireChannelBinding = (wire: Wire): void => {
  let bound = false
  const refuse = (reason: string) => {
    // Destroyed first: whatever the driver would still answer goes nowhere.
    wire.stream.destroy()
    wire.emit('error', new ChannelBindingError(`channel_binding=require, but ${reason}`))
  }
  wire.on('authenticationSASL', ({ mechanisms }: { mechanisms: readonly string[] }) => {
    if (!mechanisms.includes(mechanism)) refuse(`the server does not offer ${mechanism}`)
  })
  wire.on('authenticationSASLFinal', () => {
    bound = true
  })
  wire.on('authenticationCleartextPassword', () => refuse('the server asks for the password itself'))
  wire.on('authenticationMD5Password', () => refuse('the server asks for an MD5 login'))
  wire.on('authenticationOk', () => {
    if (!bound) refuse('the server asked for no login at all')
  })
}
