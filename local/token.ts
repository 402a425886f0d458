/** npm run token -- --tenant shopify: prints a token of the development issuer, for one hour unless --minutes says so. */
import { readdir, readFile } from "node:fs/promises"
import path from "node:path"
import { parseArgs } from "node:util"
import { parse } from "yaml"
import { homeDirectory } from "./home.ts"
import { mintFromHome } from "./issuer.ts"

try {
  const { values } = parseArgs({
    options: {
      tenant: { type: "string", multiple: true, default: [] },
      admin: { type: "boolean", default: false },
      minutes: { type: "string", default: "60" },
      subject: { type: "string", default: "developer" },
    },
  })
  const minutes = Number(values.minutes)
  if (!(minutes > 0)) throw new Error("--minutes must be a number above 0")
  const tenants = await Promise.all(values.tenant.map(idOf))
  const claims = { sub: values.subject, tenants, ...(values.admin ? { scope: "tenants:admin" } : {}) }
  process.stdout.write(`${await mintFromHome(homeDirectory(), claims, Math.round(minutes * 60))}\n`)
} catch (error) {
  process.stderr.write(`token: ${(error as Error).message}\n`)
  process.exitCode = 1
}

/** The id of the tenant of this name, by its file; an id is taken as it is. */
async function idOf(name: string): Promise<string> {
  if (/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(name)) return name.toLowerCase()
  const folder = process.env["TENANTS_DIR"] ?? "tenants"
  for (const file of (await readdir(folder)).filter((one) => /\.ya?ml$/.test(one))) {
    const tenant = parse(await readFile(path.join(folder, file), "utf8")) as {
      id?: unknown
      name?: unknown
    } | null
    if (String(tenant?.name).toLowerCase() === name.toLowerCase()) return String(tenant?.id)
  }
  throw new Error(`no file in ${folder} names the tenant ${name}`)
}
