-- The orders in which products are listed: pages start in the middle of an index, and read no further than they show.
-- No tenant has many rows yet, so writers wait a moment only.

-- tenantry: allow index-blocks-writes
create index products_name_id_idx on products (name, id);
-- tenantry: allow index-blocks-writes
create index products_price_id_idx on products (price, id);

-- tenantry: down
drop index products_name_id_idx, products_price_id_idx;
