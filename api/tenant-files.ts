/** The files in the tenants folder, as the API needs them: read as the reconciler reads them, written whole or not at all. */
import { randomUUID } from "node:crypto"
import { link, open, rename, rm } from "node:fs/promises"
import path from "node:path"
import { type Document, isScalar, isSeq, parseDocument, stringify } from "yaml"
import { TransientError } from "../reconciler/errors.ts"
import { nameKey, Tenant } from "../reconciler/tenant.ts"
import { readFolder } from "../reconciler/tenants-folder.ts"
import { parseYamlFile, readText } from "../reconciler/yaml-file.ts"
import { codeOf } from "./failures.ts"

export type TenantFile = { file: string; tenant: Tenant; text: string }

/**
 * The tenants that the folder and those in it declare. Files that cannot be read are left out: the reconciler tells of
 * them. Throws TerminalError where the folder cannot be read, and TransientError where it does not come to rest.
 */
export async function readTenantFiles(folder: string): Promise<TenantFile[]> {
  const found = await readFolder(folder, ({ real: file }) => {
    const text = readText(file)
    const tenant = typeof text === "string" ? parseYamlFile(file, text, Tenant).value : undefined
    return tenant && { file, tenant, text: text as string }
  })
  return found.filter((one) => one !== undefined)
}

/** Bytes. File systems take 255, and a name may fold to eleven times its length. */
const LONGEST_FILE_NAME = 200

/**
 * Adds a file for `tenant`, under its name, or its name and id where that file is there already, or its id where the name
 * is too long for a file.
 */
export async function addTenantFile(folder: string, tenant: Tenant): Promise<void> {
  const draft = await writeDraft(folder, stringify(tenant))
  try {
    const key = nameKey(tenant.name)
    const name = Buffer.byteLength(key) > LONGEST_FILE_NAME ? tenant.id : key
    await link(draft, path.join(folder, `${name}.yaml`)).catch((error: unknown) => {
      if (codeOf(error) !== "EEXIST") throw error
      return link(draft, path.join(folder, `${name}-${tenant.id}.yaml`))
    })
  } finally {
    await rm(draft, { force: true })
  }
}

/**
 * Changes what is given in a tenant's file; everything else in it, comments too, stays. No hosts: without the key. Throws
 * TransientError where the file is no longer as it was read: somebody else's edit is not undone.
 */
export async function changeTenantFile(
  { file, tenant, text }: TenantFile,
  { name = tenant.name, hosts }: { name?: string | undefined; hosts?: readonly string[] | undefined },
): Promise<void> {
  const document = parseDocument(text)
  if (name !== tenant.name) document.set("name", name)
  if (hosts) setHosts(document, hosts)
  const draft = await writeDraft(path.dirname(file), document.toString())
  try {
    assertUnchanged(file, text)
    await rename(draft, file)
  } finally {
    await rm(draft, { force: true })
  }
}

/** A list that is there keeps its style, and each host that stays keeps its place in the text. */
function setHosts(document: Document, hosts: readonly string[]): void {
  const list = document.get("hosts")
  if (hosts.length === 0) document.delete("hosts")
  else if (isSeq(list))
    list.items = hosts.map((host) => list.items.find(isHost(host)) ?? document.createNode(host))
  else document.set("hosts", document.createNode(hosts))
}

const isHost = (host: string) => (item: unknown) =>
  isScalar(item) && String(item.value).toLowerCase() === host

/** Throws TransientError where the file is no longer as it was read. */
export async function removeTenantFile({ file, text }: TenantFile): Promise<void> {
  assertUnchanged(file, text)
  await rm(file)
}

function assertUnchanged(file: string, text: string): void {
  if (readText(file) !== text)
    throw new TransientError("TenantsChanged", "the tenant's file was changed by somebody else meanwhile")
}

/** A file beside the tenants' own that the reconciler does not look at, complete on the disk. */
async function writeDraft(folder: string, text: string): Promise<string> {
  const draft = path.join(folder, `.${randomUUID()}.draft`)
  const handle = await open(draft, "wx")
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  return draft
}

/** Whether a write failed because the folder may not be written. */
export const isReadOnly = (error: unknown): boolean =>
  ["EROFS", "EACCES", "EPERM"].includes(codeOf(error) ?? "")
