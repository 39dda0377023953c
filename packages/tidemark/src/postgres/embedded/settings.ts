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

/** For clusters that are thrown away after use: a crash of the machine may lose them. */
export const disposableSettings: Readonly<Record<string, string>> = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
}
