import { beforeAll, describe, expect, it } from 'vitest'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import type { Catalogue } from '../catalogue.js'
import { findRelationship } from './find-relationship.js'
import { findColumn, findTable } from './find-table.js'
import { readCatalogue } from './read-catalogue.js'

const database = useDatabase()
const client = useClient(database)
let catalogue: Catalogue

beforeAll(async () => {
  await client.query(`
    create schema s; create schema other;
    create table s.clients (id int primary key, name text);
    create table s.projects (id int primary key, client_id int references s.clients, name text);
    create table s.users (id int primary key, name text);
    create table s.tasks (id int primary key, project_id int references s.projects);
    create table s.users_tasks (user_id int references s.users, task_id int references s.tasks, primary key (user_id, task_id));
    create table s.favourites (user_id int references s.users, task_id int references s.tasks, primary key (user_id, task_id));
    create table s.addresses (id int primary key);
    create table s.orders (id int primary key, billing int constraint billing_fk references s.addresses, shipping int constraint shipping_fk references s.addresses);
    create table s.tree (id int primary key, parent int references s.tree);
    create table s.organizations (id int primary key, referee int references s.organizations, auditor int references s.organizations);
    create view s.clients_view as select * from s.clients;
    create function s.computed_clients(s.projects) returns setof s.clients rows 1 stable language sql as 'select * from s.clients';
    create function s.clients(s.tasks) returns setof s.clients stable language sql as 'select * from s.clients';
    create table other.far (id int primary key, project_id int references s.projects);
    create table s.parted (a int, b int, primary key (a, b));
    create table s.holder (id int primary key, a int, b int, constraint two_columns foreign key (a, b) references s.parted);
  `)
  catalogue = await readCatalogue(client, { schemas: ['s', 'other'], timezones: new Set() })
})

const find = (from: string, target: string, hint?: string) =>
  findRelationship(catalogue, { schema: 's', name: from }, target, hint)
const told = (from: string, target: string, hint?: string): string => {
  const way = find(from, target, hint)
  if (way.kind === 'computed') return `${way.function.name}()`
  return `${way.kind} ${way.to.name} ${way.kind === 'many-to-many' ? way.junction.name : way.constraint}`
}

