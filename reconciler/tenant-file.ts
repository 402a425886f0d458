/** Writes tenants' files, as a person would. */
import { readFile, rename, writeFile } from "node:fs/promises"
import path from "node:path"
import { parseDocument, stringify } from "yaml"
import { TerminalError } from "./errors.ts"
import type { Tenant } from "./tenant.ts"

const MODELINE = "# yaml-language-server: $schema=../tenant.schema.json\n"

/** Where the file of a tenant of this name belongs. */
export const tenantFile = (directory: string, name: string): string =>
  path.join(directory, `${name.toLowerCase()}.yaml`)

/** Writes a new file. Throws TerminalError where there is one already, or none can be written. */
export async function writeTenantFile(directory: string, tenant: Tenant): Promise<string> {
  const file = tenantFile(directory, tenant.name)
  await writeFile(file, `${MODELINE}${stringify(tenant)}`, { flag: "wx" }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === "EEXIST")
        throw new TerminalError("FileExists", `${file}: is there already; choose another name`)
      throw unwritable(file, error)
    },
  )
  return file
}

/** Changes the name in a tenant's file and nothing else, comments included; whole or not at all. */
export async function renameInFile(file: string, name: string): Promise<void> {
  const document = parseDocument(await readFile(file, "utf8"))
  document.set("name", name)
  try {
    await writeFile(`${file}.draft`, document.toString())
    await rename(`${file}.draft`, file)
  } catch (error) {
    throw unwritable(file, error as NodeJS.ErrnoException)
  }
}

const unwritable = (file: string, { code }: NodeJS.ErrnoException) =>
  new TerminalError(
    "NotWritten",
    `${file}: cannot be written (${code}): check the folder and its permissions, or edit it where Git has it`,
  )
