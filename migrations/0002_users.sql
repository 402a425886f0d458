-- The tenant's own customers. An address belongs to one of them, however it is capitalised.

create table users (
  id bigint generated always as identity primary key,
  name text not null check (length(name) between 1 and 200),
  email text not null check (length(email) between 3 and 320 and position('@' in email) > 1),
  version integer not null default 1 check (version > 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create unique index users_email_key on users (lower(email));

-- tenantry: down
drop table users;
