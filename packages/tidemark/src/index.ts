export {
  type ConfigInput,
  defineConfig,
  isSupabaseConfigured,
  loadConfig,
  maskedConfig,
  resolveConfig,
  supabaseConfig,
  supabaseDatabaseUrl,
  type TidemarkConfig,
} from './config/config.js'
export { type ErrorCode, errorTable, exitCodes, isTidemarkError, TidemarkError } from './errors.js'
