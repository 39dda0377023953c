import { Command } from 'ioredis'

/**
 * A command as it goes over the wire. The driver's own writes each argument by itself; here text that lies between two values of bytes is
 * written at once, and bytes are copied once.
 */
export class RespCommand extends Command {
  override toWritable(): string | Buffer {
    const parts: (string | Buffer)[] = []
    let text = `*${this.args.length + 1}\r\n$${this.name.length}\r\n${this.name}\r\n`
    for (const arg of this.args) {
      if (typeof arg === 'string') text += `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`
      else {
        const bytes = arg as Buffer
        parts.push(`${text}$${bytes.length}\r\n`, bytes)
        text = '\r\n'
      }
    }
    return parts.length === 0 ? text : joined([...parts, text])
  }
}

const joined = (parts: readonly (string | Buffer)[]): Buffer => {
  let length = 0
  for (const part of parts) length += Buffer.byteLength(part)
  const bytes = Buffer.allocUnsafe(length)
  let at = 0
  for (const part of parts) at += typeof part === 'string' ? bytes.write(part, at) : part.copy(bytes, at)
  return bytes
}
