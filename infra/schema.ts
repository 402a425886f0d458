/** What a stack's configuration may say. */
import { z } from "zod"
import { OPERATOR_SECRETS } from "./names.ts"
import { API_TUNABLES, RECONCILER_TUNABLES } from "./tunables.ts"

const asObject = (text: string, context: z.RefinementCtx): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    context.addIssue({
      code: "custom",
      message: "must be an object; set its parts by pulumi config set --path",
    })
    return z.NEVER
  }
}

/** Pulumi stores an object as JSON, a number and a boolean as text. */
const json = <S extends z.ZodType>(schema: S) => z.string().transform(asObject).pipe(schema)

/** Likewise, of a key that must be there: where it is not, each of its parts is missed by its own name. */
const parts = <S extends z.ZodType>(schema: S) => z.string().default("{}").transform(asObject).pipe(schema)

/** An address. What stands in it is in the state and on the portal as it is, so no credential may. */
const https = (example: string) =>
  z
    .url({ protocol: /^https$/, error: `must be an https address such as ${example}` })
    .refine((address) => new URL(address).username === "" && new URL(address).password === "", {
      error: "must hold no user and no password: a credential is set by --secret",
    })
const whole = (min: number, max: number) => {
  const error = `must be a whole number from ${min} to ${max}`
  return z.int({ error }).min(min, { error }).max(max, { error })
}
const yesOrNo = z.boolean({ error: "must be true or false" })
const words = (error: string) => z.string().min(1, { error })
const credential = (error: string) => z.string().regex(/^\S{8,}$/, { error })

/** Memory is twice this in GiB, the only pairs that the Consumption profile takes; in cores. */
const cpu = z.union(
  [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2].map((cores) => z.literal(cores)),
  { error: "must be 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75 or 2 cores" },
)

/** A /16 of RFC 1918. */
const PRIVATE_RANGE =
  /^(?:10\.(?:\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])|172\.(?:1[6-9]|2\d|3[01])|192\.168)\.0\.0\/16$/

/** Pinned, so that what was scanned is what runs. */
const image = z.string().regex(/^[a-z0-9][a-z0-9_-]*(?:\/[a-z0-9][a-z0-9._-]*)*@sha256:[0-9a-f]{64}$/, {
  error:
    "must be a name in the registry, without the registry's own, and its digest: tenantry-api@sha256:<64 hex digits>",
})

/** Variables that an app reads beside those that the program itself sets. Pulumi makes numbers of what --path sets. */
const environment = (...names: [string, ...string[]]) =>
  z
    .partialRecord(
      z.enum(names),
      z
        .union([z.string(), z.number(), z.boolean()], { error: "must be text" })
        .transform(String)
        .pipe(z.string().min(1, { error: "must not be empty" })),
      { error: `may set ${names.join(", ")}; the program sets the others` },
    )
    .default({})

const CELL = "must be project/branch, such as quiet-sea-1/br-quiet-sea-1"
const neonProject = /^[a-z0-9-]{1,60}$/
const neonBranch = /^br-[a-z0-9-]{1,57}$/

