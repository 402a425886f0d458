/** The operations under /tenants, for administrators. */
import type { Request, RequestHandler, Response } from "express"
import { z } from "zod"
import { Tenant, TenantId, TenantName } from "../reconciler/tenant.ts"
import type { Authenticate } from "./caller.ts"
import { readTags } from "./etag.ts"
import type { Change, Fleet } from "./fleet.ts"
import { readBody, readQuery } from "./input.ts"
import type { Described } from "./operation.ts"
import { fromCursor, limitOf, Page, pageOf, toCursor, toPage } from "./pages.ts"
import { Problem, type ProblemKey } from "./problems.ts"
import type { RateLimit } from "./rate.ts"
import { ChangedTenant, inOrder, ShownTenant, tagOf, toChanged } from "./shown-tenant.ts"

const { seed, hosts } = Tenant.shape
const NewTenant = z.strictObject({ name: TenantName, seed, hosts })
const TenantChange = z
  .strictObject({
    newName: TenantName.optional(),
    hosts: hosts.meta({ description: "All that it shall have of its own; none: []." }),
  })
  .refine((change) => Object.keys(change).length > 0, { error: "must name at least one of newName, hosts" })
const Wait = z.strictObject({
  wait: z
    .string({ error: "must be given once" })
    .regex(/^(?:[1-5]?\d|60)$/, { error: "must be a whole number from 0 to 60" })
    .transform(Number)
    .optional()
    .meta({
      description: "Seconds to wait until it is done; 10 where it is not given. Then the answer is 202.",
    }),
})
const DEFAULT_WAIT = 10

export type Administration = { fleet: Fleet; authenticate: Authenticate; callerRate: RateLimit }

export type AdminOperation = Described & {
  /** It is answered 202 while the reconciler is still at work. */
  mayBeAccepted?: z.ZodType
  /** If-Match is looked at. */
  hasTag?: true
  run: (fleet: Fleet, request: Request, response: Response) => Promise<void>
}

const nameOf = (request: Request): string => {
  const name = TenantName.safeParse(request.params["name"])
  if (!name.success) throw absent()
  return name.data
}
const absent = () => new Problem("tenant-not-found", "there is no tenant of this name")
const waitOf = (request: Request): number => 1000 * (readQuery(request, Wait).wait ?? DEFAULT_WAIT)

const cursorOf = ({ id, name }: ShownTenant) => toCursor("name", name, id)
/** Where the next page begins among tenants in order. Throws Problem where `after` is no cursor. */
function startAfter(tenants: readonly ShownTenant[], after: string): number {
  const [name, id] = fromCursor(after, "name", TenantName, TenantId)
  const index = tenants.findIndex((tenant) => inOrder(tenant, { name, id }) > 0)
  return index === -1 ? tenants.length : index
}
const at = (name: string) => `/tenants/${encodeURIComponent(name)}`
/** Not by Express, which would answer 304 to who has the tag, and so hide what the reconciler has done since. */
const sendWhole = (response: Response, body: object) => void response.type("json").end(JSON.stringify(body))

function sendChange(response: Response, change: Change, status: 200 | 201): void {
  if (change.etag !== undefined) response.set("ETag", change.etag)
  response
    .status(change.isDone ? status : 202)
    .location(at(change.name))
    .json(toChanged(change))
}

const change = { query: Wait, mayBeAccepted: ChangedTenant }
const UNWRITTEN: ProblemKey[] = ["tenants-read-only", "tenants-busy"]

/** What administrators can do. */
export const administration: AdminOperation[] = [
  {
    method: "get",
    path: "/tenants",
    name: "listTenants",
    summary: "Lists tenants in the order of their names.",
    query: Page,
    answer: { status: 200, schema: pageOf(ShownTenant) },
    async run(fleet, request, response) {
      const query = readQuery(request, Page)
      const limit = limitOf(query)
      const tenants = await fleet.list()
      const start = query.after === undefined ? 0 : startAfter(tenants, query.after)
      sendWhole(response, toPage(tenants.slice(start, start + limit + 1), limit, cursorOf))
    },
  },
  {
    ...change,
    method: "post",
    path: "/tenants",
    name: "createTenant",
    summary: "Declares a tenant, and answers when it is served.",
    body: NewTenant,
    answer: { status: 201, schema: ChangedTenant },
    problems: ["tenant-name-taken", "tenant-host-taken", ...UNWRITTEN],
    async run(fleet, request, response) {
      const wait = waitOf(request)
      const tenant = await readBody(request, response, NewTenant)
      sendChange(response, await fleet.add(tenant, wait), 201)
    },
  },
  {
    method: "get",
    path: "/tenants/{name}",
    name: "getTenant",
    summary: "Shows a tenant.",
    answer: { status: 200, schema: ShownTenant },
    problems: ["tenant-not-found"],
    async run(fleet, request, response) {
      const tenant = await fleet.get(nameOf(request))
      if (!tenant) throw absent()
      sendWhole(response.set("ETag", tagOf(tenant)), tenant)
    },
  },
  {
    ...change,
    method: "patch",
    path: "/tenants/{name}",
    name: "changeTenant",
    hasTag: true,
    summary: "Changes a tenant's name, its own hosts, or both, and answers when it is done.",
    body: TenantChange,
    answer: { status: 200, schema: ChangedTenant },
    problems: ["tenant-not-found", "tenant-name-taken", "tenant-host-taken", ...UNWRITTEN],
    async run(fleet, request, response) {
      const [name, wait] = [nameOf(request), waitOf(request)]
      const wanted = await readBody(request, response, TenantChange)
      sendChange(response, await fleet.change(name, wanted, wait, readTags(request, "if-match")), 200)
    },
  },
  {
    ...change,
    method: "delete",
    path: "/tenants/{name}",
    name: "deleteTenant",
    hasTag: true,
    summary: "Retires a tenant: its data is kept for the grace period.",
    answer: { status: 200, schema: ChangedTenant },
    problems: ["tenant-not-found", "tenant-protected", ...UNWRITTEN],
    async run(fleet, request, response) {
      const [name, wait] = [nameOf(request), waitOf(request)]
      sendChange(response, await fleet.remove(name, wait, readTags(request, "if-match")), 200)
    },
  },
]

/** The handler of a route: administrators only. */
export const administer =
  ({ fleet, authenticate, callerRate }: Administration) =>
  (operation: AdminOperation): RequestHandler =>
  async (request, response) => {
    response.set("Cache-Control", "no-store").vary("Authorization")
    const caller = await authenticate(request)
    callerRate(caller.name)
    if (!caller.isAdministrator) throw new Problem("not-administrator", "the token is not an administrator's")
    await operation.run(fleet, request, response)
  }
