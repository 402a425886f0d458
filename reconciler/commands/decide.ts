/** Commands by which a person decides what the reconciler must not decide. */
import type { Command } from "commander"
import { z } from "zod"
import { approve, explainImport, importDatabase, rotate } from "../decisions.ts"
import { ApprovalVerb } from "../ledger.ts"
import { review } from "../reconcile.ts"
import { TenantId, TenantName } from "../tenant.ts"
import { tenantFile } from "../tenant-file.ts"
import { examples, openSystem, parseArgument, print } from "./shared.ts"

export function registerDecide(program: Command): void {
  program
    .command("approve")
    .description("allow one withheld change of one tenant, once")
    .argument("<tenant>", "its id or name")
    .argument("<change>", `what to allow: ${ApprovalVerb.options.join(", ")}`)
    .option("--minutes <number>", "how long the approval can be used", "60")
    .addHelpText("after", examples("approve Acme retire", "approve Acme recreate --minutes 10"))
    .action(async (tenant: string, change: string, options: { minutes: string }) => {
      const verbs = ApprovalVerb.options.join(", ")
      const verb = parseArgument(ApprovalVerb, change, `the change must be one of ${verbs}`)
      const minutes = parseArgument(
        z.coerce.number().min(1).max(1440),
        options.minutes,
        "--minutes must be 1 to 1440",
      )
      const { sources, world } = openSystem()
      const until = new Date(Date.now() + minutes * 60_000).toISOString()
      const entry = await approve(sources, world, tenant, { verb, until })
      print(`approved once, until ${until}: ${verb} ${entry.name} (${entry.id})`)
    })

  program
    .command("rotate")
    .description("give a tenant a new credential; no request fails")
    .argument("<tenant>", "its id or name")
    .addHelpText("after", examples("rotate Acme"))
    .action(async (tenant: string) => {
      const { sources, world } = openSystem()
      const entry = await rotate(sources, world, tenant)
      print(`the reconciler will rotate the credential of ${entry.name} (${entry.id})`)
    })

  program
    .command("import")
    .description("adopt an unmanaged database as a tenant's; shows what it would do, and does it with --yes")
    .argument("<database>")
    .requiredOption("--id <uuid>", "the tenant's id, for ever")
    .requiredOption("--name <name>", "the tenant's name")
    .option("--yes", "do it", false)
    .addHelpText("after", examples("import legacy --id 0d3a4c1e-5f7b-4a89-b6c2-9e8d7f6a5b41 --name Legacy"))
    .action(async (database: string, options: { id: string; name: string; yes: boolean }) => {
      const id = parseArgument(TenantId, options.id, "--id must be a UUID")
      const tenant = { id, name: parseArgument(TenantName, options.name, "--name is no tenant's name") }
      const { sources, world } = openSystem()
      const file = tenantFile(sources.tenantsDir, tenant.name)
      for (const line of explainImport(await review(sources, world), database, tenant, file))
        print(`- ${line}`)
      if (options.yes) await importDatabase(sources, world, database, tenant)
      print(
        options.yes ? `${database} is imported; commit ${file}` : "nothing was changed; add --yes to do it",
      )
    })
}
