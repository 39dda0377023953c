/** Where this app's files are: its SQL migrations. */
export const reEngine = { name: 're-engine', migrations: new URL('../migrations/', import.meta.url) } as const
