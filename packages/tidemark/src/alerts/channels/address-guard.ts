import { BlockList, isIP, isIPv4 } from 'node:net'

/** Networks of IPv4 that are not the public internet: this host, private, shared, link-local (clouds keep their secrets there), test, multicast. */
const closedV4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const

/** Within the part of IPv6 that is public: what carries an address of IPv4 in it, documentation, special purposes. */
const closedV6 = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const

const closed = new BlockList()
for (const [net, bits] of closedV4) closed.addSubnet(net, bits, 'ipv4')
for (const [net, bits] of closedV6) closed.addSubnet(net, bits, 'ipv6')
const globalV6 = new BlockList()
globalV6.addSubnet('2000::', 3, 'ipv6')

/** Whether an address, as the resolver gives it, is one of the public internet. In doubt it is not. */
export const isPublicAddress = (address: string): boolean => {
  if (isIPv4(address)) return !closed.check(address, 'ipv4')
  // A zone names an interface of this host.
  if (isIP(address) !== 6 || address.includes('%')) return false
  return globalV6.check(address, 'ipv6') && !closed.check(address, 'ipv6')
}

/** Hosts and networks that may be called although they are not public. */
export interface AddressRules {
  /** Whether this name may have any address. */
  takesHost(host: string): boolean
  takesAddress(address: string): boolean
}

const network = /^(.+)\/(\d{1,3})$/

/** Names of hosts, addresses and networks: `hooks.internal`, `10.1.2.3`, `10.0.0.0/8`, `fd00::/8`. Raises a RangeError. */
export const addressRules = (allowed: readonly string[]): AddressRules => {
  const hosts = new Set<string>()
  const nets = new BlockList()
  for (const each of allowed) {
    const [, net, bits] = network.exec(each) ?? []
    const family = isIP(net ?? each)
    if (net !== undefined && bits !== undefined) {
      if (family === 0) throw new RangeError(`"${each}" is no network`)
      nets.addSubnet(net, Number(bits), family === 4 ? 'ipv4' : 'ipv6')
    } else if (family !== 0) nets.addAddress(each, family === 4 ? 'ipv4' : 'ipv6')
    else hosts.add(each.toLowerCase())
  }
  return {
    takesHost: (host) => hosts.has(host),
    takesAddress: (address) => isIP(address) !== 0 && nets.check(address, isIPv4(address) ? 'ipv4' : 'ipv6'),
  }
}
