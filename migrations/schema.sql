-- The schema after all steps, so that a review sees what a step does. Nobody runs this file; what writes it is
-- UPDATE_SCHEMA=1 npx vitest run test/migrations/schema-file.test.ts

create table cart_items (
  cart_id bigint not null,
  product_id bigint not null,
  quantity integer not null,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null
);

create table carts (
  id bigint generated always as identity not null,
  user_id bigint not null,
  version integer default 1 not null,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null
);

create table idempotency_keys (
  caller text not null,
  key text not null,
  fingerprint text not null,
  answer json,
  created_at timestamp with time zone default now() not null
);

create table products (
  id bigint generated always as identity not null,
  name text not null,
  price numeric(12,2) not null,
  description text default ''::text not null,
  version integer default 1 not null,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null
);

create table users (
  id bigint generated always as identity not null,
  name text not null,
  email text not null,
  version integer default 1 not null,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null
);

alter table cart_items add constraint cart_items_pkey PRIMARY KEY (cart_id, product_id);

alter table carts add constraint carts_pkey PRIMARY KEY (id);

alter table idempotency_keys add constraint idempotency_keys_pkey PRIMARY KEY (caller, key);

alter table products add constraint products_pkey PRIMARY KEY (id);

alter table users add constraint users_pkey PRIMARY KEY (id);

alter table cart_items add constraint cart_items_quantity_check CHECK (((quantity >= 1) AND (quantity <= 999)));

alter table carts add constraint carts_version_check CHECK ((version > 0));

alter table idempotency_keys add constraint idempotency_keys_key_check CHECK (((length(key) >= 1) AND (length(key) <= 255)));

alter table products add constraint products_description_check CHECK ((length(description) <= 10000));

alter table products add constraint products_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200)));

alter table products add constraint products_price_check CHECK ((price >= (0)::numeric));

alter table products add constraint products_version_check CHECK ((version > 0));

alter table users add constraint users_email_check CHECK ((((length(email) >= 3) AND (length(email) <= 320)) AND (POSITION(('@'::text) IN (email)) > 1)));

alter table users add constraint users_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200)));

alter table users add constraint users_version_check CHECK ((version > 0));

alter table cart_items add constraint cart_items_cart_id_fkey FOREIGN KEY (cart_id) REFERENCES carts(id) ON DELETE CASCADE;

alter table cart_items add constraint cart_items_product_id_fkey FOREIGN KEY (product_id) REFERENCES products(id) ON DELETE RESTRICT;

alter table carts add constraint carts_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE RESTRICT;

CREATE INDEX cart_items_product_id_idx ON public.cart_items USING btree (product_id, cart_id);

CREATE INDEX carts_user_id_idx ON public.carts USING btree (user_id);

CREATE INDEX idempotency_keys_created_at_idx ON public.idempotency_keys USING btree (created_at);

CREATE INDEX products_name_id_idx ON public.products USING btree (name, id);

CREATE INDEX products_price_id_idx ON public.products USING btree (price, id);

CREATE UNIQUE INDEX users_email_key ON public.users USING btree (lower(email));

comment on column public.idempotency_keys.answer is 'Null only inside the transaction that does the work.';

comment on column public.idempotency_keys.caller is 'Two callers may choose one key; neither sees the other''s answer.';

comment on column public.idempotency_keys.fingerprint is 'A digest of the request: a key belongs to one request only.';

comment on column public.products.version is 'Grows by one with every change of the row, so that two editors notice each other.';
