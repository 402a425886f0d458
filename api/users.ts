/** The tenant's users: enough to find one for a cart. */
import { Router } from "express"
import { Page, readId, readQuery, toPage } from "./input.ts"
import { Problem } from "./problems.ts"
import { methodNotAllowed } from "./routes.ts"
import type { WithTenant } from "./tenancy.ts"
import type { Statement } from "./transaction.ts"

type User = { id: number; name: string; email: string }

const LIST: Statement = {
  name: "user-list",
  text: "select id, name, email from users where id > $1 order by id limit $2",
}
const GET: Statement = { name: "user-get", text: "select id, name, email from users where id = $1" }

/** The routes under /users. */
export function users(withTenant: WithTenant): Router {
  const router = Router()
  router
    .route("/users")
    .get(
      withTenant(async (database, request, response) => {
        const { limit, after } = readQuery(request, Page)
        response.json(toPage(await database.read((query) => query<User>(LIST, [after, limit + 1])), limit))
      }),
    )
    .all(methodNotAllowed("GET, HEAD"))
  router
    .route("/users/:id")
    .get(
      withTenant(async (database, request, response) => {
        const id = readId(request, "id", "user-not-found")
        const [user] = await database.read((query) => query<User>(GET, [id]))
        if (!user) throw new Problem("user-not-found", `there is no user ${id}`)
        response.json(user)
      }),
    )
    .all(methodNotAllowed("GET, HEAD"))
  return router
}
