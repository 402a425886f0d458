/** Commands that write tenants' files; what follows from them is the reconciler's. */
import { randomUUID } from "node:crypto"
import type { Command } from "commander"
import { readTenants } from "../desired.ts"
import { TerminalError } from "../errors.ts"
import { Hosts } from "../host-name.ts"
import { readSeedNames, seedFault } from "../seeds.ts"
import { CellName, isSameName, Tenant, TenantId, TenantName } from "../tenant.ts"
import { renameInFile, writeTenantFile } from "../tenant-file.ts"
import { examples, parseArgument, print } from "./shared.ts"

const folder = () => process.env["TENANTS_DIR"] ?? "./tenants"

export function registerFiles(program: Command): void {
  program
    .command("new")
    .description("write the file of a new tenant, with a fresh id")
    .argument("<name>")
    .option("--seed <seed>", "a file in migrations/seeds, without .sql")
    .option("--host <host>", "a host of its own; once for each", collect, [])
    .option(
      "--cell <cell>",
      "the Neon project that it is made in; the one with the most room where none is said",
    )
    .addHelpText(
      "after",
      examples(
        "new Acme",
        "new Acme --seed demo",
        "new Acme --host shop.acme.example",
        "new Acme --cell quiet-sea-2",
      ),
    )
    .action(async (text: string, options: { seed?: string; host: string[]; cell?: string }) => {
      const seed =
        options.seed === undefined ? undefined : parseArgument(Tenant.shape.seed, options.seed, "seed")
      const cell = options.cell === undefined ? undefined : parseArgument(CellName, options.cell, "cell")
      const name = parseArgument(TenantName, text, "tenant's name")
      const hosts = parseHosts(options.host)
      await assertFree(name, hosts)
      const fault = seedFault(seed, await readSeedNames(process.env["MIGRATIONS_DIR"] ?? "./migrations"))
      if (fault !== undefined) throw new TerminalError("BadArgument", `--seed: ${fault}`)
      const tenant = {
        id: TenantId.parse(randomUUID()),
        name,
        ...(seed ? { seed } : {}),
        ...(hosts.length > 0 ? { hosts } : {}),
        ...(cell ? { cell } : {}),
      }
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

const collect = (value: string, before: string[]): string[] => [...before, value]

function parseHosts(values: string[]): string[] {
  const parsed = Hosts.safeParse(values)
  if (parsed.success) return parsed.data
  throw new TerminalError("BadArgument", `--host: ${parsed.error.issues[0]!.message}`)
}

/** Throws TerminalError where another tenant's file has the name, or one of the hosts. */
async function assertFree(name: string, hosts: readonly string[] = []): Promise<void> {
  for (const tenant of (await readTenants(folder())).tenants) {
    if (isSameName(tenant.name, name))
      throw new TerminalError("NameTaken", `${tenant.file} declares a tenant named ${tenant.name} already`)
    const host = hosts.find((one) => tenant.hosts?.includes(one))
    if (host)
      throw new TerminalError(
        "HostTaken",
        `${tenant.file} has the host ${host} already; a host leads to one tenant`,
      )
  }
}
