/** The tenant's own users. */
import type { z } from "zod"
import { versionTag } from "./etag.ts"
import { type Operation, operation, type Outcome } from "./operation.ts"
import { checkAfter, idAfter, limitOf, Page, pageOf, toPage } from "./pages.ts"
import { Problem } from "./problems.ts"
import type { Query } from "./transaction.ts"
import {
  deleteUser,
  getUser,
  insertUser,
  listUsers,
  lockUser,
  NewUser,
  updateUser,
  User,
  UserChange,
  type UserRow,
} from "./user.ts"

const absent = (id: number) => new Problem("user-not-found", `there is no user ${id}`)
const taken = () => new Problem("email-taken", "another user has this address, however it is capitalised")

const toUser = ({ id, name, email }: UserRow): z.infer<typeof User> => ({ id, name, email })
const shown = (row: UserRow): Outcome => ({
  status: 200,
  body: toUser(row),
  etag: versionTag(row.version),
})

const one = {
  path: "/users/{id}",
  ids: { id: "user-not-found" as const },
  current: (query: Query, { id }: { id: number }) => lockUser(query, id),
}

/** The operations under /users. */
export const users: Operation[] = [
  operation({
    method: "get",
    path: "/users",
    name: "listUsers",
    summary: "Lists users in the order of their ids.",
    query: Page.superRefine(checkAfter(({ after }) => idAfter(after))),
    answer: { status: 200, schema: pageOf(User) },
    run: async (query, input) => {
      const limit = limitOf(input.query)
      const rows = await listUsers(query, idAfter(input.query.after), limit + 1)
      return { status: 200, body: toPage(rows, limit, ({ id }) => String(id)) }
    },
  }),
  operation({
    method: "post",
    path: "/users",
    name: "createUser",
    summary: "Adds a user.",
    body: NewUser,
    answer: { status: 201, schema: User },
    problems: ["email-taken"],
    run: async (query, { body }) => {
      const row = await insertUser(query, body)
      if (!row) return taken()
      return {
        status: 201,
        body: toUser(row),
        etag: versionTag(row.version),
        location: `/users/${row.id}`,
      }
    },
  }),
  operation({
    ...one,
    method: "get",
    name: "getUser",
    summary: "Shows a user.",
    answer: { status: 200, schema: User },
    run: async (query, { ids: { id } }) => {
      const row = await getUser(query, id)
      return row ? shown(row) : absent(id)
    },
  }),
  operation({
    ...one,
    method: "patch",
    name: "changeUser",
    summary: "Changes what is given and leaves the rest.",
    body: UserChange,
    answer: { status: 200, schema: User },
    problems: ["email-taken"],
    run: async (query, { ids: { id }, body }) => {
      const row = await updateUser(query, id, body)
      if (row === "no user") return absent(id)
      return row === "email taken" ? taken() : shown(row)
    },
  }),
  operation({
    ...one,
    method: "delete",
    name: "deleteUser",
    summary: "Deletes a user who has no cart.",
    answer: { status: 204 },
    problems: ["user-in-use"],
    run: async (query, { ids: { id } }) => {
      const { deleted, carts } = await deleteUser(query, id)
      if (carts.length > 0) {
        const held = carts.length === 10 ? "10 or more carts" : `cart ${carts.join(", ")}`
        return new Problem("user-in-use", `user ${id} has ${held}`, { members: { carts } })
      }
      return deleted ? { status: 204 } : absent(id)
    },
  }),
]
