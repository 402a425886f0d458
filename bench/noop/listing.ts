/**
 * Servers that do nothing but list, as fast as Node can: Neon's databases of a branch in one answer, and the vault's
 * secrets in pages of 25. A process of its own: node listing.ts <tenants file> <folder>; it prints the environment
 * that leads to it, as JSON.
 */
import { readFileSync } from "node:fs"
import { createServer, type RequestListener, type Server } from "node:http"
import { createServer as createSecureServer } from "node:https"
import type { AddressInfo } from "node:net"
import { openCertificate } from "../../local/vault/certificate.ts"
import { branchOf } from "./fleet.ts"

const PAGE = 25
const [tenantsFile, folder] = process.argv.slice(2) as [string, string]
const listed = JSON.parse(readFileSync(tenantsFile, "utf8")) as {
  database: string
  secret: string
  tags: Record<string, string>
}[]

const started = async (server: Server): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return (server.address() as AddressInfo).port
}
const answer =
  (text: (url: string) => string | Buffer): RequestListener =>
  (request, response) => {
    if (request.headers.authorization === undefined && request.url!.startsWith("/secrets")) {
      const challenge = `Bearer authorization="https://login.microsoftonline.com/${"0".repeat(8)}-0000-4000-8000-${"0".repeat(12)}", resource="https://vault.azure.net"`
      response.writeHead(401, { "WWW-Authenticate": challenge }).end()
      return
    }
    response.writeHead(200, { "Content-Type": "application/json" }).end(text(request.url!))
  }

const at = "2026-01-01T00:00:00Z"
const answers = new Map(
  [...Map.groupBy(listed, ({ tags }) => tags["cell"]!)].map(([project, those]) => {
    const branch_id = branchOf(project)
    const dates = { created_at: at, updated_at: at }
    const databases = those.map(({ database: name }, index) => ({
      id: index + 1,
      branch_id,
      name,
      owner_name: "owner",
      ...dates,
    }))
    const path = `/api/v2/projects/${project}/branches/${branch_id}/databases`
    return [path, Buffer.from(JSON.stringify({ databases }))]
  }),
)
const token = JSON.stringify({
  access_token: "bench",
  expires_on: String(Math.floor(Date.now() / 1000) + 86_400),
  token_type: "Bearer",
  resource: "https://vault.azure.net",
})

const neonPort = await started(createServer(answer((url) => answers.get(url)!)))
const tokenPort = await started(createServer(answer(() => token)))
const { cert, key, caFile } = await openCertificate(folder, Date.now())
let pages: Buffer[] = []
const vaultPort = await started(
  createSecureServer(
    { cert, key },
    answer((url) => pages[Number(new URL(url, "https://localhost").searchParams.get("$skiptoken") ?? 0)]!),
  ),
)
const vaultUrl = `https://localhost:${vaultPort}`
pages = Array.from({ length: Math.ceil(listed.length / PAGE) }, (_, page) => {
  const value = listed.slice(page * PAGE, (page + 1) * PAGE).map(({ secret, tags }) => ({
    id: `${vaultUrl}/secrets/${secret}`,
    attributes: { enabled: true, created: 1_767_225_600, updated: 1_767_225_600 },
    tags,
  }))
  const isLast = (page + 1) * PAGE >= listed.length
  const nextLink = isLast ? null : `${vaultUrl}/secrets?api-version=2026-04-01&$skiptoken=${page + 1}`
  return Buffer.from(JSON.stringify({ value, nextLink }))
})
const environment = {
  NEON_API_URL: `http://127.0.0.1:${neonPort}/api/v2`,
  KEY_VAULT_URL: vaultUrl,
  IDENTITY_ENDPOINT: `http://127.0.0.1:${tokenPort}/token`,
  IDENTITY_HEADER: "bench",
  NODE_EXTRA_CA_CERTS: caFile,
}
process.stdout.write(`${JSON.stringify(environment)}\n`)
process.on("disconnect", () => process.exit())
