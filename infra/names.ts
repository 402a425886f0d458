/** The names of all that is made, within Azure's rules, which Pulumi does not check before it asks Azure. */

type Rule = { pattern: RegExp; says: string }

/** Source: learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules */
const RULES = {
  resourceGroup: {
    pattern: /^[\w.()-]{0,89}[\w()-]$/,
    says: "1 to 90 of A-Z a-z 0-9 _ - . ( ), no dot last",
  },
  vault: {
    pattern: /^(?!.*--)[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]$/,
    says: "3 to 24 of A-Z a-z 0-9 -, a letter first, no hyphen last or beside another",
  },
  secret: { pattern: /^[A-Za-z0-9-]{1,127}$/, says: "1 to 127 of A-Z a-z 0-9 -" },
  registry: { pattern: /^[A-Za-z0-9]{5,50}$/, says: "5 to 50 of A-Z a-z 0-9" },
  containerApp: {
    pattern: /^(?!.*--)[a-z][a-z0-9-]{0,30}[a-z0-9]$/,
    says: "2 to 32 of a-z 0-9 -, a letter first, no hyphen last or beside another",
  },
  environment: {
    pattern: /^(?!.*--)[a-z][a-z0-9-]{0,58}[a-z0-9]$/,
    says: "2 to 60 of a-z 0-9 -, a letter first, no hyphen last or beside another",
  },
  identity: {
    pattern: /^[A-Za-z0-9][\w-]{2,127}$/,
    says: "3 to 128 of A-Z a-z 0-9 _ -, a letter or digit first",
  },
  workspace: {
    pattern: /^[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]$/,
    says: "4 to 63 of A-Z a-z 0-9 -, no hyphen first or last",
  },
  insights: { pattern: /^[\w.()-]{0,259}[\w()-]$/, says: "1 to 260 of A-Z a-z 0-9 _ - . ( ), no dot last" },
  network: {
    pattern: /^[A-Za-z0-9][\w.-]{0,62}\w$/,
    says: "2 to 64 of A-Z a-z 0-9 _ - ., a letter or digit first, no dot or hyphen last",
  },
  alert: {
    pattern: /^[^*#&+:<>?@%{}\\/|]{0,259}[^*#&+:<>?@%{}\\/|. ]$/,
    says: "1 to 260, none of * # & + : < > ? @ % { } \\ / |",
  },
} as const satisfies Record<string, Rule>

export type Kind = keyof typeof RULES

/** The name itself. Throws where Azure would refuse it, with the rule. */
export function checkName(kind: Kind, name: string): string {
  const { pattern, says } = RULES[kind]
  if (pattern.test(name)) return name
  throw new Error(
    `${kind} cannot be named "${name}": a name has ${says}; choose a shorter or plainer tenantry:name or stack`,
  )
}

/** The secrets of the operator's vault that the program puts there. */
export const OPERATOR_SECRETS = ["neon-api-key", "repository-token", "webhook-secret"] as const
const [NEON_API_KEY, REPOSITORY_TOKEN, WEBHOOK_SECRET] = OPERATOR_SECRETS

/** All names of one deployment. `name` and `stack` make those that must be unique in the world. */
export function namesOf(name: string, stack: string) {
  return {
    resourceGroup: checkName("resourceGroup", `${name}-${stack}`),
    /** One secret per tenant. */
    tenantVault: checkName("vault", `${name}-${stack}-tenants`),
    /** What only the reconciler and its sidecar may read. */
    operatorVault: checkName("vault", `${name}-${stack}-operator`),
    registry: checkName("registry", `${name}${stack.replaceAll("-", "")}images`),
    workspace: checkName("workspace", `${name}-${stack}-logs`),
    insights: checkName("insights", `${name}-${stack}-insights`),
    network: checkName("network", `${name}-${stack}-network`),
    environment: checkName("environment", `${name}-${stack}`),
    apiIdentity: checkName("identity", `${name}-${stack}-api`),
    reconcilerIdentity: checkName("identity", `${name}-${stack}-reconciler`),
    api: checkName("containerApp", `${name}-${stack}-api`),
    reconciler: checkName("containerApp", `${name}-${stack}-reconciler`),
    neonApiKey: checkName("secret", NEON_API_KEY),
    repositoryToken: checkName("secret", REPOSITORY_TOKEN),
    webhookSecret: checkName("secret", WEBHOOK_SECRET),
  }
}

export type Names = ReturnType<typeof namesOf>