/** The keys `tenantry:…` of a stack, as Pulumi keeps them: text, and objects as JSON. */
export const Tenantry = z.strictObject({
  /** With the stack's name it makes the names that are unique in the world. */
  name: z.string().regex(/^[a-z][a-z0-9]{2,9}$/, {
    error: "must be 3 to 10 lower-case letters and digits, a letter first; nobody else may have taken it",
  }),
  neon: parts(
    z
      .strictObject({
        project: z.string().regex(neonProject, { error: "must be the id of a Neon project" }),
        branch: z.string().regex(neonBranch, { error: "must be a branch's id, such as br-quiet-sea-1" }),
        owner: z
          .string()
          .regex(/^[A-Za-z0-9_-]{1,63}$/, { error: "must be the name of a role of that branch" }),
        region: z.string().regex(/^aws-[a-z]+-[a-z]+-\d$/, { error: "must be like aws-us-east-1" }),
        apiUrl: https("https://console.neon.tech/api/v2").default("https://console.neon.tech/api/v2"),
        /** Further projects and branches, with an owner of the same name; project/branch. */
        cells: z
          .array(
            z.string({ error: CELL }).refine(
              (cell) => {
                const [project = "", branch = "", ...rest] = cell.split("/")
                return neonProject.test(project) && neonBranch.test(branch) && rest.length === 0
              },
              { error: CELL },
            ),
            { error: "must be a list: pulumi config set --path 'tenantry:neon.cells[0]' …" },
          )
          .default([]),
      })
      .refine(
        ({ project, cells }) =>
          new Set([project, ...cells.map((cell) => cell.split("/")[0])]).size === cells.length + 1,
        { error: "must name each project once: a cell is a project of its own", path: ["cells"] },
      ),
  ),
  neonApiKey: credential("must be a Neon API key, of 8 characters at least and without spaces"),
  repository: parts(
    z.strictObject({
      url: https("https://github.com/you/tenants.git"),
      ref: words("must be a branch, a tag or a commit").default("main"),
      /** Where tenants/ and fleet.yaml lie in it. */
      folder: z
        .string()
        .regex(/^(?:[\w-][\w.-]*(?:\/[\w-][\w.-]*)*)?$/, { error: "must be a relative folder" })
        .default(""),
      /** Between two looks; seconds. */
      period: whole(5, 3600).default(15),
      /** Of the token; GitHub takes any. */
      user: words("must be a name").default("tenantry"),
    }),
  ),
  repositoryToken: credential("must be a token that may read the repository, without spaces").optional(),
  /** Where events are sent; `webhookSecret` signs them. */
  webhook: json(z.strictObject({ url: https("https://hooks.example/tenantry") })).optional(),
  webhookSecret: z
    .string()
    .regex(/^whsec_[A-Za-z0-9+/]{32,}={0,2}$/, {
      error: "must be whsec_ and at least 24 bytes in base64: echo whsec_$(openssl rand -base64 32)",
    })
    .optional(),
  /** Not set: nothing is pushed yet, and `bootstrap` says that this is meant. */
  images: json(z.strictObject({ api: image, reconciler: image })).optional(),
  bootstrap: z
    .enum(["true", "false"], { error: "must be true or false" })
    .default("false")
    .transform((text) => text === "true"),
  gitSyncImage: z
    .string()
    .regex(/^[\w./-]+(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?$/, { error: "must be an image's name" })
    .default("registry.k8s.io/git-sync/git-sync:v4.7.1"),
  network: parts(
    z
      .strictObject({
        private: yesOrNo,
        zoneRedundant: yesOrNo,
        addressSpace: z
          .string()
          .regex(PRIVATE_RANGE, { error: "must be a private range such as 10.70.0.0/16" })
          .default("10.70.0.0/16"),
      })
      .refine((network) => network.private || !network.zoneRedundant, {
        error: "zoneRedundant needs private: Azure spreads only an environment that has a network of its own",
      }),
  ),
  registrySku: z.enum(["Basic", "Standard", "Premium"], { error: "must be Basic, Standard or Premium" }),
  logRetentionDays: z.string().transform(Number).pipe(whole(30, 730)),
  oidc: parts(
    z.strictObject({
      issuer: https("https://login.example"),
      audience: words("must be what tokens name as theirs"),
    }),
  ),
  api: parts(
    z
      .strictObject({
        minReplicas: whole(1, 300),
        maxReplicas: whole(1, 300),
        /** Requests at once in one replica before another is started. */
        concurrentRequests: whole(1, 1000).default(50),
        cpu,
        environment: environment(...API_TUNABLES),
      })
      .refine(({ minReplicas, maxReplicas }) => minReplicas <= maxReplicas, {
        error: "minReplicas must not be above maxReplicas",
      }),
  ),
  reconciler: parts(
    z.strictObject({
      cpu,
      environment: environment(...RECONCILER_TUNABLES),
      /** Whether the status page has a public address; it needs an administrator's token. */
      page: yesOrNo.default(false),
    }),
  ),
  /** Serves <tenant>.<suffix>; the certificate is a secret of the operator's vault. */
  domain: json(
    z.strictObject({
      suffix: z.string().regex(/^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/, { error: "must be like shop.example" }),
      certificateSecret: z
        .string()
        .regex(/^[A-Za-z0-9-]{1,127}$/, { error: "must be the name of a secret" })
        // The environment's identity gets a role on it, and may not read what is the reconciler's.
        .refine((name) => !OPERATOR_SECRETS.some((taken) => taken === name.toLowerCase()), {
          error: `must not be ${OPERATOR_SECRETS.join(", ")}: those are the reconciler's own`,
        }),
    }),
  ).optional(),
  /** Azure's conditions on secret names are in preview. */
  conditionOnPrefix: z
    .enum(["true", "false"], { error: "must be true or false" })
    .default("false")
    .transform((text) => text === "true"),
  alerts: json(z.strictObject({ email: z.email({ error: "must be a mail address" }) })).optional(),
})
