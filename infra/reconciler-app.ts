/** The reconciler: one replica that nobody can call unless its page is wanted, with a sidecar that keeps the tenants' repository beside it. */
import { ContainerApp } from "@pulumi/azure-native/app/containerApp.js"
import type { UserAssignedIdentity } from "@pulumi/azure-native/managedidentity/userAssignedIdentity.js"
import type { input } from "@pulumi/azure-native/types/index.js"
import { type Input, interpolate, type Resource } from "@pulumi/pulumi"
import { probes, resources, variables } from "./container.ts"
import type { Place } from "./place.ts"
import type { Vault, VaultSecret } from "./vault.ts"

const STATUS_PORT = 3001
/** Where both containers see the repository: git-sync moves the link `current` from one commit to the next at once. */
const ROOT = "/git"
const LINK = "current"
const TOKEN_FOLDER = "/etc/repository"
const SIDECAR_CPU = 0.25

type Parts = {
  environmentId: Input<string>
  registryServer: Input<string>
  identity: UserAssignedIdentity
  tenantVault: Vault
  neonApiKey: VaultSecret
  /** Of a private repository. */
  repositoryToken: VaultSecret | undefined
  /** Signs the events that are sent. */
  webhookSecret: VaultSecret | undefined
  dependsOn: Resource[]
}

export function createReconciler(place: Place, image: string, parts: Parts): ContainerApp {
  const { settings, names, resourceGroupName, location, tags } = place
  const { identity, neonApiKey, repositoryToken, webhookSecret } = parts
  const secret = (name: string, { url }: VaultSecret) => ({ name, keyVaultUrl: url, identity: identity.id })
  return new ContainerApp(
    "reconciler",
    {
      resourceGroupName,
      containerAppName: names.reconciler,
      location,
      tags,
      managedEnvironmentId: parts.environmentId,
      workloadProfileName: "Consumption",
      identity: { type: "UserAssigned", userAssignedIdentities: [identity.id] },
      configuration: {
        activeRevisionsMode: "Single",
        maxInactiveRevisions: 10,
        registries: [{ server: parts.registryServer, identity: identity.id }],
        ...(settings.reconciler.page
          ? { ingress: { external: true, targetPort: STATUS_PORT, transport: "auto", allowInsecure: false } }
          : {}),
        secrets: [
          secret(names.neonApiKey, neonApiKey),
          ...(repositoryToken ? [secret(names.repositoryToken, repositoryToken)] : []),
          ...(webhookSecret ? [secret(names.webhookSecret, webhookSecret)] : []),
        ],
      },
      template: {
        // It stops by itself within 8 seconds; what it leaves undone, the next one finishes.
        terminationGracePeriodSeconds: 60,
        containers: [
          {
            name: "reconciler",
            image: interpolate`${parts.registryServer}/${image}`,
            env: reconcilerVariables(place, parts),
            resources: resources(settings.reconciler.cpu),
            probes: probes(STATUS_PORT),
            volumeMounts: [{ volumeName: "repository", mountPath: ROOT }],
          },
          gitSync(place, repositoryToken !== undefined),
        ],
        volumes: [
          { name: "repository", storageType: "EmptyDir" },
          ...(repositoryToken
            ? [
                {
                  name: "token",
                  storageType: "Secret",
                  secrets: [{ secretRef: names.repositoryToken, path: names.repositoryToken }],
                },
              ]
            : []),
        ],
        // Not a guarantee: revisions overlap at each deployment, and the reconciler's own lease decides.
        scale: { minReplicas: 1, maxReplicas: 1 },
      },
    },
    { dependsOn: parts.dependsOn },
  )
}

function reconcilerVariables({ settings, names }: Place, { identity, tenantVault }: Parts) {
  const { neon, oidc, repository, webhook } = settings
  const checkout = [ROOT, LINK, repository.folder].filter((part) => part !== "").join("/")
  return variables({
    ...settings.reconciler.environment,
    NEON_API_URL: neon.apiUrl,
    NEON_API_KEY: { secret: names.neonApiKey },
    NEON_PROJECT_ID: neon.project,
    NEON_BRANCH_ID: neon.branch,
    ...(neon.cells.length > 0 ? { NEON_CELLS: neon.cells.join(",") } : {}),
    NEON_DATABASE_OWNER: neon.owner,
    KEY_VAULT_URL: tenantVault.uri,
    AZURE_CLIENT_ID: identity.clientId,
    AUTH: "on",
    OIDC_ISSUER: oidc.issuer,
    OIDC_AUDIENCE: oidc.audience,
    TENANTS_DIR: `${checkout}/tenants`,
    FLEET_FILE: `${checkout}/fleet.yaml`,
    // The image's own: the schema and the API that needs it are released together.
    MIGRATIONS_DIR: "/app/migrations",
    STATUS_PORT: String(STATUS_PORT),
    ...(webhook
      ? { EVENTS_WEBHOOK_URL: webhook.url, EVENTS_WEBHOOK_SECRET: { secret: names.webhookSecret } }
      : {}),
  })
}

/** Source of the variables: github.com/kubernetes/git-sync, version 4. */
function gitSync({ settings, names }: Place, isPrivate: boolean): input.app.ContainerArgs {
  const { repository, gitSyncImage } = settings
  return {
    name: "git-sync",
    image: gitSyncImage,
    env: variables({
      GITSYNC_REPO: repository.url,
      GITSYNC_REF: repository.ref,
      GITSYNC_ROOT: ROOT,
      GITSYNC_LINK: LINK,
      GITSYNC_DEPTH: "1",
      GITSYNC_PERIOD: `${repository.period}s`,
      GITSYNC_MAX_FAILURES: "-1",
      // A pass that reads the old commit's folder must not see it vanish: a file less would be a tenant less.
      GITSYNC_STALE_WORKTREE_TIMEOUT: "10m",
      ...(isPrivate
        ? {
            GITSYNC_USERNAME: repository.user,
            GITSYNC_PASSWORD_FILE: `${TOKEN_FOLDER}/${names.repositoryToken}`,
          }
        : {}),
    }),
    resources: resources(SIDECAR_CPU),
    volumeMounts: [
      { volumeName: "repository", mountPath: ROOT },
      ...(isPrivate ? [{ volumeName: "token", mountPath: TOKEN_FOLDER }] : []),
    ],
  }
}
