/** What wakes a person: questions to the logs, asked every five minutes. */
import { ActionGroup } from "@pulumi/azure-native/monitor/actionGroup.js"
import { ScheduledQueryRule } from "@pulumi/azure-native/monitor/scheduledQueryRule.js"
import { all, type Input, type Output } from "@pulumi/pulumi"
import { checkName } from "./names.ts"
import type { Place } from "./place.ts"
import { failingPasses, failingRequests, unreadyTenants } from "./queries.ts"

type Alert = {
  name: string
  description: string
  query: Output<string> | string
  /** ISO 8601. */
  window: string
  /** Fires when the query has `operator` `threshold` rows. */
  operator: "GreaterThan" | "LessThan"
  threshold: number
  severity: 0 | 1 | 2 | 3
}

export function createAlerts(
  place: Place,
  workspaceId: Input<string>,
  apps: { api: Input<string>; apiId: Input<string>; reconciler: Input<string> },
): ScheduledQueryRule[] {
  const { settings, resourceGroupName, tags, location } = place
  if (!settings.alerts) return []
  const group = new ActionGroup("people", {
    resourceGroupName,
    actionGroupName: checkName("alert", "tenantry-people"),
    groupShortName: "tenantry",
    location: "global",
    tags,
    enabled: true,
    emailReceivers: [{ name: "mail", emailAddress: settings.alerts.email, useCommonAlertSchema: true }],
  })
  const query = all([apps.api, apps.apiId, apps.reconciler])
  const alerts: Alert[] = [
    {
      name: "tenant-not-ready",
      description:
        "In every pass of 15 minutes some tenant was not Ready: npx tenantry status says which, and why.",
      query: query.apply(([, , reconciler]) => unreadyTenants(reconciler)),
      window: "PT15M",
      operator: "GreaterThan",
      threshold: 0,
      severity: 2,
    },
    {
      name: "no-pass",
      description: "No pass of the reconciler has ended well for 15 minutes: its log says why.",
      query: query.apply(([, , reconciler]) => failingPasses(reconciler)),
      window: "PT15M",
      operator: "LessThan",
      threshold: 1,
      severity: 1,
    },
    {
      name: "requests-fail",
      description: "More than one request in a hundred was answered 5xx in 15 minutes.",
      query: query.apply(([api, apiId]) => failingRequests(api, apiId)),
      window: "PT15M",
      operator: "GreaterThan",
      threshold: 0,
      severity: 1,
    },
  ]
  return alerts.map(
    (alert) =>
      new ScheduledQueryRule(alert.name, {
        resourceGroupName,
        ruleName: checkName("alert", alert.name),
        location,
        tags,
        kind: "LogAlert",
        displayName: alert.name,
        description: alert.description,
        severity: alert.severity,
        enabled: true,
        scopes: [workspaceId],
        evaluationFrequency: "PT5M",
        windowSize: alert.window,
        criteria: {
          allOf: [
            {
              query: alert.query,
              timeAggregation: "Count",
              operator: alert.operator,
              threshold: alert.threshold,
              failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 },
            },
          ],
        },
        autoMitigate: true,
        actions: { actionGroups: [group.id] },
      }),
  )
}
