/** The settings of a stack, and what is wrong with a configuration that gives none. */
import type { z } from "zod"
import { pairingProblem } from "./regions.ts"
import { Tenantry } from "./schema.ts"

export type Settings = z.output<typeof Tenantry> & { location: string }

/** The settings of a stack, from Pulumi's flat configuration. Throws one error that names every fault. */
export function parseSettings(flat: Readonly<Record<string, string>>): Settings {
  const own = Object.entries(flat).flatMap(([key, value]) =>
    key.startsWith("tenantry:") ? [[key.slice("tenantry:".length), value] as const] : [],
  )
  const parsed = Tenantry.safeParse(Object.fromEntries(own), { reportInput: true })
  const location = flat["azure-native:location"] || undefined
  const problems = parsed.success ? [] : parsed.error.issues.map(describe)
  if (location === undefined)
    problems.push("azure-native:location is not set: pulumi config set azure-native:location eastus2")
  if (parsed.success && location !== undefined) {
    const { images, bootstrap, neon, webhook, webhookSecret } = parsed.data
    const far = pairingProblem(location, neon.region)
    if (far !== undefined) problems.push(far)
    if (images === undefined && !bootstrap)
      problems.push(
        "tenantry:images is not set, which would take the apps down: push the images and set it, or set tenantry:bootstrap to true for the first pulumi up",
      )
    if (webhook !== undefined && webhookSecret === undefined)
      problems.push(
        "tenantry:webhookSecret is not set, and tenantry:webhook needs it to sign what is sent: pulumi config set --secret tenantry:webhookSecret whsec_$(openssl rand -base64 32)",
      )
    if (webhookSecret !== undefined && webhook === undefined)
      problems.push(
        "tenantry:webhook.url is not set, and tenantry:webhookSecret would sign nothing: pulumi config set --path tenantry:webhook.url …",
      )
    if (problems.length === 0) return { ...parsed.data, location }
  }
  throw new Error(
    `the stack's configuration is not usable:\n${problems.map((line) => `  ${line}`).join("\n")}`,
  )
}

/** Never shows a value: it may be a secret. */
function describe(issue: z.core.$ZodIssue): string {
  const [key, ...inner] = issue.path.map(String)
  if (key === undefined)
    return issue.code === "unrecognized_keys"
      ? `${issue.keys.map((name) => `tenantry:${name}`).join(", ")} is not known here`
      : issue.message
  const name = `tenantry:${[key, ...inner].join(".")}`
  if (issue.code === "unrecognized_keys")
    return `${issue.keys.map((part) => `${name}.${part}`).join(", ")} is not known here`
  if (issue.code !== "custom" && issue.input === undefined)
    return `${name} is not set: pulumi config set ${inner.length > 0 ? "--path " : ""}${key === "neonApiKey" ? "--secret " : ""}${name} …`
  if (issue.code === "invalid_type" && issue.message.startsWith("Invalid input"))
    return `${name} must be ${issue.expected === "string" ? "text" : `an ${issue.expected}; set its parts by pulumi config set --path`}`
  return `${name} ${issue.message}`
}
