import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { useDatabase } from '../testing/postgres/use-database.js'
import { generateTypes } from './generate-types.js'
import type { SchemaClient } from './schema.js'
import { bootstrappedTemplate, connectTo, testUrl } from './testing/bootstrapped-template.js'

const database = useDatabase({ template: bootstrappedTemplate })
let client: SchemaClient

beforeAll(async () => {
  client = await connectTo(testUrl(database.url, 'migrator'))()
  await client.query(`
    create type mood as enum ('calm', 'it''s busy');
    create type point3 as (x float8, y float8, note text);
    create domain email as text check (value like '%@%');
    create table agents (id uuid primary key default gen_random_uuid(), mail email not null, mood mood not null default 'calm',
      tags text[] not null default '{}', moods mood[], spot point3, extra jsonb, raw bytea, "odd name" int);
    create table tours (id bigint generated always as identity primary key, agent_id uuid not null references agents (id),
      price numeric(10, 2), starts timestamptz not null, doubled numeric generated always as (price * 2) stored, done boolean);
    create table badges (agent_id uuid primary key references agents (id), label varchar(20) not null);
    create view busy with (security_invoker = true) as select id, mood from agents;
    create function add_up(a int, b int default 1) returns int language sql as 'select a + b';
    create function agents_of(mood mood) returns setof agents language sql as 'select * from agents';
    create function pairs() returns table (k text, v bigint) language sql as $$ select 'a', 1::bigint $$;
    create function nothing() returns void language sql as '';
    create function twice(x int) returns int language sql as 'select x';
    create function twice(x text) returns text language sql as 'select x';
    create function on_change() returns trigger language plpgsql as $$ begin return new; end $$;
    create schema other; create type other.size as enum ('s', 'm');
    create table other.things (size other.size, mood mood); create table sized (size other.size)`)
})

afterAll(() => client?.end())

/** What the TypeScript compiler says about a program that uses the types; empty where it accepts it. */
const complaints = async (types: string, program: string): Promise<string> => {
  const directory = await mkdtemp(join(tmpdir(), 'tidemark-types-'))
  try {
    await writeFile(join(directory, 'database.types.ts'), types)
    await writeFile(
      join(directory, 'program.ts'),
      `import type { Database, Enums, Tables, TablesInsert, TablesUpdate } from './database.types.js'\n${program}`,
    )
    await writeFile(
      join(directory, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          noEmit: true,
          module: 'NodeNext',
          moduleResolution: 'NodeNext',
          target: 'ES2022',
          types: [],
          skipLibCheck: true,
        },
        files: ['program.ts'],
      }),
    )
    const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
    const { stdout } = spawnSync(process.execPath, [compiler, '-p', directory], { encoding: 'utf8' })
    return stdout
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

describe('generateTypes', () => {
  it('types rows, inserts, updates, views, functions and enums as supabase-js knows them', async () => {
    const program = `
      type Is<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
      const yes = <T extends true>(): T | undefined => undefined
      type Public = Database['public']
      yes<Is<Enums<'mood'>, 'calm' | "it's busy">>()
      yes<Is<Tables<'agents'>['mail'], string>>()
      yes<Is<Tables<'agents'>['tags'], string[]>>()
      yes<Is<Tables<'agents'>['moods'], Enums<'mood'>[] | null>>()
      yes<Is<NonNullable<Tables<'agents'>['spot']>['x'], number | null>>()
      yes<Is<Tables<'agents'>['odd name'], number | null>>()
      yes<Is<Tables<'tours'>['price'], number | null>>()
      yes<Is<Tables<'tours'>['done'], boolean | null>>()
      yes<Is<Tables<'sized'>['size'], 's' | 'm' | null>>()
      yes<Is<Public['Views']['busy']['Row']['mood'], Enums<'mood'> | null>>()
      yes<Is<Public['Functions']['add_up']['Args'], { a: number; b?: number }>>()
      yes<Is<Public['Functions']['agents_of']['Returns'], Tables<'agents'>[]>>()
      yes<Is<Public['Functions']['pairs']['Returns'], { k: string; v: number }[]>>()
      yes<Is<Public['Functions']['nothing']['Returns'], undefined>>()
      yes<Is<Public['Functions']['twice']['Returns'], number | string>>()
      yes<Is<Public['Tables']['badges']['Relationships'][0]['isOneToOne'], true>>()
      yes<Is<Public['Tables']['tours']['Relationships'][0]['columns'], ['agent_id']>>()
      export const insert: TablesInsert<'agents'> = { mail: 'a@b' }
      export const update: TablesUpdate<'tours'> = { starts: '2026-01-01' }
      // @ts-expect-error: required
      export const missing: TablesInsert<'tours'> = { agent_id: 'x' }
      // @ts-expect-error: an identity that is always generated takes no value
      export const identity: TablesInsert<'tours'> = { id: 1, agent_id: 'x', starts: 'now' }
      // @ts-expect-error: a generated column takes no value
      export const generated: TablesUpdate<'tours'> = { doubled: 1 }
      // @ts-expect-error: trigger functions are not called
      export type Trigger = Public['Functions']['on_change']`
    expect(await complaints(await generateTypes(client), program)).toBe('')
  })

  it('gives the same text for the same schema, in whatever order the schemas are named', async () => {
    const once = await generateTypes(client, { schemas: ['public', 'other'] })
    expect(await generateTypes(client, { schemas: ['other', 'public'] })).toBe(once)
    expect(once).toContain("size: Database['other']['Enums']['size'] | null")
  })

  it('types a schema without objects', async () => {
    await client.query('create schema bare')
    expect(await generateTypes(client, { schemas: ['bare'] })).toContain('Tables: { [_ in never]: never }')
  })
})
