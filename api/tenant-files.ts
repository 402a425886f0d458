/** The files in the tenants folder, as the API needs them: read one by one, written whole or not at all. */
import { randomUUID } from "node:crypto"
import { link, open, readdir, readFile, rename, rm } from "node:fs/promises"
import path from "node:path"
import { parse, parseDocument, stringify } from "yaml"
import { nameKey, Tenant } from "../reconciler/tenant.ts"
import { codeOf } from "./failures.ts"

export type TenantFile = { file: string; tenant: Tenant; text: string }

/** The tenants that the folder declares. Files that cannot be read are left out: the reconciler tells of them. */
export async function readTenantFiles(folder: string): Promise<TenantFile[]> {
  const names = (await readdir(folder)).filter((name) => /\.ya?ml$/.test(name)).sort()
  const found = await Promise.all(
    names.map(async (name) => {
      const file = path.join(folder, name)
      try {
        const text = await readFile(file, "utf8")
        const tenant = Tenant.safeParse(parse(text))
        return tenant.success ? { file, tenant: tenant.data, text } : undefined
      } catch {
        return undefined
      }
    }),
  )
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

/** Changes the name in a tenant's file; everything else in it, comments too, stays. */
export async function renameTenant({ file, text }: TenantFile, name: string): Promise<void> {
  const document = parseDocument(text)
  document.set("name", name)
  await rename(await writeDraft(path.dirname(file), document.toString()), file)
}

export const removeTenantFile = ({ file }: TenantFile): Promise<void> => rm(file)

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
