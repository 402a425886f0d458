-- What POST requests with an Idempotency-Key were answered, for a day, so that a repetition changes nothing.

create table idempotency_keys (
  caller text not null,
  key text not null check (length(key) between 1 and 255),
  fingerprint text not null,
  answer json,
  created_at timestamptz not null default now(),
  primary key (caller, key)
);

comment on column idempotency_keys.caller is 'Two callers may choose one key; neither sees the other''s answer.';
comment on column idempotency_keys.fingerprint is 'A digest of the request: a key belongs to one request only.';
comment on column idempotency_keys.answer is 'Null only inside the transaction that does the work.';

-- Finds what is a day old.
create index idempotency_keys_created_at_idx on idempotency_keys (created_at);

-- tenantry: down
drop table idempotency_keys;
