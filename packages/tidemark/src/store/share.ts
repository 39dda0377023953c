/** Which part of a hundred something belongs to, always the same: FNV-1a of its name. */
export const shareOf = (id: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193)
  // Its low bits alone follow the last characters too closely.
  hash ^= hash >>> 16
  return (Math.imul(hash, 0x45d9f3b) >>> 0) % 100
}
