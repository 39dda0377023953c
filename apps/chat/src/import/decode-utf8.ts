const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Null where it is no UTF-8. */
export const decodeUtf8 = (bytes: Uint8Array): string | null => {
  try {
    return decoder.decode(bytes)
  } catch {
    return null
  }
}
