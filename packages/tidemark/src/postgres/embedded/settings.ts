import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * What the server is started with. Given as arguments, so they stand above `postgresql.conf` and `ALTER SYSTEM`, and a
 * new version of Tidemark can change them on existing data.
 */
export const defaultSettings: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  password_encryption: 'scram-sha-256',
  max_connections: '100',
  wal_level: 'logical',
  max_replication_slots: '32',
  max_wal_senders: '32',
  // A slot that nobody reads any more is given up before it fills the disk (FEED-4).
  max_slot_wal_keep_size: '4GB',
  max_wal_size: '2GB',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_line_prefix: '%m [%p] ',
}

/** Counts statements, where the library for it came along: without it the server would not start. Commands may hold secrets, and are not kept. */
export const statisticsSettings = async (nativeDir: string): Promise<Readonly<Record<string, string>>> => {
  const libraries = await readdir(join(nativeDir, 'lib', 'postgresql')).catch(() => [])
  if (!libraries.some((file) => file.startsWith('pg_stat_statements.'))) return {}
  return { shared_preload_libraries: 'pg_stat_statements', 'pg_stat_statements.track_utility': 'off' }
}

/** For clusters that are thrown away after use: a crash of the machine may lose them. */
export const disposableSettings: Readonly<Record<string, string>> = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
}
