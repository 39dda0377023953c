import fc from 'fast-check'
import { Command } from 'ioredis'
import { expect, it } from 'vitest'
import { RespCommand } from './resp-command.js'

const text = fc.string({ unit: 'binary', maxLength: 40 })
const bytes = fc.uint8Array({ maxLength: 40 }).map((each) => Buffer.from(each))

it('goes over the wire as the driver itself would send it, whatever stands in it', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(text, bytes), { maxLength: 12 }), (args) => {
      const sent = (command: Command): string => Buffer.from(command.toWritable({}) as Buffer).toString('hex')
      expect(sent(new RespCommand('XADD', [...args]))).toBe(sent(new Command('XADD', [...args])))
    }),
  )
})
