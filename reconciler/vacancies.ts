/** Names in one plan: a change that wants a database's name waits until the change that has it sets it free. */
import { type Action, type Change, claimedBy, vacatedBy } from "./action.ts"
import { TransientError } from "./errors.ts"

type Vacancy = PromiseWithResolvers<void> & { by: Change; isFree: boolean; waiting: number }

export type Vacancies = {
  /** Resolves when the name that the action needs is free; rejects with TransientError where it will not be. */
  wait: (change: Change, action: Action) => Promise<void>
  /** The action is done. */
  vacate: (action: Action) => void
  /** The change has ended; names that it has not set free stay taken. */
  finish: (change: Change) => void
}

function refuse(vacancy: Vacancy): void {
  vacancy.waiting = 0
  vacancy.reject(
    new TransientError("NameNotFree", `waits for a name that ${vacancy.by.name} has not given up yet`),
  )
}

export function expectVacancies(changes: readonly Change[]): Vacancies {
  const vacancies = new Map<string | undefined, Vacancy>()
  for (const by of changes) {
    for (const name of by.actions.map(vacatedBy).filter((vacant) => vacant !== undefined)) {
      const vacancy = { ...Promise.withResolvers<void>(), by, isFree: false, waiting: 0 }
      vacancy.promise.catch(() => {}) // whoever waits hears of it
      vacancies.set(name, vacancy)
    }
  }
  let going = changes.length
  /** Where all wait for each other, nobody would ever go on. */
  const breakStandstill = () => {
    const waiting = vacancies.values().reduce((sum, vacancy) => sum + vacancy.waiting, 0)
    if (waiting === going) for (const vacancy of vacancies.values()) refuse(vacancy)
  }
  return {
    async wait(change, action) {
      const vacancy = vacancies.get(claimedBy(action))
      if (!vacancy || vacancy.isFree || vacancy.by === change) return
      vacancy.waiting++
      breakStandstill()
      await vacancy.promise
    },
    vacate(action) {
      const vacancy = vacancies.get(vacatedBy(action))
      if (!vacancy) return
      vacancy.isFree = true
      vacancy.waiting = 0
      vacancy.resolve()
    },
    finish({ actions }) {
      going--
      for (const action of actions) {
        const vacancy = vacancies.get(vacatedBy(action))
        if (vacancy && !vacancy.isFree) refuse(vacancy)
      }
      breakStandstill()
    },
  }
}
