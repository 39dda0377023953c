/** The addresses of a Redis, of a cluster several: another begins where a comma and a scheme follow, as a comma may be part of a password. */
export const splitRedisUrls = (text: string): readonly string[] => text.trim().split(/\s*,\s*(?=rediss?:\/\/)/)
