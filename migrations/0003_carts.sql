-- A user's carts, and what is in them. Totals are computed from the products' prices of the moment, never stored.

create table carts (
  id bigint generated always as identity primary key,
  user_id bigint not null references users on delete restrict,
  version integer not null default 1 check (version > 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create index carts_user_id_idx on carts (user_id);

-- A cart goes with its items; a product that is in a cart stays.
create table cart_items (
  cart_id bigint not null references carts on delete cascade,
  product_id bigint not null references products on delete restrict,
  quantity integer not null check (quantity between 1 and 999),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (cart_id, product_id)
);

-- Finds the carts that a product is in, when someone wants to delete it.
create index cart_items_product_id_idx on cart_items (product_id, cart_id);

-- tenantry: down
drop table cart_items;
drop table carts;
