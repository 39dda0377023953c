/** Where this app's files are: its SQL migrations, and the map by which its SQLite file moves into them. */
export const reannaRouter = {
  name: 'reanna-router',
  migrations: new URL('../migrations/', import.meta.url),
  moveMap: new URL('../maps/reanna-router.map.json', import.meta.url),
} as const
