import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto'

/** How hard a hash is to make: 2^logN blocks of 128·r bytes, p times over. */
export interface HashCost {
  readonly logN: number
  readonly r: number
  readonly p: number
}

/** 32 MiB three times over, as OWASP has it. */
export const defaultCost: HashCost = { logN: 15, r: 8, p: 3 }

const saltBytes = 16
const keyBytes = 32

interface ParsedHash {
  readonly cost: HashCost
  readonly salt: Buffer
  readonly key: Buffer
}

const derive = (password: string, salt: Buffer, { logN, r, p }: HashCost, length: number): Promise<Buffer> => {
  const options: ScryptOptions = { N: 2 ** logN, r, p, maxmem: 256 * r * 2 ** logN }
  return new Promise((resolve, reject) => {
    scrypt(password, salt, length, options, (error, key) => (error ? reject(error) : resolve(key)))
  })
}

const base64 = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '')

/** Within bounds that no hash of ours exceeds: a row of the table must not decide how much memory a login takes. */
const parse = (hash: string): ParsedHash | undefined => {
  const match = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([\w+/]{16,86})\$([\w+/]{22,86})$/.exec(hash)
  if (!match) return undefined
  const [logN, r, p] = [Number(match[1]), Number(match[2]), Number(match[3])]
  if (logN < 4 || logN > 17 || r < 1 || r > 16 || p < 1 || p > 8) return undefined
  return { cost: { logN, r, p }, salt: Buffer.from(match[4]!, 'base64'), key: Buffer.from(match[5]!, 'base64') }
}

/** Whether a hash is one that can be verified here. */
export const isKnownHash = (hash: string): boolean => parse(hash) !== undefined

/** As `$scrypt$ln=…,r=…,p=…$salt$hash`. */
export const hashPassword = async (password: string, cost: HashCost): Promise<string> => {
  const salt = randomBytes(saltBytes)
  const key = await derive(password, salt, cost, keyBytes)
  return `$scrypt$ln=${cost.logN},r=${cost.r},p=${cost.p}$${base64(salt)}$${base64(key)}`
}

/** False for another password, and for a hash of another kind. */
export const matchesHash = async (password: string, hash: string): Promise<boolean> => {
  const parsed = parse(hash)
  if (!parsed) return false
  const { cost, salt, key } = parsed
  return timingSafeEqual(await derive(password, salt, cost, key.length), key)
}

/** Whether a hash was made with another cost than is usual now. */
export const isOutdated = (hash: string, { logN, r, p }: HashCost): boolean => {
  const cost = parse(hash)?.cost
  return cost === undefined || cost.logN !== logN || cost.r !== r || cost.p !== p
}
