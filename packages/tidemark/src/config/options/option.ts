import type { Kind } from './kinds.js'

/** The documented systems whose variables an option takes over under the same name and with the same meaning. */
export type DocumentedSystem = 'REanna Router' | 'RE Engine' | 'Supportive Yarn' | 'Agents'

export interface OptionSpec {
  /** One line for `--help` and docs/configuration.md. */
  readonly help: string
  /** Environment variables, the first that is set wins. Without any, the name is made from the key: `TIDEMARK_<KEY>`. */
  readonly env?: readonly string[]
  /** A bare number in the environment counts seconds, as the documents have it. */
  readonly envUnit?: 's'
  /** Values of those variables that other programs mean; they count as not set. */
  readonly foreignEnv?: RegExp
  /** The flag's name without dashes. */
  readonly flag?: string
  readonly secret?: true
  /** What stands in the documentation where the default is worked out or absent. */
  readonly defaultText?: string
  readonly systems?: readonly DocumentedSystem[]
}

/** One line of the options table. `HasDefault` decides whether the resolved property is optional. */
export interface Option<T = unknown, HasDefault extends boolean = boolean> extends OptionSpec {
  readonly kind: Kind<T>
  readonly hasDefault: HasDefault
  readonly default: T | undefined
}

export function option<T>(kind: Kind<T>, spec: OptionSpec & { readonly default: NoInfer<T> }): Option<T, true>
export function option<T>(kind: Kind<T>, spec: OptionSpec): Option<T, false>
export function option<T>(kind: Kind<T>, spec: OptionSpec & { readonly default?: T }): Option<T> {
  return { ...spec, kind, hasDefault: spec.default !== undefined, default: spec.default }
}

type ValueOf<O> = O extends Option<infer T> ? T : never

type GroupNames<O> = keyof O extends infer K ? (K extends `${infer H}.${string}` ? H : never) : never

type Below<O, H extends string> = { [K in keyof O as K extends `${H}.${infer Rest}` ? Rest : never]: O[K] }

type LeafNames<O, HasDefault extends boolean> = keyof {
  [K in keyof O as K extends `${string}.${string}` ? never : O[K] extends Option<unknown, HasDefault> ? K : never]: true
}

/** The nested, readonly configuration that a table of dotted keys describes. */
export type Resolved<O> = { readonly [H in GroupNames<O>]: Resolved<Below<O, H>> } & {
  readonly [K in LeafNames<O, true> & keyof O]: ValueOf<O[K]>
} & { readonly [K in LeafNames<O, false> & keyof O]?: ValueOf<O[K]> }

/** What a configuration file may hold: every key optional, and every value also as the text an environment variable would hold. */
export type Given<O> = { readonly [H in GroupNames<O>]?: Given<Below<O, H>> | undefined } & {
  readonly [K in LeafNames<O, boolean> & keyof O]?: ValueOf<O[K]> | (ValueOf<O[K]> extends string ? never : string) | undefined
}
