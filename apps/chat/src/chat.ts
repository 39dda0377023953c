/** Where this app's SQL migrations are. */
export const chat = {
  name: 'chat',
  migrations: new URL('../migrations/', import.meta.url),
} as const
