import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { propertyRuns } from '../../testing/property-runs.js'
import { addressRules, isPublicAddress } from './address-guard.js'
import { guardedPost, type Lookup } from './guarded-post.js'

const closed = [
  '0.0.0.0',
  '0.1.2.3',
  '10.0.0.1',
  '100.64.0.1',
  '127.0.0.1',
  '127.255.255.254',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '192.0.0.1',
  '198.18.0.1',
  '224.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
  '::ffff:8.8.8.8',
  '::127.0.0.1',
  '64:ff9b::7f00:1',
  '64:ff9b:1::1',
  '2002:7f00:1::',
  '2001::1',
  '2001:db8::1',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fe80::1%eth0',
  '2606:4700::1%eth0',
  'ff02::1',
  '',
  'localhost',
  '127.1',
]

describe('addresses that may be called', () => {
  it('are those of the public internet and no others', () => {
    for (const address of closed) expect([address, isPublicAddress(address)]).toEqual([address, false])
    for (const address of ['8.8.8.8', '1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700:4700::1111', '2a00:1450::1'])
      expect([address, isPublicAddress(address)]).toEqual([address, true])
  })

  it('are others where a host or a network is named', () => {
    const rules = addressRules(['10.1.0.0/16', '127.0.0.1', 'fd00::/8', 'Hooks.Internal'])
    expect(['10.1.2.3', '127.0.0.1', 'fd12::1'].every((address) => rules.takesAddress(address))).toBe(true)
    expect(['10.2.0.1', '127.0.0.2', 'fe80::1', 'hooks.internal'].some((address) => rules.takesAddress(address))).toBe(false)
    expect(rules.takesHost('hooks.internal')).toBe(true)
    expect(() => addressRules(['10.0.0.0/x', 'host/8'])).toThrow('network')
  })
})

const octets = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255))
const privateOctets = fc.oneof(
  fc.tuple(fc.constantFrom(0, 10, 127), fc.nat(255), fc.nat(255), fc.nat(255)),
  fc.tuple(fc.constant(169), fc.constant(254), fc.nat(255), fc.nat(255)),
  fc.tuple(fc.constant(192), fc.constant(168), fc.nat(255), fc.nat(255)),
  fc.tuple(fc.constant(172), fc.integer({ min: 16, max: 31 }), fc.nat(255), fc.nat(255)),
)

/** Spellings that libraries of the C kind take for the same address, and what IPv6 carries it in. */
const spellings = ([a, b, c, d]: readonly [number, number, number, number]): readonly string[] => {
  const whole = ((a * 256 + b) * 256 + c) * 256 + d
  const hex = (n: number): string => `0x${n.toString(16)}`
  const oct = (n: number): string => `0${n.toString(8)}`
  const [high, low] = [(a * 256 + b).toString(16), (c * 256 + d).toString(16)]
  return [
    `${a}.${b}.${c}.${d}`,
    `${whole}`,
    hex(whole),
    oct(whole),
    `${hex(a)}.${oct(b)}.${c}.${hex(d)}`,
    `${a}.${b}.${c * 256 + d}`,
    `${a}.${(b * 256 + c) * 256 + d}`,
    `${a}.${b}.${c}.${d}.`,
    `[::ffff:${a}.${b}.${c}.${d}]`,
    `[::ffff:${high}:${low}]`,
    `[0:0:0:0:0:ffff:${high}:${low}]`,
    `[::${high}:${low}]`,
    `[64:ff9b::${high}:${low}]`,
    `[2002:${high}:${low}::1]`,
    `[2001:0:${high}:${low}::]`,
    [...`${a}.${b}.${c}.${d}`].map((char) => (/\d/.test(char) ? String.fromCodePoint(0xff10 + Number(char)) : '。')).join(''),
    `%${[...String(a)].map((char) => char.charCodeAt(0).toString(16)).join('%')}.${b}.${c}.${d}`,
  ]
}

const post = (host: string, lookup: Lookup, allowed: readonly string[] = []) =>
  guardedPost({
    channel: 'ops',
    url: new URL(`https://${host}/hook`),
    rules: addressRules(allowed),
    body: '{}',
    headers: {},
    signal: AbortSignal.timeout(5000),
    lookup,
  })

describe('posting', () => {
  it('SEC: whatever an address is written as, one that is not public is not called', async () => {
    await fc.assert(
      fc.asyncProperty(privateOctets, fc.nat(16), async (address, which) => {
        const host = spellings(address as [number, number, number, number])[which]!
        if (!URL.canParse(`https://${host}/`)) return
        // A name that is no address is looked up, and leads to the same place.
        const lookup: Lookup = async () => [address.join('.')]
        await expect(post(host, lookup)).rejects.toMatchObject({ code: 'TM_ALERTS_ADDRESS' })
      }),
      propertyRuns(400),
    )
  })

  it('SEC: a name that has one closed address among public ones is not called', async () => {
    await fc.assert(
      fc.asyncProperty(privateOctets, fc.array(octets, { maxLength: 3 }), fc.nat(3), async (address, others, at) => {
        const found = others.map((each) => each.join('.'))
        found.splice(at, 0, address.join('.'))
        await expect(post('hooks.example.com', async () => found)).rejects.toMatchObject({ code: 'TM_ALERTS_ADDRESS' })
      }),
      propertyRuns(200),
    )
    await expect(post('hooks.example.com', async () => [])).rejects.toMatchObject({ code: 'TM_ALERTS_ADDRESS' })
  })

  it('refuses plain HTTP to a public address, logins, and other protocols', async () => {
    const rules = addressRules([])
    const shared = {
      channel: 'ops',
      rules,
      body: '',
      headers: {},
      signal: AbortSignal.timeout(5000),
      lookup: async () => ['8.8.8.8'],
    }
    for (const url of [
      'http://hooks.example.com/',
      'https://me:secret@hooks.example.com/',
      'ftp://hooks.example.com/',
      'file:///etc/passwd',
    ])
      await expect(guardedPost({ ...shared, url: new URL(url) })).rejects.toMatchObject({ code: 'TM_ALERTS_ADDRESS' })
  })
})
