import { isIP } from 'node:net'

const groupsOfAddress = 8
/** Those that name the network: whoever has one address of IPv6 mostly has all others of a network like it. */
const groupsOfNetwork = 4

/**
 * What calls from an address are counted by: an address of IPv4 as it is, also in its form of IPv6; of IPv6 the network of 64 bits that it is
 * in, which is one sender's. Anything else as it is.
 */
export const networkOf = (ip: string): string => {
  const [address = ''] = ip.split('%')
  if (isIP(address) !== 6) return ip
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? []
  if (mapped !== undefined) return mapped
  // In one way of the many to write it.
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const [first, last] = [head, tail ?? ''].map((part) => (part === '' ? [] : part.split(':'))) as [string[], string[]]
  const zeros = Array.from({ length: groupsOfAddress - first.length - last.length }, () => '0')
  return `${[...first, ...zeros, ...last].slice(0, groupsOfNetwork).join(':')}::/64`
}
