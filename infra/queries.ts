/** Questions to the logs. They quote messages of the apps, and a test holds that the apps still say them. */

const lines = (app: string) =>
  `ContainerAppConsoleLogs | where ContainerAppName == '${app}' | extend line = parse_json(Log)`

/** One row where passes were made, and each saw a tenant that is not Ready. */
export const unreadyTenants = (reconciler: string): string =>
  `${lines(reconciler)}
| where line.msg == 'pass done'
| summarize passes = count(), least = min(toint(line.reconciling) + toint(line.stalled))
| where passes > 0 and least > 0`

/** One row for each pass that ended well: none is the alarm, whether passes fail or nothing runs. */
export const failingPasses = (reconciler: string): string =>
  `${lines(reconciler)}
| where line.msg == 'pass done'`

/** One row where more than 1 % of at least 20 requests were answered 5xx by the API. */
export const failingRequests = (api: string, apiId: string): string =>
  `let failed = toscalar(${lines(api)} | where line.msg in ('a request failed', 'a request was turned away') | count);
AzureMetrics
| where ResourceId =~ '${apiId}' and MetricName == 'Requests'
| summarize requests = sum(Total)
| where requests >= 20 and failed * 100.0 > requests`
