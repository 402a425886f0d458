/** tenantry doctor: is all there that the reconciler needs. */
import type { Command } from "commander"
import { examine, type Finding } from "../doctor.ts"
import { type Colour, lookOf, safe } from "../terminal.ts"
import { examples, print } from "./shared.ts"

const SHOWN: Record<Finding["verdict"], { sign: string; colour: Colour }> = {
  ok: { sign: "✓", colour: "green" },
  warning: { sign: "!", colour: "yellow" },
  problem: { sign: "✗", colour: "red" },
}

export function registerDoctor(program: Command, version: string): void {
  program
    .command("doctor")
    .description(
      "check environment, files, reachability, rights, versions and clocks, and say what to do; exit code 1 where there is a problem",
    )
    .option("--json", "as JSON: what, verdict (ok, warning, problem) and said of each", false)
    .addHelpText("after", examples("doctor", "doctor --json"))
    .action(async ({ json }: { json: boolean }) => {
      const findings = await examine(process.env, { tenantry: version, node: process.versions.node })
      print(json ? JSON.stringify(findings, undefined, 2) : findings.map(render).join("\n"))
      if (findings.some(({ verdict }) => verdict === "problem")) process.exitCode = 1
    })
}

function render({ what, verdict, said }: Finding): string {
  const { sign, colour } = SHOWN[verdict]
  return lookOf(process.stdout).paint(colour, `${sign} ${what}: ${safe(said)}`)
}
