/**
 * The same server's connection string with another database. Not by the class URL, which refuses one without a host
 * (`postgres:///app?host=/run/postgresql`).
 */
export const withDatabase = (url: string, database: string): string =>
  url.replace(/^(\w+:\/\/[^/?]*)(?:\/[^?]*)?/, (_whole, server: string) => `${server}/${encodeURIComponent(database)}`)
