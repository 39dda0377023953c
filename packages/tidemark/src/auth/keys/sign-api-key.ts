/** The two keys that a Supabase client may be made with: JWTs that name a role. */
export interface ApiKeys {
  /** For browsers: row-level security applies. */
  readonly anon: string
  /** For servers: row-level security does not bind it. */
  readonly service: string
}

const tenYearsSeconds = 10 * 365 * 86_400

/** A key as Supabase issues them: an HS256 JWT, valid for ten years. The same moment gives the same key. */
export const signApiKey = async (role: 'anon' | 'service_role', secret: string, issuedAtSeconds: number): Promise<string> => {
  const { SignJWT } = await import('jose')
  return new SignJWT({ role })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuer('tidemark')
    .setIssuedAt(issuedAtSeconds)
    .setExpirationTime(issuedAtSeconds + tenYearsSeconds)
    .sign(new TextEncoder().encode(secret))
}
