import { describe, expect, it } from 'vitest'
import { commandLineNames } from './command-line.js'

describe('the command line of a process', () => {
  it.each(['linux', 'darwin'])('tells what it was started with, in the way of %s', async (platform) => {
    expect(await commandLineNames(process.pid, 'node', platform)).toBe(true)
    expect(await commandLineNames(process.pid, '/var/lib/of/somebody/else', platform)).toBe(false)
    expect(await commandLineNames(4_194_999, 'node', platform)).toBe(false)
  })

  it('is not told by Windows', async () => {
    expect(await commandLineNames(process.pid, '/var/lib/of/somebody/else', 'win32')).toBe(true)
  })
})
