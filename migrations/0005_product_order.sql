-- The orders in which products are listed: pages start in the middle of an index, and read no further than they show.

create index products_name_id_idx on products (name, id);
create index products_price_id_idx on products (price, id);

-- tenantry: down
drop index products_name_id_idx, products_price_id_idx;
