import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { createTerminal, type Io, type OutputFlags } from './terminal.js'

const capture = (isTTY: boolean) => {
  const stream = new PassThrough()
  return Object.assign(stream, { isTTY, columns: 80, text: () => String(stream.read() ?? '') })
}

const open = (flags: OutputFlags, { tty = false, env = {} }: { tty?: boolean; env?: Io['env'] } = {}) => {
  const [stdin, stdout, stderr] = [capture(tty), capture(tty), capture(tty)]
  const io = { stdin, stdout, stderr, env, cwd: '/' } as unknown as Io
  return { terminal: createTerminal(io, flags), stdout, stderr }
}

describe('the terminal', () => {
  test('a result is text on stdout, or JSON there with --json', () => {
    const plain = open({})
    plain.terminal.result({ n: 1 }, () => 'one')
    expect(plain.stdout.text()).toBe('one\n')
    const json = open({ json: true })
    json.terminal.result({ n: 1, big: 2n ** 60n }, () => 'one')
    expect(JSON.parse(json.stdout.text())).toEqual({ n: 1, big: '1152921504606846976' })
  })

  test('everything else goes to stderr, and --quiet and --verbose decide how much', () => {
    for (const [flags, expected] of [
      [{}, 'note\n! warn\n'],
      [{ quiet: true }, '! warn\n'],
      [{ verbose: true }, 'note\n! warn\ndetail\n'],
    ] as const) {
      const { terminal, stdout, stderr } = open(flags)
      terminal.note('note')
      terminal.warn('warn')
      terminal.detail('detail')
      expect(stderr.text()).toBe(expected)
      expect(stdout.text()).toBe('')
    }
  })

  test('colours and drawing belong to terminals that can and want', () => {
    expect(open({}, { tty: true }).terminal).toMatchObject({ live: true, interactive: true, colors: { isColorSupported: true } })
    expect(open({}).terminal).toMatchObject({ live: false, interactive: false, colors: { isColorSupported: false } })
    expect(open({}, { tty: true, env: { NO_COLOR: '1' } }).terminal.colors.isColorSupported).toBe(false)
    expect(open({ color: false }, { tty: true }).terminal.colors.isColorSupported).toBe(false)
    expect(open({}, { tty: true, env: { TERM: 'dumb' } }).terminal).toMatchObject({
      live: false,
      colors: { isColorSupported: false },
    })
    expect(open({}, { env: { FORCE_COLOR: '1' } }).terminal.colors.isColorSupported).toBe(true)
    expect(open({ quiet: true }, { tty: true }).terminal.live).toBe(false)
  })
})
