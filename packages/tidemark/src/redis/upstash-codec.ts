import { isUtf8 } from 'node:buffer'
import type { LuaScript, RedisArgument, RedisCommand, RedisReply } from './redis.js'

/** A reply as JSON has it, its text in base64 (`OK` excepted). */
export type EncodedReply = string | number | null | readonly EncodedReply[]

/** Text or, where asked, bytes from what `Upstash-Encoding: base64` made of them. */
export const decodeReply = (reply: EncodedReply | undefined, buffers: boolean): RedisReply => {
  if (reply === undefined || reply === null || typeof reply === 'number') return reply ?? null
  if (typeof reply !== 'string') return reply.map((item) => decodeReply(item, buffers))
  // Never base64: that comes in groups of four.
  const bytes = reply === 'OK' ? Buffer.from(reply) : Buffer.from(reply, 'base64')
  return buffers ? bytes : bytes.toString('utf8')
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** True for bytes that JSON cannot carry. */
const isBinary = (arg: RedisArgument): arg is Uint8Array => arg instanceof Uint8Array && !isUtf8(arg)

const textOf = (arg: RedisArgument): string => (arg instanceof Uint8Array ? bufferOf(arg).toString('utf8') : String(arg))

const hexOf = (arg: RedisArgument): string =>
  (arg instanceof Uint8Array ? bufferOf(arg) : Buffer.from(String(arg))).toString('hex')

/** Puts ARGV back into bytes. Stands before a script whose arguments came as hex, on its first line so that line numbers stay. */
const unhex =
  "local ARGV = (function(hex) local byte, out = {}, {} for b = 0, 255 do byte[string.format('%02x', b)] = string.char(b) end " +
  "for i = 1, #hex do out[i] = string.gsub(hex[i], '%x%x', byte) end return out end)(ARGV) "

const shebang = /^#!.*\n/

const takingHex = (lua: string): string => `${shebang.exec(lua)?.[0] ?? ''}${unhex}${lua.replace(shebang, '')}`

/** Runs its arguments as a command: the way for a command that carries bytes. */
const anyCommand = takingHex('return redis.pcall(unpack(ARGV))')

/** The command as JSON can carry it. One with bytes in it becomes a script that takes them as hex. */
export const encodeCommand = (command: RedisCommand): string[] =>
  command.some(isBinary) ? ['EVAL', anyCommand, '0', ...command.map(hexOf)] : command.map(textOf)

/** The script and its arguments as JSON can carry them; undefined where that needs a script of another text. */
export const encodeScript = (
  { name, lua }: LuaScript,
  args: readonly RedisArgument[],
): { readonly name: string; readonly lua: string; readonly args: readonly string[] } | undefined =>
  args.some(isBinary) ? { name, lua: takingHex(lua), args: args.map(hexOf) } : undefined
