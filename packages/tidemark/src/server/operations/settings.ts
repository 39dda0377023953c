/** The configuration that counts, and where each value came from. */
import { configSources, maskedConfig, type TidemarkConfig } from '../../config/config.js'

export interface SettingView {
  readonly option: string
  /** Secrets as `***`; null where it is not set. */
  readonly value: string | null
  /** `PORT`, `--port`, the name of a file, `default`; null where it is not set. */
  readonly source: string | null
}

export const settingsList = (config: TidemarkConfig): { readonly settings: readonly SettingView[] } => {
  const sources = configSources(config)
  return {
    settings: maskedConfig(config).map(({ option, value }) => ({
      option,
      value: value ?? null,
      source: value === undefined ? null : (sources.get(option) ?? null),
    })),
  }
}
