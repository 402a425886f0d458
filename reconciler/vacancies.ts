/**
 * Names in one plan: a change that wants a database's name waits until the changes that have it set it free. Names that differ
 * only by case are one name, and two cells may each have a database of that name.
 */
import { type Action, type Change, claimedBy, vacatedBy } from "./action.ts"
import { TransientError } from "./errors.ts"
import { nameKey } from "./tenant.ts"

type Vacancy = PromiseWithResolvers<void> & {
  by: Change
  action: Action
  key: string
  isFree: boolean
  isRefused: boolean
  waiting: number
}

export type Vacancies = {
  /** Resolves when the name that the action needs is free; rejects with TransientError where it will not be. */
  wait: (change: Change, action: Action) => Promise<void>
  /** The action is done. */
  vacate: (action: Action) => void
  /** The change has ended; names that it has not set free stay taken. */
  finish: (change: Change) => void
}

function refuse(vacancy: Vacancy): void {
  vacancy.isRefused = true
  vacancy.waiting = 0
  vacancy.reject(
    new TransientError("NameNotFree", `waits for a name that ${vacancy.by.name} has not given up yet`),
  )
}

export function expectVacancies(changes: readonly Change[]): Vacancies {
  const vacancies = changes.flatMap((by) =>
    by.actions.flatMap((action): Vacancy[] => {
      const name = vacatedBy(action)
      if (name === undefined) return []
      const vacancy = {
        ...Promise.withResolvers<void>(),
        by,
        action,
        key: nameKey(name),
        isFree: false,
        isRefused: false,
        waiting: 0,
      }
      vacancy.promise.catch(() => {}) // whoever waits hears of it
      return [vacancy]
    }),
  )
  const byName = Map.groupBy(vacancies, ({ key }) => key)
  const byAction = new Map(vacancies.map((vacancy) => [vacancy.action, vacancy]))
  let going = changes.length
  /** Where all wait for each other, nobody would ever go on. */
  const breakStandstill = () => {
    const waiting = vacancies.reduce((sum, vacancy) => sum + vacancy.waiting, 0)
    if (waiting === going) for (const vacancy of vacancies) refuse(vacancy)
  }
  return {
    async wait(change, action) {
      const name = claimedBy(action)
      for (const vacancy of name === undefined ? [] : (byName.get(nameKey(name)) ?? [])) {
        if (vacancy.isFree || vacancy.by === change) continue
        if (!vacancy.isRefused) vacancy.waiting++
        breakStandstill()
        await vacancy.promise
      }
    },
    vacate(action) {
      const vacancy = byAction.get(action)
      if (!vacancy) return
      vacancy.isFree = true
      vacancy.waiting = 0
      vacancy.resolve()
    },
    finish({ actions }) {
      going--
      for (const action of actions) {
        const vacancy = byAction.get(action)
        if (vacancy && !vacancy.isFree) refuse(vacancy)
      }
      breakStandstill()
    },
  }
}
