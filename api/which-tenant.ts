/** Which tenant a request is for: by a header, by its host's name, or by its path, each where it is switched on. */
import { domainToUnicode } from "node:url"
import type { Request } from "express"
import { isHostName } from "../reconciler/host-name.ts"
import { TenantId, TenantName } from "../reconciler/tenant.ts"
import type { Directory } from "./directory.ts"
import { hostOf, labelOf } from "./host.ts"
import { Problem } from "./problems.ts"

/** In this order they are looked at; all that name a tenant must name the same one. */
export const SOURCES = ["header", "host", "path"] as const
type TenantSource = (typeof SOURCES)[number]

export type TenantSettings = {
  sources: ReadonlySet<TenantSource>
  /** The header that carries the tenant's id. */
  header: string
  /**
   * <name>.<suffix> is the host of the tenant of that name, such as shopify.shop.example. What lies in these domains is
   * nobody's by its file.
   */
  hostSuffixes: readonly string[]
}

/** What one source says: an id, or a name or a host that is to be looked up. */
type Hint = { id: TenantId } | { name: string } | { host: string }

const READERS: Record<TenantSource, (request: Request, settings: TenantSettings) => Hint | undefined> = {
  header: fromHeader,
  host: fromHost,
  path: fromPath,
}

/** The request's tenant. Throws the Problem that says why there is none, or more than one. */
export async function whichTenant(
  request: Request,
  settings: TenantSettings,
  directory: Directory,
): Promise<TenantId> {
  const hints = SOURCES.filter((source) => settings.sources.has(source)).flatMap(
    (source) => READERS[source](request, settings) ?? [],
  )
  const [only] = hints
  if (hints.length === 1 && only) return resolve(only, directory)
  const found = await Promise.all(
    // A host that no tenant has may be the API's own address, so it names nobody, and nobody waits for it.
    hints.map(async (hint) => ("host" in hint ? directory.knownAt(hint.host)?.id : resolve(hint, directory))),
  )
  const [first, ...others] = found.filter((id) => id !== undefined)
  if (first === undefined)
    throw new Problem("tenant-missing", `the request names no tenant: ${waysOf(settings)}`)
  if (others.some((other) => other !== first)) {
    throw new Problem("tenant-ambiguous", "the request names two different tenants")
  }
  return first
}

async function resolve(hint: Hint, directory: Directory): Promise<TenantId> {
  if ("id" in hint) return hint.id
  if ("host" in hint) {
    const served = await directory.findAt(hint.host)
    if (!served) throw new Problem("tenant-not-found", "no tenant has this host")
    return served.id
  }
  // What cannot be a tenant's name is not looked up.
  const tenant = TenantName.safeParse(hint.name).success ? await directory.find(hint.name) : undefined
  if (!tenant) throw new Problem("tenant-not-found", "there is no tenant of this name")
  return tenant.id
}

function fromHeader(request: Request, { header }: TenantSettings): Hint | undefined {
  const values = request.headersDistinct[header.toLowerCase()] ?? []
  const [value] = values
  if (value === undefined) return undefined
  if (values.length > 1)
    throw new Problem("tenant-repeated", `the header ${header} was sent ${values.length} times`)
  const tenant = TenantId.safeParse(value)
  if (!tenant.success) throw new Problem("tenant-malformed", `the header ${header} is not a UUID`)
  return { id: tenant.data }
}

function fromHost(request: Request, { hostSuffixes }: TenantSettings): Hint | undefined {
  const host = hostOf(request)
  const label = labelOf(host, hostSuffixes)
  if (label === undefined) return isHostName(host) ? { host } : undefined
  if (label === "") return undefined
  // What is written in digits alone would be taken for an address.
  return { name: label.startsWith("xn--") ? domainToUnicode(label) : label }
}

/** Where `takePathTenant` keeps what it took. */
const taken = new WeakMap<Request, { name: string; prefix: string }>()

/** Cuts /t/<name> off the request's address. Throws Problem where the name is no text. */
export function takePathTenant(request: Request): void {
  const match = /^\/t\/([^/?]+)(?=[/?]|$)/.exec(request.url)
  if (!match) return
  const [prefix, encoded] = match as unknown as [string, string]
  let name: string
  try {
    name = decodeURIComponent(encoded)
  } catch {
    throw new Problem("request-malformed", "the tenant's name in the path is not UTF-8")
  }
  taken.set(request, { name, prefix })
  const rest = request.url.slice(prefix.length)
  request.url = rest.startsWith("/") ? rest : `/${rest}`
}

function fromPath(request: Request): Hint | undefined {
  const path = taken.get(request)
  return path && { name: path.name }
}

/** What stands before the operation's path in the address: "" or /t/<name>. */
export const prefixOf = (request: Request): string => taken.get(request)?.prefix ?? ""

function waysOf({ sources, header, hostSuffixes }: TenantSettings): string {
  const ways: Record<TenantSource, string> = {
    header: `send its id in the header ${header}`,
    host: `use the host <name>.${hostSuffixes[0] ?? ""} or a host of its own`,
    path: "begin the path with /t/<name>",
  }
  return [...sources].map((source) => ways[source]).join(", or ")
}