describe('a relationship', () => {
  it('is found by the name of the relation, the foreign key, or its column', () => {
    expect(told('projects', 'clients')).toBe('many-to-one clients projects_client_id_fkey')
    expect(told('projects', 'projects_client_id_fkey')).toBe('many-to-one clients projects_client_id_fkey')
    expect(told('projects', 'client_id')).toBe('many-to-one clients projects_client_id_fkey')
    expect(told('projects', 'clients_view')).toBe('many-to-one clients_view projects_client_id_fkey')
    expect(told('clients', 'projects')).toBe('one-to-many projects projects_client_id_fkey')
    expect(told('holder', 'two_columns')).toBe('many-to-one parted two_columns')
    expect(() => find('holder', 'a')).toThrow(expect.objectContaining({ code: 'PGRST200' }))
  })

  it('is told from others by a hint: constraint, column of either side, junction', () => {
    expect(told('orders', 'addresses', 'billing_fk')).toBe('many-to-one addresses billing_fk')
    expect(told('orders', 'addresses', 'shipping')).toBe('many-to-one addresses shipping_fk')
    expect(told('addresses', 'orders', 'shipping')).toBe('one-to-many orders shipping_fk')
    expect(told('projects', 'clients', 'id')).toBe('many-to-one clients projects_client_id_fkey')
    expect(told('users', 'tasks', 'favourites')).toBe('many-to-many tasks favourites')
    expect(told('orders', 'billing')).toBe('many-to-one addresses billing_fk')
  })

  it('to the table itself goes to the many by its name, to the one by the column', () => {
    expect(told('tree', 'tree')).toBe('one-to-many tree tree_parent_fkey')
    expect(told('tree', 'parent')).toBe('many-to-one tree tree_parent_fkey')
    expect(told('organizations', 'organizations', 'auditor')).toBe('one-to-many organizations organizations_auditor_fkey')
    expect(told('organizations', 'referee')).toBe('many-to-one organizations organizations_referee_fkey')
  })

  it('that a function gives goes before those that are detected', () => {
    expect(told('projects', 'computed_clients')).toBe('computed_clients()')
    expect(told('tasks', 'clients')).toBe('clients()')
  })

  it('of several is refused with all of them', () => {
    expect(() => find('orders', 'addresses')).toThrow(
      expect.objectContaining({
        code: 'PGRST201',
        status: 300,
        message: "Could not embed because more than one relationship was found for 'orders' and 'addresses'",
        details: [
          {
            cardinality: 'many-to-one',
            embedding: 'orders with addresses',
            relationship: 'billing_fk using orders(billing) and addresses(id)',
          },
          {
            cardinality: 'many-to-one',
            embedding: 'orders with addresses',
            relationship: 'shipping_fk using orders(shipping) and addresses(id)',
          },
        ],
        hint: "Try changing 'addresses' to one of the following: 'addresses!billing_fk', 'addresses!shipping_fk'. Find the desired relationship in the 'details' key.",
      }),
    )
    expect(() => find('users', 'tasks')).toThrow(
      expect.objectContaining({
        details: [
          {
            cardinality: 'many-to-many',
            embedding: 'users with tasks',
            relationship: 'favourites using favourites_user_id_fkey(user_id) and favourites_task_id_fkey(task_id)',
          },
          {
            cardinality: 'many-to-many',
            embedding: 'users with tasks',
            relationship: 'users_tasks using users_tasks_user_id_fkey(user_id) and users_tasks_task_id_fkey(task_id)',
          },
        ],
        hint: "Try changing 'tasks' to one of the following: 'tasks!favourites', 'tasks!users_tasks'. Find the desired relationship in the 'details' key.",
      }),
    )
  })

  it('that is not there is answered with what was probably meant', () => {
    const refusal = (from: string, target: string, hint?: string) => {
      try {
        return find(from, target, hint)
      } catch (error) {
        return error
      }
    }
    expect(refusal('projects', 'client')).toMatchObject({
      code: 'PGRST200',
      status: 400,
      message: "Could not find a relationship between 'projects' and 'client' in the schema cache",
      details:
        "Searched for a foreign key relationship between 'projects' and 'client' in the schema 's', but no matches were found.",
      hint: "Perhaps you meant 'clients' instead of 'client'.",
    })
    expect(refusal('project', 'clients')).toMatchObject({ hint: "Perhaps you meant 'projects' instead of 'project'." })
    expect(refusal('projects', 'clients', 'wrong')).toMatchObject({
      details:
        "Searched for a foreign key relationship between 'projects' and 'clients' using the hint 'wrong' in the schema 's', but no matches were found.",
      hint: null,
    })
    expect(refusal('projects', 'unrelated_thing')).toMatchObject({ hint: null })
  })

  it('into another exposed schema is none', () => {
    expect(() => find('projects', 'far')).toThrow(expect.objectContaining({ code: 'PGRST200' }))
  })
})

describe('a table or column', () => {
  const refusal = (name: string) => {
    try {
      return findTable(catalogue, 's', name)
    } catch (error) {
      return error
    }
  }

  it('is found by its exact name', () => {
    expect(findTable(catalogue, 's', 'projects').name).toBe('projects')
    expect(findColumn(findTable(catalogue, 's', 'projects'), 'client_id').type).toBe('integer')
  })

  it('that is not there is answered with one that was probably meant', () => {
    expect(refusal('project')).toMatchObject({
      code: 'PGRST205',
      status: 404,
      message: "Could not find the table 's.project' in the schema cache",
      hint: "Perhaps you meant the table 's.projects'",
    })
    expect(refusal('unknown')).toMatchObject({ hint: null })
    expect(() => findColumn(findTable(catalogue, 's', 'projects'), 'client')).toThrow(
      expect.objectContaining({
        code: 'PGRST204',
        message: "Could not find the 'client' column of 'projects' in the schema cache",
      }),
    )
  })
})
