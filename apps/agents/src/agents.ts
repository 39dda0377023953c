/** Where this app's SQL migrations are. */
export const agents = {
  name: 'agents',
  migrations: new URL('../migrations/', import.meta.url),
} as const
