/**
 * Runs the program as Pulumi's own Node host runs it, against a resource monitor that answers as if Azure had made
 * everything, and keeps what was asked for.
 */
import { once } from "node:events"
import { createRequire } from "node:module"
import path from "node:path"
import { spawn } from "node:child_process"
import { CLIENT, idOf, stateOf } from "./outputs.ts"
import { ROOT, SECRETS } from "./stacks.ts"

export type Registered = {
  name: string
  type: string
  protect: boolean
  retainOnDelete: boolean
  dependsOn: string[]
  /** A secret is `{ secret: true }`, whatever it is. */
  inputs: Record<string, unknown>
}
export type Graph = {
  code: number
  /** What the program told the engine and printed. */
  said: string
  /** Sorted by name. */
  resources: Registered[]
  outputs: Record<string, unknown>
}

// Pulumi's own gRPC and messages; they carry no types of use here.
/* oxlint-disable typescript/no-explicit-any, typescript/no-unsafe-call */
const pulumi = createRequire(createRequire(import.meta.url).resolve("@pulumi/pulumi"))
const grpc: any = pulumi("@grpc/grpc-js")
const { Struct }: any = pulumi("google-protobuf/google/protobuf/struct_pb.js")
const { Empty }: any = pulumi("google-protobuf/google/protobuf/empty_pb.js")
const monitorService: any = pulumi("./proto/resource_grpc_pb.js")
const monitorMessages: any = pulumi("./proto/resource_pb.js")
const engineService: any = pulumi("./proto/engine_grpc_pb.js")
const engineMessages: any = pulumi("./proto/engine_pb.js")

/** Marks of Pulumi's wire: an object with the first is special, and the second says that it is a secret. */
const SPECIAL = "4dabf18193072939515e22adb298388d"
const SECRET = "1b47061264138c4ac30d75fd1eb44270"

const answer = (make: (request: any) => any) => (call: any, done: any) => done(null, make(call.request))

/** Runs the program with this configuration. Throws only where the host itself cannot be run. */
export async function graphOf(stack: string, configuration: Record<string, string>): Promise<Graph> {
  const resources: Registered[] = []
  let outputs: Record<string, unknown> = {}
  const said: string[] = []
  let root = ""

  const server = new grpc.Server()
  const implement = (service: any, methods: Record<string, unknown>) => {
    const rest = Object.keys(service).filter((name) => !(name in methods))
    const refuse = (name: string) => (_call: unknown, done: any) =>
      done({ code: grpc.status.UNIMPLEMENTED, details: `${name} is not spoken here` })
    server.addService(service, {
      ...Object.fromEntries(rest.map((name) => [name, refuse(name)])),
      ...methods,
    })
  }
  implement(monitorService.ResourceMonitorService, {
    supportsFeature: answer((request) => {
      const response = new monitorMessages.SupportsFeatureResponse()
      response.setHassupport(request.getId() === "secrets")
      return response
    }),
    invoke: answer(() => {
      const response = new monitorMessages.ResourceInvokeResponse()
      response.setReturn(Struct.fromJavaScript(CLIENT))
      return response
    }),
    registerResource: answer((request) => {
      const [type, name] = [request.getType() as string, request.getName() as string]
      const wire = request.getObject()?.toJavaScript() ?? {}
      const urn = `urn:pulumi:${stack}::tenantry::${type}::${name}`
      const response = new monitorMessages.RegisterResourceResponse()
      response.setUrn(urn)
      if (type === "pulumi:pulumi:Stack") return response
      resources.push({
        name,
        type,
        protect: request.getProtect() as boolean,
        retainOnDelete: request.getRetainondelete() as boolean,
        dependsOn: (request.getDependenciesList() as string[])
          .map((other) => other.split("::").at(-1)!)
          .toSorted(),
        inputs: hideSecrets(wire) as Record<string, unknown>,
      })
      response.setId(idOf(name))
      response.setObject(Struct.fromJavaScript(stateOf(type, name, wire as Record<string, unknown>)))
      return response
    }),
    registerResourceOutputs: answer((request) => {
      outputs = hideSecrets(request.getOutputs().toJavaScript()) as Record<string, unknown>
      return new Empty()
    }),
    signalAndWaitForShutdown: answer(() => new Empty()),
  })
  implement(engineService.EngineService, {
    log: answer((request) => {
      if (request.getSeverity() > engineMessages.LogSeverity.DEBUG) said.push(request.getMessage() as string)
      return new Empty()
    }),
    getRootResource: answer(() => {
      const response = new engineMessages.GetRootResourceResponse()
      response.setUrn(root)
      return response
    }),
    setRootResource: answer((request) => {
      root = request.getUrn() as string
      return new engineMessages.SetRootResourceResponse()
    }),
  })
  const port = await new Promise<number>((resolve, reject) => {
    const bound = (error: Error | null, found: number) => (error ? reject(error) : resolve(found))
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), bound)
  })
  try {
    const code = await runHost(`127.0.0.1:${port}`, stack, configuration, (text) => said.push(text))
    return {
      code,
      said: said.join("\n"),
      resources: resources.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
      outputs,
    }
  } finally {
    server.forceShutdown()
  }
}

async function runHost(
  address: string,
  stack: string,
  configuration: Record<string, string>,
  print: (text: string) => void,
): Promise<number> {
  const flags = [`--monitor=${address}`, `--engine=${address}`, "--project=tenantry", `--stack=${stack}`]
  const place = [`--pwd=${path.join(ROOT, "infra")}`, `--root-directory=${ROOT}`, "index.ts"]
  const child = spawn(process.execPath, [pulumi.resolve("./cmd/run"), ...flags, "--parallel=16", ...place], {
    env: {
      PATH: process.env["PATH"],
      PULUMI_CONFIG: JSON.stringify(configuration),
      PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(Object.keys(SECRETS).map((name) => `tenantry:${name}`)),
      PULUMI_NODEJS_TYPESCRIPT: "false",
    },
    stdio: ["ignore", "pipe", "pipe"],
  })
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", print)
  const [code] = (await once(child, "close")) as [number]
  return code
}

function hideSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(hideSecrets)
  if (typeof value !== "object" || value === null) return value
  if ((value as Record<string, unknown>)[SPECIAL] === SECRET) return { secret: true }
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, hideSecrets(inner)]))
}
