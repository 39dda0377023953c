import { describe, expect, it } from 'vitest'
import { splitCommand } from './split-command.js'

describe('a command line without a shell', () => {
  it.each([
    ['systemctl restart app', ['systemctl', 'restart', 'app']],
    ['sh -c \'echo "$X" > out\'', ['sh', '-c', 'echo "$X" > out']],
    ['a "b c"d  e', ['a', 'b cd', 'e']],
    ["''", ['']],
  ])('%s', (text, parts) => {
    expect(splitCommand(text)).toEqual(parts)
  })

  it.each(['', '   ', "sh -c 'open", 'a "b'])('refuses %j', (text) => {
    expect(() => splitCommand(text)).toThrow(expect.objectContaining({ code: 'TM_CLI_USAGE' }))
  })
})
