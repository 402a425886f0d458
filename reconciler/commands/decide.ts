/** Commands by which a person decides what the reconciler must not decide. */
import type { Command } from "commander"
import {
  approve,
  entryOf,
  explainImport,
  importDatabase,
  purge,
  purgeable,
  restoreFile,
  rotate,
} from "../decisions.ts"
import { ApprovalVerb } from "../ledger.ts"
import { patiently } from "../patience.ts"
import { review } from "../reconcile.ts"
import { TenantId, TenantName } from "../tenant.ts"
import { tenantFile } from "../tenant-file.ts"
import { confirmName } from "./confirm.ts"
import { examples, openSystem, parseArgument, parseChoice, parseNumber, print, tell } from "./shared.ts"

const PARTICIPLE = { purge: "purged", recreate: "recreated" }
/** How long an allowed purge waits for the reconciler. */
const PURGE_MINUTES = 60

const inMinutes = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString()

export function registerDecide(program: Command): void {
  program
    .command("approve")
    .description("allow one withheld change of one tenant, once")
    .argument("<tenant>", "its id or name")
    .argument("<change>", `what to allow: ${ApprovalVerb.options.join(", ")}`)
    .option("--minutes <number>", "how long the approval can be used", "60")
    .option("--yes <name>", "the tenant's name: for purge and recreate, where there is no terminal to ask on")
    .addHelpText("after", examples("approve Acme retire", "approve Acme recreate --minutes 10 --yes Acme"))
    .action(async (tenant: string, change: string, options: { minutes: string; yes?: string }) => {
      const verb = parseChoice("the change", change, ApprovalVerb.options)
      const minutes = parseNumber("--minutes", options.minutes, { min: 1, max: 1440, isWhole: false })
      const { sources, world } = openSystem()
      if (verb !== "retire") {
        const { name } = await entryOf(sources, world, tenant)
        await confirmName(name, `let ${name} be ${PARTICIPLE[verb]}: its data is lost`, options.yes)
      }
      const until = inMinutes(minutes)
      const entry = await patiently(() => approve(sources, world, tenant, { verb, until }), { say: tell })
      print(`approved once, until ${until}: ${verb} ${entry.name} (${entry.id})`)
    })

  program
    .command("restore")
    .description("put the file of a tenant that the ledger knows back into the tenants folder")
    .argument("<tenant>", "its id or name")
    .option("--name <name>", "another name, where somebody else has it now")
    .addHelpText("after", examples("restore Acme", "restore Acme --name Acme-2"))
    .action(async (tenant: string, options: { name?: string }) => {
      const name =
        options.name === undefined ? undefined : parseArgument(TenantName, options.name, "tenant's name")
      const { sources, world } = openSystem()
      const { entry, file, lost } = await restoreFile(sources, world, tenant, name)
      print(
        `${file} declares ${name ?? entry.name} (${entry.id}) again, which is ${entry.state} now: commit it`,
      )
      if (lost.length > 0) print(`hosts that other tenants have now are left out: ${lost.join(", ")}`)
    })

  program
    .command("purge")
    .description("delete the data of a retired tenant for ever, before its grace period is over")
    .argument("<tenant>", "its id or name")
    .option("--yes <name>", "the tenant's name, where there is no terminal to ask on")
    .addHelpText("after", examples("purge Acme", "purge 0d3a4c1e-5f7b-4a89-b6c2-9e8d7f6a5b41 --yes Acme"))
    .action(async (tenant: string, options: { yes?: string }) => {
      const { sources, world } = openSystem()
      const { id, name } = await purgeable(sources, world, tenant)
      await confirmName(name, `purge ${name} (${id}): its data is deleted for ever`, options.yes)
      const until = inMinutes(PURGE_MINUTES)
      await patiently(() => purge(sources, world, id, until), { say: tell })
      print(
        `the reconciler deletes ${name} (${id}) at its next pass, until ${until}; "tenantry apply --tenant ${id}" makes one now`,
      )
    })

  program
    .command("rotate")
    .description("give a tenant a new credential; no request fails")
    .argument("<tenant>", "its id or name")
    .addHelpText("after", examples("rotate Acme"))
    .action(async (tenant: string) => {
      const { sources, world } = openSystem()
      const entry = await patiently(() => rotate(sources, world, tenant), { say: tell })
      print(`the reconciler will rotate the credential of ${entry.name} (${entry.id})`)
    })

  program
    .command("import")
    .description("adopt an unmanaged database as a tenant's; shows what it would do, and does it with --yes")
    .argument("<database>")
    .requiredOption("--id <uuid>", "the tenant's id, for ever")
    .requiredOption("--name <name>", "the tenant's name")
    .option("--cell <cell>", "the database's, where more than one cell has such a database")
    .option("--yes", "do it", false)
    .addHelpText("after", examples("import legacy --id 0d3a4c1e-5f7b-4a89-b6c2-9e8d7f6a5b41 --name Legacy"))
    .action(async (database: string, options: { id: string; name: string; cell?: string; yes: boolean }) => {
      const id = parseArgument(TenantId, options.id, "tenant's id")
      const tenant = { id, name: parseArgument(TenantName, options.name, "tenant's name") }
      const what = { database, cell: options.cell, tenant }
      const { sources, world } = openSystem()
      const file = tenantFile(sources.tenantsDir, tenant.name)
      for (const line of explainImport(await review(sources, world), what, file)) print(`- ${line}`)
      if (options.yes) await patiently(() => importDatabase(sources, world, what), { say: tell })
      print(
        options.yes ? `${database} is imported; commit ${file}` : "nothing was changed; add --yes to do it",
      )
    })
}
