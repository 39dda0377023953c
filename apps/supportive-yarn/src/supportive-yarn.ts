/** Where this app's files are: its SQL migrations, and the map by which its SQLite file moves into them. */
export const supportiveYarn = {
  name: 'supportive-yarn',
  migrations: new URL('../migrations/', import.meta.url),
  moveMap: new URL('../maps/supportive-yarn.map.json', import.meta.url),
} as const
