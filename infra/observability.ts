/** Where logs and metrics are kept, and what sends its own there. */
import { Component } from "@pulumi/azure-native/applicationinsights/component.js"
import { DiagnosticSetting } from "@pulumi/azure-native/monitor/diagnosticSetting.js"
import { Workspace } from "@pulumi/azure-native/operationalinsights/workspace.js"
import type { Input, Resource } from "@pulumi/pulumi"
import type { Place } from "./place.ts"

/** A workspace for all logs, and Application Insights on top of it. */
export function createObservability({ settings, names, resourceGroupName, location, tags }: Place) {
  const workspace = new Workspace("logs", {
    resourceGroupName,
    workspaceName: names.workspace,
    location,
    tags,
    sku: { name: "PerGB2018" },
    retentionInDays: settings.logRetentionDays,
  })
  const insights = new Component(
    "insights",
    {
      resourceGroupName,
      resourceName: names.insights,
      location,
      tags,
      kind: "web",
      applicationType: "web",
      workspaceResourceId: workspace.id,
      ingestionMode: "LogAnalytics",
      // The environment's agent, which sends the traces, has no identity: it shows the connection string
      // (github.com/microsoft/azure-container-apps/issues/1340).
      disableLocalAuth: false,
    },
    { additionalSecretOutputs: ["connectionString", "instrumentationKey"] },
  )
  return { workspace, insights }
}

/** Sends all logs, all metrics, or both of one resource to the workspace. */
export function keepDiagnostics(
  name: string,
  resource: Resource & { id: Input<string> },
  workspaceId: Input<string>,
  what: { logs: boolean; metrics: boolean },
): DiagnosticSetting {
  return new DiagnosticSetting(`${name}-diagnostics`, {
    name: "to-workspace",
    resourceUri: resource.id,
    workspaceId,
    ...(what.logs ? { logs: [{ categoryGroup: "allLogs", enabled: true }] } : {}),
    ...(what.metrics ? { metrics: [{ category: "AllMetrics", enabled: true }] } : {}),
  })
}
