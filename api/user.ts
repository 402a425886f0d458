/** A user of a tenant: what it looks like in JSON, and the statements that keep it. */
import { z } from "zod"
import { versionTag } from "./etag.ts"
import { Id, text } from "./input.ts"
import type { Statement } from "./prepared.ts"
import type { Query } from "./transaction.ts"

const Name = text(1, 200).refine((name) => /\S/.test(name), { error: "must not be blank" })
const Email = text(3, 320).refine((email) => /^[^\s@]+@[^\s@]+$/.test(email), {
  error: "must be an address such as ada@example.com",
})

export const NewUser = z.strictObject({ name: Name, email: Email })
export const UserChange = z
  .strictObject({ name: Name.optional(), email: Email.optional() })
  .refine((change) => Object.keys(change).length > 0, { error: "must name at least one of name, email" })
export const User = z.strictObject({ id: Id, name: z.string(), email: z.string() })
export type UserRow = z.infer<typeof User> & { version: number }

const COLUMNS = "id, name, email, version"
const sql = (name: string, body: string): Statement => ({ name: `user-${name}`, text: body })

const LIST = sql("list", `select id, name, email from users where id > $1 order by id limit $2`)
const GET = sql("get", `select ${COLUMNS} from users where id = $1`)
const LOCK = sql("lock", "select version from users where id = $1 for update")
const INSERT = sql(
  "insert",
  `insert into users (name, email) values ($1, $2) on conflict do nothing returning ${COLUMNS}`,
)
const UPDATE = sql(
  "update",
  `update users u set name = coalesce($2, name), email = coalesce($3, email), version = version + 1,
     updated_at = now()
   where id = $1 and not exists (select from users o where lower(o.email) = lower($3) and o.id <> u.id)
   returning ${COLUMNS}`,
)
/** Deletes who has no cart, and tells of at most ten carts. */
const DELETE = sql(
  "delete",
  `with held as (select id from carts where user_id = $1 order by id limit 10),
        gone as (delete from users where id = $1 and not exists (select from held) returning id)
   select exists (select from gone) as deleted,
          (select coalesce(json_agg(id order by id), '[]') from held) as carts`,
)

/** Up to `limit` users whose id is greater, in the order of their ids. */
export const listUsers = (query: Query, after: number, limit: number): Promise<z.infer<typeof User>[]> =>
  query<z.infer<typeof User>>(LIST, [after, limit])

export const getUser = async (query: Query, id: number): Promise<UserRow | undefined> =>
  (await query<UserRow>(GET, [id]))[0]

/** The new user; undefined where the address is another one's. */
export const insertUser = async (
  query: Query,
  { name, email }: z.infer<typeof NewUser>,
): Promise<UserRow | undefined> => (await query<UserRow>(INSERT, [name, email]))[0]

/** Changes what is given and leaves the rest. */
export async function updateUser(
  query: Query,
  id: number,
  { name, email }: z.infer<typeof UserChange>,
): Promise<UserRow | "no user" | "email taken"> {
  const [row] = await query<UserRow>(UPDATE, [id, name, email])
  return row ?? ((await getUser(query, id)) ? "email taken" : "no user")
}

/** Whether it was deleted, and up to ten carts for whose sake it was not. */
export const deleteUser = async (query: Query, id: number): Promise<{ deleted: boolean; carts: number[] }> =>
  (await query<{ deleted: boolean; carts: number[] }>(DELETE, [id]))[0]!

/** The user's ETag, which nobody changes before this transaction ends. */
export async function lockUser(query: Query, id: number): Promise<string | undefined> {
  const [row] = await query<{ version: number }>(LOCK, [id])
  return row && versionTag(row.version)
}
