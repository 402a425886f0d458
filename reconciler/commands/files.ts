/** Commands that write tenants' files; what follows from them is the reconciler's. */
import { randomUUID } from "node:crypto"
import type { Command } from "commander"
import { readTenants } from "../desired.ts"
import { TerminalError } from "../errors.ts"
import { isSameName, Tenant, TenantId, TenantName } from "../tenant.ts"
import { renameInFile, writeTenantFile } from "../tenant-file.ts"
import { examples, parseArgument, print } from "./shared.ts"

const folder = () => process.env["TENANTS_DIR"] ?? "./tenants"

export function registerFiles(program: Command): void {
  program
    .command("new")
    .description("write the file of a new tenant, with a fresh id")
    .argument("<name>")
    .option("--seed <seed>", "a file in migrations/seeds, without .sql")
    .addHelpText("after", examples("new Acme", "new Acme --seed demo"))
    .action(async (text: string, options: { seed?: string }) => {
      const seed =
        options.seed === undefined ? undefined : parseArgument(Tenant.shape.seed, options.seed, "seed")
      const name = parseArgument(TenantName, text, "tenant's name")
      await assertFree(name)
      const tenant = { id: TenantId.parse(randomUUID()), name, ...(seed ? { seed } : {}) }
      print(`${await writeTenantFile(folder(), tenant)} is written: commit it`)
    })

  program
    .command("rename")
    .description("change a tenant's name in its file")
    .argument("<tenant>", "its name now")
    .argument("<name>", "its new name")
    .addHelpText("after", examples("rename Acme Acme-Corp"))
    .action(async (from: string, text: string) => {
      const name = parseArgument(TenantName, text, "tenant's name")
      const tenant = (await readTenants(folder())).tenants.find((each) => each.name === from)
      if (!tenant)
        throw new TerminalError("TenantUnknown", `no file in ${folder()} declares a tenant named ${from}`)
      if (!isSameName(name, from)) await assertFree(name)
      await renameInFile(tenant.file, name)
      print(`${tenant.file}: ${from} is now ${name}; commit it`)
    })
}

async function assertFree(name: string): Promise<void> {
  const rival = (await readTenants(folder())).tenants.find((tenant) => isSameName(tenant.name, name))
  if (rival)
    throw new TerminalError("NameTaken", `${rival.file} declares a tenant named ${rival.name} already`)
}
