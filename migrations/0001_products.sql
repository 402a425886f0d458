-- What a tenant sells. Lists are keyset pages by id, which the primary key serves.

create table products (
  id bigint generated always as identity primary key,
  name text not null check (length(name) between 1 and 200),
  price numeric(12, 2) not null check (price >= 0),
  description text not null default '' check (length(description) <= 10000),
  version integer not null default 1 check (version > 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

comment on column products.version is 'Grows by one with every change of the row, so that two editors notice each other.';

-- tenantry: down
drop table products;
